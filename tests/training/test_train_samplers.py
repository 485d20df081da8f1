"""What the samplers promise of every batch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from graphret._errors import DataError
from graphret.training.samplers import few_of_a_class, pairs, shuffled

label_matrices = st.tuples(st.integers(2, 40), st.integers(1, 4)).flatmap(
    lambda shape: hnp.arrays(np.int8, shape, elements=st.sampled_from([1, 0, 0, -1]))
)


def classes_of(film):
    """Positive labels, and "healthy" for a film known to have none."""
    return {j for j, label in enumerate(film) if label == 1} | ({"healthy"} if not film.any() else set())


def kind_of(one, other):
    if classes_of(one) & classes_of(other):
        return "similar"
    may_share = ((one != 0) & (other != 0)).any() or not ((one == 1).any() or (other == 1).any())
    return "open" if may_share else "dissimilar"


def test_shuffled_has_every_film_once():
    batches = shuffled(np.arange(10) * 3, 4)
    assert [batch.tolist() for batch in batches] == [[0, 3, 6, 9], [12, 15, 18, 21], [24, 27]]


@settings(max_examples=60, deadline=None)
@given(label_matrices, st.integers(1, 12), st.integers(1, 4), st.integers(0, 99))
def test_few_of_a_class_holds_in_every_batch(labels, batch_size, at_most, seed):
    rows = np.arange(len(labels)) + 100
    known = [bool(classes_of(film)) for film in labels]
    if not any(known):
        with pytest.raises(DataError, match="known class"):
            few_of_a_class(rows, labels, batch_size, at_most, np.random.default_rng(seed))
        return
    batches = few_of_a_class(rows, labels, batch_size, at_most, np.random.default_rng(seed))
    assert len(batches) == -(-len(rows) // batch_size)
    for batch in batches:
        assert 1 <= len(batch) <= batch_size
        assert len(set(batch.tolist())) == len(batch)
        seen = [name for row in batch - 100 for name in classes_of(labels[row])]
        assert all(seen.count(name) <= at_most for name in seen)
        assert all(known[row] for row in batch - 100)


def test_few_of_a_class_fills_its_batches_and_levels_rare_classes():
    labels = np.zeros((400, 6), np.int8)
    sizes = [200, 100, 50, 30, 15, 5]  # of one class each
    labels[np.arange(400), np.repeat(np.arange(6), sizes)] = 1
    batches = few_of_a_class(np.arange(400), labels, 15, 3, np.random.default_rng(0))
    assert {len(batch) for batch in batches} == {15}
    counts = labels[np.concatenate(batches)].sum(0)
    assert counts.max() - counts.min() < 0.3 * counts.mean()
    # The deck of a class goes through all its films before one comes again.
    films, times = np.unique(np.concatenate(batches), return_counts=True)
    assert set(range(395, 400)) <= set(films.tolist())
    # One draw of a deck may be wasted on a film that the end of the deck before has put into the same batch.
    assert np.ptp(times[films >= 395]) <= 3


@pytest.mark.parametrize("batch_size", [10, 20, 13])
def test_pairs_are_three_to_two(batch_size):
    generator = np.random.default_rng(1)
    labels = generator.choice(np.array([1, 0, 0, -1], np.int8), (120, 3))
    batches = pairs(np.arange(120), labels, batch_size, np.random.default_rng(2))
    assert len(batches) == -(-120 // batch_size)
    assert {len(batch) for batch in batches} == {batch_size // 2 * 2}
    similar = total = 0
    for batch in batches:
        kinds = [kind_of(labels[a], labels[b]) for a, b in batch.reshape(-1, 2)]
        assert "open" not in kinds
        assert all(a != b for a, b in batch.reshape(-1, 2))
        similar, total = similar + kinds.count("similar"), total + len(kinds)
        assert abs(similar - 0.4 * total) <= 1
        if batch_size % 10 == 0:
            assert kinds.count("similar") * 3 == kinds.count("dissimilar") * 2


def test_pairs_of_one_class_or_of_single_films_cannot_be_drawn():
    same, apart = np.ones((8, 1), np.int8), np.eye(8, dtype=np.int8)
    with pytest.raises(DataError, match="none has a certainly dissimilar one"):
        pairs(np.arange(8), same, 6, np.random.default_rng(0))
    with pytest.raises(DataError, match="none has a similar one"):
        pairs(np.arange(8), apart, 6, np.random.default_rng(0))


def test_the_generator_decides_the_draw():
    labels = np.random.default_rng(0).integers(0, 2, (60, 3)).astype(np.int8)
    for draw in (
        lambda seed: few_of_a_class(np.arange(60), labels, 8, 2, np.random.default_rng(seed)),
        lambda seed: pairs(np.arange(60), labels, 8, np.random.default_rng(seed)),
    ):
        first, again, other = (np.concatenate(draw(seed)).tolist() for seed in (0, 0, 1))
        assert first == again != other
