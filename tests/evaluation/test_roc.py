"""ROC curves and counts within a Hamming radius, against plain loops."""

import numpy as np
import pytest

from graphret._errors import CodesError, InvalidParameterError
from graphret.evaluation import area_under_curve, count_within_radius, roc_curve
from graphret.hashing import pack_bits


@pytest.mark.parametrize("seed", range(4))
def test_a_curve_is_the_rates_at_every_threshold_and_its_area_the_chance_of_a_pair(seed):
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 8, 40) / 7 if seed % 2 else rng.normal(size=40)
    positive = rng.random(40) < 0.3
    expected = [(0.0, 0.0)]
    for threshold in sorted(set(scores.tolist()), reverse=True):
        passed = [bool(score >= threshold) for score in scores]
        rates = []
        for kind in (False, True):
            of_kind = [ok for ok, having in zip(passed, positive, strict=True) if having == kind]
            rates.append(sum(of_kind) / len(of_kind))
        expected.append(tuple(rates))
    false_rate, true_rate = roc_curve(scores, positive)
    np.testing.assert_allclose(np.column_stack([false_rate, true_rate]), expected)
    pairs = [
        1.0 if one > other else 0.5 if one == other else 0.0 for one in scores[positive] for other in scores[~positive]
    ]
    assert area_under_curve(false_rate, true_rate) == pytest.approx(np.mean(pairs))


@pytest.mark.parametrize(
    ("scores", "positive", "message"),
    [
        ([0.1, np.nan], [True, False], "scores"),
        ([0.1, 0.2], [1, 0], "positive"),
        ([0.1, 0.2], [True], "positive"),
        ([0.1, 0.2], [True, True], "2 of 2 films.*one without"),
        ([0.1, 0.2], [False, False], "0 of 2 films"),
    ],
)
def test_what_has_no_curve_is_refused(scores, positive, message):
    with pytest.raises(InvalidParameterError, match=message):
        roc_curve(scores, np.array(positive))


def test_counts_within_a_radius_are_those_of_a_loop():
    rng = np.random.default_rng(1)
    n_bits = 11
    queries, films = rng.normal(size=(7, n_bits)), rng.normal(size=(60, n_bits))
    queries[0] = -films[0]
    of_queries, of_films = rng.random((7, 3)) < 0.5, rng.random((60, 3)) < 0.4
    of_queries[:, 0] |= ~of_queries.any(axis=1)
    allowed = rng.random(60) < 0.8
    excluded = [rng.choice(60, 5, replace=False) for _ in range(7)]
    counts = count_within_radius(
        pack_bits(queries), pack_bits(films), of_queries, of_films, n_bits, excluded=excluded, allowed=allowed
    )
    found, relevant = np.zeros((2, 7, n_bits + 1), int)
    for query in range(7):
        for film in range(60):
            if not allowed[film] or film in excluded[query]:
                continue
            distance = sum((a >= 0) != (b >= 0) for a, b in zip(queries[query], films[film], strict=True))
            for radius in range(distance, n_bits + 1):
                found[query, radius] += 1
                relevant[query, radius] += any(of_queries[query] & of_films[film])
    np.testing.assert_array_equal(counts.found, found)
    np.testing.assert_array_equal(counts.relevant, relevant)
    assert (found[:, 0] == 0).any()
    for radius in range(n_bits + 1):
        each = [r / f if f else None for r, f in zip(relevant[:, radius], found[:, radius], strict=True)]
        some = [value for value in each if value is not None]
        assert counts.precision[radius] == pytest.approx(np.mean([value or 0.0 for value in each]))
        expected = np.mean(some) if some else np.nan
        np.testing.assert_allclose(counts.precision_where_found[radius], expected)
        assert counts.share_without_films[radius] == pytest.approx(each.count(None) / 7)


def test_codes_of_another_length_and_other_labels_are_refused():
    bits, labels = pack_bits(np.ones((3, 9))), np.ones((3, 1), bool)
    with pytest.raises(InvalidParameterError, match=r"n_bits=8.*2 bytes"):
        count_within_radius(bits, bits, labels, labels, 8)
    with pytest.raises(CodesError):
        count_within_radius(bits[:, :1], bits, labels, labels, 9)
    with pytest.raises(InvalidParameterError, match="database_labels"):
        count_within_radius(bits, bits, labels, labels[:2], 9)
    with pytest.raises(InvalidParameterError, match="0 codes"):
        count_within_radius(bits[:0], bits, labels[:0], labels, 9)
