"""Every measure equals a plain loop over its definition, and wrong input is named."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphret._errors import InvalidParameterError, UnknownNameError
from graphret.evaluation import evaluate_ranking, list_measures, measures

NAN = float("nan")


def naive(form, hits, query, database, k, gone):
    """One query, one measure, from the equations of docs/measures.md; ``gone`` are the rows it could not get."""
    if not any(query):
        return NAN

    def grade(film):
        return sum(q and x for q, x in zip(query, database[film], strict=True))

    padded = [grade(film) if film >= 0 else 0 for film in hits][:k]
    there = [grade(film) for film in range(len(database)) if film not in gone]
    n_relevant = sum(r > 0 for r in there)

    def dcg(grades):
        return math.fsum((2**r - 1) / math.log2(rank + 1) for rank, r in enumerate(grades, start=1))

    def precisions(graded):
        total = 0.0
        for rank, r in enumerate(padded, start=1):
            if r > 0:
                total += sum(padded[:rank] if graded else [x > 0 for x in padded[:rank]]) / rank
        return total

    found = sum(r > 0 for r in padded)
    if form == "P@K":
        return found / k
    if form == "ACG@K":
        return sum(r / sum(query) for r in padded) / k
    if form == "DCG@K":
        return dcg(padded)
    if form == "nDCG@K":
        return dcg(padded) / dcg(sorted(there, reverse=True)[:k]) if n_relevant else NAN
    if form in {"mAP@K", "gmAP@K"}:
        return precisions(form == "gmAP@K") / found if found else 0.0
    if form in {"mAP@K:relevant", "gmAP@K:relevant"}:
        return precisions(form == "gmAP@K:relevant") / min(k, n_relevant) if n_relevant else NAN
    if form == "R@K":
        return found / n_relevant if n_relevant else NAN
    if form == "HR@K":
        return float(found > 0)
    if form == "P@K:relevant":
        return found / min(k, n_relevant) if n_relevant else NAN
    assert form == "MMV@K"
    hits = (hits + [-1] * k)[:k]
    ballots = dict.fromkeys([*range(len(query)), "none"], 0)
    for film in hits:
        having = [label for label in range(len(query)) if film >= 0 and database[film][label]]
        for label in having or ["none"]:
            ballots[label] += 1
    winners = [label for label, count in ballots.items() if count == max(ballots.values())]
    return sum(label != "none" and query[label] for label in winners) / len(winners)


@st.composite
def rankings(draw):
    n_queries, n_films, n_labels = draw(st.integers(1, 4)), draw(st.integers(1, 12)), draw(st.integers(1, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    density = draw(st.sampled_from([0.0, 0.2, 0.5, 1.0]))
    query_labels = rng.random((n_queries, n_labels)) < draw(st.sampled_from([0.2, 0.6]))
    database_labels = rng.random((n_films, n_labels)) < density
    allowed = rng.random(n_films) < draw(st.sampled_from([0.5, 1.0]))
    excluded = [rng.choice(n_films, rng.integers(0, n_films + 1)) for _ in range(n_queries)]
    width = draw(st.integers(1, 15))
    ranked = np.full((n_queries, width), -1)
    for row, gone in enumerate(excluded):
        free = rng.permutation(np.setdiff1d(np.flatnonzero(allowed), gone))[: rng.integers(0, width + 1)]
        ranked[row, : len(free)] = free
    return ranked, query_labels, database_labels, excluded, allowed


@pytest.mark.parametrize("block", [1, 1 << 22], ids=["a query at a time", "one block"])
@given(case=rankings())
def test_every_measure_equals_the_loop(block, case):
    ranked, query_labels, database_labels, excluded, allowed = case
    names = [
        form.replace("K", str(k)) for form in list_measures() for k in {1, (ranked.shape[1] + 1) // 2, ranked.shape[1]}
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measures, "BLOCK", block)
        scores = evaluate_ranking(ranked, query_labels, database_labels, names, excluded=excluded, allowed=allowed)
    assert list(scores) == names
    for name, values in scores.items():
        assert values.dtype == np.float64
        assert values.shape == (len(ranked),)
        _, form, k = measures.parse_measure(name)
        for row, hits in enumerate(ranked.tolist()):
            gone = set(excluded[row].tolist()) | set(np.flatnonzero(~allowed).tolist())
            expected = naive(form, hits, query_labels[row].tolist(), database_labels.tolist(), k, gone)
            assert values[row] == pytest.approx(expected, rel=1e-12, abs=1e-12, nan_ok=True), (name, row)


@given(case=rankings())
def test_bounds_and_the_perfect_list(case):
    _, query_labels, database_labels, _, _ = case
    n_films = len(database_labels)
    grades = query_labels.astype(int) @ database_labels.T.astype(int)
    best = np.argsort(-grades, axis=1, kind="stable")
    names = [f"{form[:-1]}{n_films}" for form in ("P@K", "ACG@K", "nDCG@K", "mAP@K", "R@K", "HR@K")]
    scores = evaluate_ranking(best, query_labels, database_labels, [*names, f"mAP@{n_films}:relevant"])
    for values in scores.values():
        assert np.all((values[~np.isnan(values)] >= 0) & (values[~np.isnan(values)] <= 1))
    findable = (grades > 0).any(axis=1)
    assert np.all(scores[f"nDCG@{n_films}"][findable] == 1.0)  # exactly: the same sum in the same order
    for name in (f"mAP@{n_films}", f"mAP@{n_films}:relevant", f"R@{n_films}"):
        np.testing.assert_allclose(scores[name][findable], 1.0, rtol=1e-12)


def test_worked_example_of_the_documentation():
    # query {Effusion, Mass}; database a: both, b: Effusion, c: none, d: Mass
    database = [[1, 1], [1, 0], [0, 0], [0, 1]]
    scores = evaluate_ranking([[1, 2, 0]], [[1, 1]], database, [form.replace("K", "3") for form in list_measures()])
    dcg, ideal = 1 + 3 / 2, 3 + 1 / math.log2(3) + 1 / 2
    assert scores["P@3"][0] == pytest.approx(2 / 3)
    assert scores["ACG@3"][0] == pytest.approx((1 + 0 + 2) / 2 / 3)
    assert scores["DCG@3"][0] == pytest.approx(dcg)
    assert scores["nDCG@3"][0] == pytest.approx(dcg / ideal)
    assert scores["mAP@3"][0] == pytest.approx((1 + 2 / 3) / 2)
    assert scores["mAP@3:relevant"][0] == pytest.approx((1 + 2 / 3) / 3)
    assert scores["gmAP@3"][0] == pytest.approx((1 + 3 / 3) / 2)
    page = (Path(__file__).parents[2] / "docs" / "measures.md").read_text(encoding="utf-8")
    documented = dict(re.findall(r"^\| `(\S+)@K` \|.*= ([0-9.]+) \|$", page, flags=re.MULTILINE))
    assert set(documented) >= {"ACG", "DCG", "nDCG", "mAP"}
    for name, figure in documented.items():
        assert scores[f"{name}@3"][0] == pytest.approx(float(figure), abs=6e-5)
    assert all(f"| `{form}` |" in page for form in list_measures())


def test_undefined_queries_are_nan_and_the_rest_is_not():
    database = np.array([[1, 0], [1, 0], [0, 0]], dtype=bool)
    queries = np.array([[0, 0], [0, 1], [1, 0]], dtype=bool)  # no finding; nothing to find; ordinary
    names = [form.replace("K", "2") for form in list_measures()]
    scores = evaluate_ranking([[0, 1], [0, 1], [2, -1]], queries, database, names)
    assert all(np.isnan(values[0]) for values in scores.values())
    undefined = {name for name, values in scores.items() if np.isnan(values[1])}
    assert undefined == {"nDCG@2", "R@2", "mAP@2:relevant", "gmAP@2:relevant", "P@2:relevant"}
    assert all(values[1] == 0 for name, values in scores.items() if name not in undefined)
    assert all(values[2] == 0 for values in scores.values())


def test_excluding_the_only_relevant_film_makes_ndcg_undefined():
    database, query = [[1], [0]], [[1]]
    assert evaluate_ranking([[1]], query, database, ["nDCG@1"])["nDCG@1"][0] == 0
    for limits in ({"excluded": [[0]]}, {"excluded": [[0, 0]]}, {"allowed": np.array([False, True])}):
        assert np.isnan(evaluate_ranking([[1]], query, database, ["nDCG@1"], **limits)["nDCG@1"][0])
    both = {"excluded": [[0]], "allowed": np.array([False, True])}  # counted out once, not twice
    assert np.isnan(evaluate_ranking([[1]], query, database, ["nDCG@1"], **both)["nDCG@1"][0])


def test_many_labels_do_not_overflow():
    n_labels = 1500
    database = np.ones((3, n_labels), dtype=bool)
    database[1, 700:] = False
    database[2] = False
    query = np.ones((1, n_labels), dtype=bool)
    scores = evaluate_ranking([[1, 0, 2]], query, database, ["nDCG@3", "P@3"])
    assert scores["nDCG@3"][0] == pytest.approx((2.0**-800 + 1 / math.log2(3)) / 1.0)
    assert scores["P@3"][0] == pytest.approx(2 / 3)
    # The best grade of the database, not of the query, sets the scale: a single shared label must not vanish.
    few = np.zeros((2, n_labels), dtype=bool)
    few[0, 0] = True
    assert evaluate_ranking([[1, 0]], query, few, ["nDCG@2"])["nDCG@2"][0] == pytest.approx(1 / math.log2(3))
    with pytest.raises(InvalidParameterError, match=r"DCG@3.*nDCG@3.*beyond float64"):
        evaluate_ranking([[1, 0, 2]], query, database, ["DCG@3"])


def test_a_majority_of_unlabelled_films_or_of_pads_is_wrong_and_a_tie_counts_its_share():
    database = np.array([[1, 0], [0, 0], [0, 0], [0, 1], [1, 1]], dtype=bool)
    query = np.array([[1, 0]], dtype=bool)

    def vote(*hits):
        return float(evaluate_ranking([hits], query, database, [f"MMV@{len(hits)}"])[f"MMV@{len(hits)}"][0])

    assert vote(0, 4) == 1
    assert vote(0, 1, 2) == 0
    assert vote(0, -1, -1) == 0
    assert vote(0, 3) == vote(4) == 0.5
    assert vote(0, 3, 1) == pytest.approx(1 / 3)


def test_precision_of_a_rare_finding_is_capped_at_its_films():
    database = np.array([[1], [1], [0], [0], [0]], dtype=bool)
    scores = evaluate_ranking([[0, 1, 2, 3, 4]], [[True]], database, ["P@5", "P@5:relevant", "P@1:relevant"])
    assert scores["P@5"][0] == 0.4
    assert scores["P@5:relevant"][0] == scores["P@1:relevant"][0] == 1


def test_no_queries_give_empty_arrays():
    scores = evaluate_ranking(np.empty((0, 5), dtype=int), np.empty((0, 2), bool), [[1, 0]], ["P@5"], excluded=[])
    assert scores["P@5"].shape == (0,)


@pytest.mark.parametrize("name", ["P", "P@", "p@10", "P@K", "P@-1", "R@10:relevant", "mAP@10:all", "MRR@10", 10])
def test_unknown_measures_list_the_known_forms(name):
    with pytest.raises(UnknownNameError, match=r"measures=.*ACG@K, DCG@K, HR@K, MMV@K, P@K, P@K:relevant, R@K, gmAP@K"):
        evaluate_ranking([[0]], [[1]], [[1]], [name])


def test_a_narrow_list_counts_as_padded():
    labels = np.ones((6, 1), np.bool_)
    narrow = evaluate_ranking([[0, 1]], labels[:1], labels, ["P@5", "nDCG@5"])
    padded = evaluate_ranking([[0, 1, -1, -1, -1]], labels[:1], labels, ["P@5", "nDCG@5"])
    assert narrow["P@5"][0] == padded["P@5"][0] == 0.4
    assert narrow["nDCG@5"][0] == padded["nDCG@5"][0]


def test_unknown_measure_guesses_the_form():
    with pytest.raises(UnknownNameError, match="did you mean 'nDCG@K'"):
        evaluate_ranking([[0]], [[1]], [[1]], ["nDGC@10"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"measures": ["P@0"]}, r"measures='P@0' is not allowed: give K >= 1"),
        ({"measures": []}, r"at least one of P@K"),
        ({"ranked": [[0, 0], [1, 2]]}, r"ranked=0.*at most once.*query 0 has it twice"),
        ({"ranked": [[0, 1], [-1, 2]]}, r"pads \(-1\) only after the last hit.*query 1 has one at rank 1"),
        ({"ranked": [[0, 1], [1, 3]]}, r"ranked=3.*rows 0 ... 2.*query 1, rank 2"),
        ({"ranked": [[0, -2], [1, 2]]}, r"ranked=-2.*query 0, rank 2"),
        ({"ranked": [[0, 1]]}, r"ranked=\(1, 2\).*\(2, K\), one row per query"),
        ({"ranked": [[0.0, 1.0], [1.0, 2.0]]}, r"ranked='float64'.*integers"),
        ({"database_labels": [[1, -1], [0, 1], [0, 0]]}, r"database_labels='an uncertain label.*relevance\(\)"),
        ({"database_labels": np.empty((0, 2), bool)}, r"at least one film"),
        ({"query_labels": [[1], [1]]}, r"query_labels=\(2, 1\).*2 labels of database_labels"),
        ({"query_labels": [1, 1]}, r"query_labels=\(2, 1\).*both in the same form"),
        ({"excluded": [[0]]}, r"excluded='1 lists'.*2 queries"),
        ({"excluded": [[5], []]}, r"excluded=\[5\].*rows 0 ... 2"),
        ({"excluded": [[], [2]]}, r"ranked=2.*query 1 has an excluded film at rank 2"),
        ({"allowed": np.array([True, False, True])}, r"ranked=1.*query 0 has an excluded film at rank 2"),
        ({"allowed": [1, 1, 1]}, r"allowed='int64 \(3,\)'.*boolean mask of 3 films"),
    ],
)
def test_wrong_input_is_named(changes, message):
    call = {
        "ranked": [[0, 1], [1, 2]],
        "query_labels": [[1, 0], [1, 1]],
        "database_labels": [[1, 0], [0, 1], [0, 0]],
        "measures": ["P@2"],
    }
    evaluate_ranking(**call)
    with pytest.raises(InvalidParameterError, match=message):
        evaluate_ranking(**(call | changes))


def test_input_is_not_changed_and_one_name_is_enough():
    ranked = np.array([[1, 0, -1]], dtype=np.int32)
    before = ranked.copy()
    assert evaluate_ranking(ranked, [[True]], [[True], [False]], "P@3")["P@3"][0] == pytest.approx(1 / 3)
    np.testing.assert_array_equal(ranked, before)
