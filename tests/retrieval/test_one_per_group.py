"""One film of each group: the first of it in the whole list, for every ranking, alone or in a batch."""

import numpy as np
import pytest

from graphret._errors import InvalidParameterError
from graphret.retrieval import Archive, Findings, QueryBatch, create_ranking, list_rankings, rank_one_per_group

N, K, K_GRAPH = 150, 8, 6
FIELDS = ("positions", "similarities", "scores", "sources", "gains")
RANKINGS = [
    *((name, {}) for name in list_rankings(with_labels=True)),
    ("contextual", {"pool": 20, "n": 3, "density": 0.4}),
    ("label_aware", {"pool": 20}),
    ("hamming", {"ties": "cosine"}),
]


@pytest.fixture(scope="module")
def archive():
    rng = np.random.default_rng(3)
    centres = rng.normal(size=(4, 12))
    codes = (centres[rng.integers(0, 4, N)] + 0.5 * rng.normal(size=(N, 12))).astype(np.float32)
    findings = Findings(rng.integers(0, 2, (N, 3)), ("A", "B", "C"))
    return Archive.from_codes(codes, k=K_GRAPH, findings=findings)


@pytest.fixture(scope="module")
def groups():
    """One group that holds half of the films, some of a few, some of one."""
    rng = np.random.default_rng(4)
    numbers = np.where(rng.random(N) < 0.5, 1000, rng.integers(0, 25, N))
    numbers[:20] = np.arange(2000, 2020)
    return numbers


@pytest.fixture(scope="module")
def codes():
    return np.random.default_rng(5).normal(size=(7, 12)).astype(np.float32)


@pytest.fixture(scope="module", params=RANKINGS, ids=lambda variant: "-".join([variant[0], *variant[1]]))
def ranker(request, archive):
    name, options = request.param
    return create_ranking(name, archive, **options)


def literal(ranker, batch, k, groups, *, fill=True):
    """The whole list of every query, of which the first film of each group is kept."""
    ranked = ranker.rank(batch, N, fill=fill)
    expected = {name: [] for name in FIELDS}
    for row, films in enumerate(ranked.positions.tolist()):
        seen, places = set(), []
        for place, film in enumerate(films):
            if film >= 0 and groups[film] not in seen and len(places) < k:
                seen.add(groups[film])
                places.append(place)
        for name in FIELDS:
            expected[name].append(getattr(ranked, name)[row][places].tolist())
    return expected


def unpadded(ranked):
    lengths = (ranked.positions >= 0).sum(axis=1)
    return {
        name: [row[:length].tolist() for row, length in zip(getattr(ranked, name), lengths, strict=True)]
        for name in FIELDS
    }


@pytest.mark.parametrize("fill", [True, False])
@pytest.mark.parametrize("k", [1, K, N])
def test_the_first_film_of_each_group_comes_in_the_order_of_the_whole_list(archive, ranker, codes, groups, k, fill):
    batch = QueryBatch.of(archive, codes, k)
    found = rank_one_per_group(ranker, archive, batch, k, groups, fill=fill)
    np.testing.assert_equal(unpadded(found), literal(ranker, QueryBatch.of(archive, codes, N), k, groups, fill=fill))
    assert found.positions.shape == (len(codes), k)
    for name in found.terms:
        assert np.allclose(sum(found.terms.values())[found.sources == 3], found.scores[found.sources == 3]), name


def test_filters_and_films_of_no_group_but_their_own(archive, ranker, codes, groups):
    rng = np.random.default_rng(6)
    allowed = rng.random(N) < 0.6
    allowed[:3] = True
    forbidden = [rng.choice(N, size, replace=False).astype(np.int32) for size in (0, 5, 40, 140, 149, 1, 0)]
    # a group of which nothing is left for one query
    forbidden[5] = np.flatnonzero(groups == 1000).astype(np.int32)
    how = {"allowed": allowed, "forbidden": forbidden}
    found = rank_one_per_group(ranker, archive, QueryBatch.of(archive, codes, K, **how), K, groups)
    np.testing.assert_equal(unpadded(found), literal(ranker, QueryBatch.of(archive, codes, N, **how), K, groups))
    alone = rank_one_per_group(ranker, archive, QueryBatch.of(archive, codes, K), K, np.arange(N))
    np.testing.assert_equal(unpadded(alone), unpadded(ranker.rank(QueryBatch.of(archive, codes, K), K)))


def test_alone_in_a_batch_in_blocks_and_with_any_threads_it_is_the_same(archive, ranker, codes, groups, monkeypatch):
    together = rank_one_per_group(ranker, archive, QueryBatch.of(archive, codes, K), K, groups, n_threads=2)
    monkeypatch.setattr("graphret.retrieval.one_per_group._ENTRIES", 2 * N)
    blocks = rank_one_per_group(ranker, archive, QueryBatch.of(archive, codes, K), K, groups, n_threads=1)
    for row in range(len(codes)):
        batch = QueryBatch.of(archive, codes[row : row + 1], K)
        alone = rank_one_per_group(ranker, archive, batch, K, groups, n_threads=1)
        for name in FIELDS:
            np.testing.assert_array_equal(getattr(alone, name)[0], getattr(together, name)[row], err_msg=name)
            np.testing.assert_array_equal(getattr(blocks, name)[row], getattr(together, name)[row], err_msg=name)
        if together.findings is not None:
            np.testing.assert_array_equal(alone.findings[0], together.findings[row])


class Counting:
    """The nearest films, and how long the lists were that were asked for."""

    def __init__(self, archive):
        self.ranker, self.asked = create_ranking("nearest", archive), []

    def rank(self, queries, k, **how):
        self.asked.append((len(queries), k))
        return self.ranker.rank(queries, k, **how)


def test_no_longer_list_is_asked_for_than_the_groups_need(archive, codes):
    """An archive of two patients has no third: the list ends where both are found, not at the last film."""
    for n_groups, k, asked in ((2, 5, [(7, 6)]), (N, 5, [(7, 6)]), (1, 5, [(7, 6)])):
        counting = Counting(archive)
        rank_one_per_group(counting, archive, QueryBatch.of(archive, codes, k), k, np.arange(N) % n_groups)
        assert counting.asked[:1] == asked
        assert len(counting.asked) == 1 or n_groups == 2
        assert max(size for _, size in counting.asked) < N


@pytest.mark.parametrize("wrong", [np.zeros(N - 1, int), np.zeros(N), np.zeros((N, 1), int)])
def test_groups_of_another_form_are_refused(archive, codes, wrong):
    with pytest.raises(InvalidParameterError, match=f"whole numbers \\({N},\\), one a film"):
        rank_one_per_group(create_ranking("nearest", archive), archive, QueryBatch.of(archive, codes, 2), 2, wrong)


def test_the_second_search_is_counted(archive, codes, groups):
    ranker = create_ranking("alpha_qe", archive)
    batch = QueryBatch.of(archive, codes, K)
    once = ranker.rank(batch, K).counts.compared
    assert (rank_one_per_group(ranker, archive, batch, K, groups).counts.compared >= once).all()
    assert (rank_one_per_group(ranker, archive, batch, N, groups).counts.compared > 0).all()
