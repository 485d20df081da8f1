"""Expected measures under ties, against every order written out."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphret._errors import CodesError, InvalidParameterError, UnknownNameError
from graphret.evaluation import evaluate_hamming, evaluate_ranking, list_measures
from graphret.hashing import hamming_search, pack_bits

FORMS = [form for form in list_measures() if form != "MMV@K"]


def measures_at(*depths):
    return [form.replace("@K", f"@{k}") for form in FORMS for k in dict.fromkeys(depths)]


def every_order(distances):
    """All orders of the films that never put a farther film first."""
    ties = [np.flatnonzero(distances == away).tolist() for away in np.unique(distances)]
    for parts in itertools.product(*(itertools.permutations(tie) for tie in ties)):
        yield list(itertools.chain(*parts))


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(1, 6), n_labels=st.integers(1, 3), n_bits=st.integers(1, 3), seed=st.integers(0, 10_000),
    share=st.sampled_from([0.2, 0.5, 0.9]),
)  # fmt: skip
def test_the_expectation_is_the_mean_over_all_orders(n, n_labels, n_bits, seed, share):
    rng = np.random.default_rng(seed)
    values, query = rng.normal(size=(n, n_bits)), rng.normal(size=(1, n_bits))
    labels, wanted = rng.random((n, n_labels)) < share, np.ones((1, n_labels), bool)
    distances = ((values >= 0) != (query >= 0)).sum(axis=1)
    measures = measures_at(1, 2, 3, n, n + 2)
    found = evaluate_hamming(pack_bits(query), pack_bits(values), wanted, labels, measures)
    orders = [evaluate_ranking([order], wanted, labels, measures) for order in every_order(distances)]
    assert list(found) == measures
    for name in measures:
        expected = np.mean([scores[name] for scores in orders])
        np.testing.assert_allclose(found[name], [expected], rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.fixture(scope="module")
def films():
    rng = np.random.default_rng(0)
    bits, queries = pack_bits(rng.normal(size=(200, 64))), pack_bits(rng.normal(size=(15, 64)))
    return queries, bits, rng.random((15, 4)) < 0.4, rng.random((200, 4)) < 0.3


def test_without_ties_it_is_the_one_order_there_is():
    steps = np.tril(np.ones((9, 8)), -1) * 2 - 1  # film i has i bits set
    labels = np.random.default_rng(1).random((9, 3)) < 0.5
    query = (pack_bits(-np.ones((1, 8))), pack_bits(steps), np.ones((1, 3), bool), labels)
    measures = measures_at(1, 4, 9)
    ranked = evaluate_ranking(np.arange(9)[None], *query[2:], measures)
    for ties in ("expected", "position"):
        found = evaluate_hamming(*query, measures, ties=ties)
        for name in measures:
            np.testing.assert_allclose(found[name], ranked[name], err_msg=name)


def test_by_position_it_is_the_ranking_of_hamming_search(films):
    queries, bits, wanted, labels = films
    ids, _ = hamming_search(queries, bits, 30)
    measures = measures_at(5, 30)
    expected = evaluate_ranking(ids, wanted, labels, measures)
    found = evaluate_hamming(*films, measures, ties="position")
    for name in measures:
        np.testing.assert_array_equal(found[name], expected[name])
    assert (evaluate_hamming(*films, ["P@5"])["P@5"] != found["P@5"]).any()


@pytest.mark.parametrize("ties", ["expected", "position"])
def test_films_that_could_not_be_found_count_as_absent(films, ties):
    queries, bits, wanted, labels = films
    rng = np.random.default_rng(3)
    allowed = rng.random(200) < 0.6
    excluded = [rng.choice(200, 40, replace=False) for _ in range(15)]
    measures = measures_at(1, 10, 50)
    found = evaluate_hamming(*films, measures, ties=ties, excluded=excluded, allowed=allowed)
    for query in range(15):
        kept = np.setdiff1d(np.flatnonzero(allowed), excluded[query])
        one = slice(query, query + 1)
        alone = evaluate_hamming(queries[one], bits[kept], wanted[one], labels[kept], measures, ties=ties)
        for name in measures:
            np.testing.assert_allclose(found[name][query], alone[name][0], err_msg=name)


def test_codes_that_are_all_the_same_score_as_chance(films):
    *_, wanted, labels = films
    nothing = np.zeros((15, 8), np.uint8), np.zeros((200, 8), np.uint8)
    found = evaluate_hamming(*nothing, wanted, labels, ["P@10", "HR@1", "R@200"])
    some = wanted.any(axis=1)
    share = (wanted @ labels.T.astype(int) > 0).mean(axis=1)
    np.testing.assert_allclose(found["P@10"][some], share[some])
    np.testing.assert_allclose(found["HR@1"][some], share[some])
    np.testing.assert_allclose(found["R@200"][some & (share > 0)], 1)
    by_position = evaluate_hamming(*nothing, wanted, labels, ["P@10"], ties="position")
    assert abs(by_position["P@10"][some] - share[some]).max() > 0.1, "the order of the files is not a code"


def test_undefined_values_are_those_of_lists(films):
    queries, bits, *_ = films
    wanted = np.array([[False, False], [False, True], [True, False]])
    labels = np.zeros((200, 2), bool)
    labels[:50, 0] = True
    measures = measures_at(3)
    found = evaluate_hamming(queries[:3], bits, wanted, labels, measures)
    expected = evaluate_ranking(np.arange(150, 153)[None].repeat(3, 0), wanted, labels, measures)
    for name in measures:
        np.testing.assert_array_equal(np.isnan(found[name]), np.isnan(expected[name]), err_msg=name)
        assert found[name][1] == 0 or np.isnan(found[name][1])
    nobody = evaluate_hamming(queries[2:3], bits, wanted[2:], labels, measures, allowed=np.zeros(200, bool))
    assert nobody["P@3"] == nobody["HR@3"] == nobody["mAP@3"] == nobody["gmAP@3"] == nobody["ACG@3"] == 0
    assert np.isnan([nobody["nDCG@3"], nobody["R@3"], nobody["mAP@3:relevant"]]).all()


def test_without_labels_or_queries_nothing_is_defined(films):
    queries, bits, wanted, labels = films
    for ties in ("expected", "position"):
        assert np.isnan(evaluate_hamming(queries, bits, wanted[:, :0], labels[:, :0], ["P@1"], ties=ties)["P@1"]).all()
        assert evaluate_hamming(queries[:0], bits, wanted[:0], labels, ["P@1"], ties=ties)["P@1"].shape == (0,)


def test_many_labels_do_not_overflow():
    labels = np.ones((3, 1100), bool)
    labels[1:, 5:] = False
    bits = np.array([[0], [0], [1]], np.uint8)
    query = (bits[:1], bits, labels[:1], labels)
    np.testing.assert_allclose(evaluate_hamming(*query, ["nDCG@1"])["nDCG@1"], 0.5)
    with pytest.raises(InvalidParameterError, match=r"2\^r is beyond float64"):
        evaluate_hamming(*query, ["DCG@1"])


def test_wrong_calls_are_refused(films):
    queries, bits, wanted, labels = films
    with pytest.raises(UnknownNameError, match=r"ties='best'.*expected, position"):
        evaluate_hamming(*films, ["P@1"], ties="best")
    with pytest.raises(InvalidParameterError, match="at least one"):
        evaluate_hamming(*films, [])
    with pytest.raises(InvalidParameterError, match=r"measures='MMV@5'.*one of P@K, .*ties=\"position\""):
        evaluate_hamming(*films, ["P@1", "MMV@5"])
    assert set(evaluate_hamming(*films, ["MMV@5"], ties="position")) == {"MMV@5"}
    with pytest.raises(UnknownNameError, match="measures='AP@1'"):
        evaluate_hamming(*films, "AP@1")
    with pytest.raises(InvalidParameterError, match=r"query_labels=.*15 codes"):
        evaluate_hamming(queries, bits, wanted[1:], labels, ["P@1"])
    with pytest.raises(InvalidParameterError, match=r"database_labels=.*200 codes"):
        evaluate_hamming(queries, bits, wanted, labels[1:], ["P@1"])
    with pytest.raises(InvalidParameterError, match="the 4 labels of database_labels"):
        evaluate_hamming(queries, bits, wanted[:, 1:], labels, ["P@1"])
    with pytest.raises(CodesError, match="7 bytes a code, expected 8"):
        evaluate_hamming(queries[:, 1:], bits, wanted, labels, ["P@1"])
