"""Measures agree with ir-measures (trec_eval) where the two define the same thing."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from graphret.evaluation import evaluate_ranking, write_qrels, write_run

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    ir_measures = pytest.importorskip("ir_measures")
    pytest.importorskip("pytrec_eval")

K = 7


@pytest.fixture(scope="module")
def case():
    rng = np.random.default_rng(3)
    database = rng.random((60, 4)) < 0.25
    queries = rng.random((25, 4)) < 0.5
    queries[:, 0] |= ~queries.any(axis=1)
    database[0] = True  # every query has something to find: trec_eval leaves the others out without a word
    ranked = np.array([rng.permutation(60)[:K] for _ in queries])
    ranked[::3, 4:] = -1
    return ranked, queries, database


@pytest.fixture(scope="module")
def oracle(case, tmp_path_factory):
    """Values per query from the files that graphret writes, read by ir-measures itself."""
    ranked, queries, database = case
    folder = tmp_path_factory.mktemp("trec")
    query_ids, film_ids = [f"q{i:02}" for i in range(len(queries))], [f"f{i:02}" for i in range(len(database))]
    write_run(folder / "run", query_ids, ranked, film_ids)
    write_qrels(folder / "qrels", query_ids, queries, film_ids, database)

    def values(measure):
        run = ir_measures.read_trec_run(str(folder / "run"))
        qrels = list(ir_measures.read_trec_qrels(str(folder / "qrels")))
        by_query = {m.query_id: m.value for m in ir_measures.pytrec_eval.iter_calc([measure], qrels, run)}
        return np.array([by_query[query] for query in query_ids])

    return values


def n_relevant(case):
    _, queries, database = case
    return ((queries.astype(int) @ database.T.astype(int)) > 0).sum(axis=1)


def test_precision_recall_and_success(case, oracle):
    scores = evaluate_ranking(*case, [f"P@{K}", f"R@{K}", f"HR@{K}"])
    np.testing.assert_allclose(scores[f"P@{K}"], oracle(ir_measures.P @ K), atol=1e-12)
    np.testing.assert_allclose(scores[f"R@{K}"], oracle(ir_measures.R @ K), atol=1e-12)
    np.testing.assert_allclose(scores[f"HR@{K}"], oracle(ir_measures.Success @ K), atol=1e-12)


def test_ndcg_with_exponential_gains(case, oracle):
    gains = {grade: 2**grade - 1 for grade in range(1, 5)}
    scores = evaluate_ranking(*case, [f"nDCG@{K}"])
    np.testing.assert_allclose(scores[f"nDCG@{K}"], oracle(ir_measures.nDCG(gains=gains) @ K), atol=1e-9)


def test_average_precision_over_the_relevant(case, oracle):
    # trec_eval divides by all relevant films, graphret by min(K, all relevant): the same where all fit into the list.
    number = n_relevant(case)
    assert (number > K).any()
    scores = evaluate_ranking(*case, [f"mAP@{K}:relevant"])
    np.testing.assert_allclose(
        scores[f"mAP@{K}:relevant"] * np.minimum(number, K) / number, oracle(ir_measures.AP @ K), atol=1e-9
    )
