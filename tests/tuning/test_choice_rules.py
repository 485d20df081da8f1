"""What is chosen from scores that are given: by intervals over patients, with a floor of variety."""

import numpy as np
import pytest

from graphret.retrieval import QueryBatch
from graphret.tuning import Candidate, choose_ranking, successive_halving
from graphret.tuning.criteria import SharedFindings
from graphret.tuning.successive_halving import Trial

N_QUERIES = 40
UNCLEAR = np.where(np.arange(N_QUERIES) % 2, 0.3, -0.25)
"""Differences of queries whose mean is above 0 and whose interval is not."""
CLEAR = np.where(np.arange(N_QUERIES) % 2, 0.03, 0.01)


class FirstFit:
    """A learner that says what it was asked to learn."""

    def fit(self, options):
        return dict(options)


@pytest.fixture
def choose(monkeypatch):
    """Choose among candidates {name: (scores of the queries, variety)}; learned ones are called "learned ..."."""

    def choose(candidates, *, patients=None, **options):
        def scripted(archive, batch, criterion, candidate, learner, n_threads):
            scores, variety = candidates[candidate.options.get("name", "nearest")]
            trial = Trial(candidate.ranking, candidate.options, len(batch), {}, float(np.mean(scores)), variety, 0.0)
            return trial, scores

        monkeypatch.setattr(successive_halving, "_try", scripted)
        nothing = np.zeros((N_QUERIES, 1), np.float32)
        queries = QueryBatch(nothing, nothing.astype(np.int32), nothing)
        patients = np.arange(N_QUERIES) if patients is None else patients
        labels = np.ones((N_QUERIES, 1), bool)
        criterion = SharedFindings(labels, labels, patients.astype(str), [[]] * N_QUERIES)
        named = [
            Candidate("contextual", {"name": name}, {"ridge": 0.1} if name.startswith("learned") else None)
            for name in candidates
            if name != "nearest"
        ]
        tuning = choose_ranking(None, queries, criterion, named, learner=FirstFit(), **options)
        return tuning.options.get("name", "nearest"), tuning

    return choose


NEAREST = np.full(N_QUERIES, 0.5)


@pytest.mark.parametrize(("difference", "expected"), [(UNCLEAR, "nearest"), (CLEAR, "other")])
def test_nearest_goes_only_where_the_interval_lies_above_zero(choose, difference, expected):
    name, tuning = choose({"nearest": (NEAREST, 1.0), "other": (NEAREST + difference, 1.0)})
    assert tuning.difference.mean > 0
    assert name == expected
    assert (tuning.difference.low > 0) == (expected == "other")


@pytest.mark.parametrize(("difference", "expected"), [(UNCLEAR, "plain"), (CLEAR, "learned")])
def test_labels_are_learned_from_only_where_that_is_clearly_better(choose, difference, expected):
    plain = NEAREST + 0.1
    name, tuning = choose({"nearest": (NEAREST, 1.0), "plain": (plain, 1.0), "learned": (plain + difference, 1.0)})
    assert name == expected
    scores = {"plain": plain, "learned": plain + difference}[expected]
    assert tuning.difference.mean == pytest.approx((scores - NEAREST).mean())


@pytest.mark.parametrize(("variety", "expected"), [(0.5, "various"), (0.25, "monotone")])
def test_the_best_without_enough_variety_gives_way_to_the_next(choose, variety, expected):
    candidates = {
        "nearest": (NEAREST, 0.8),
        "monotone": (NEAREST + 0.3, 0.39),
        "various": (NEAREST + 0.1, 0.4),
    }
    name, tuning = choose(candidates, variety=variety)
    assert name == expected
    assert tuning.variety_floor == pytest.approx(0.8 * variety)
    # with nothing else to choose it is nearest, not the one without variety
    alone = {name: entry for name, entry in candidates.items() if name != "various"}
    assert choose(alone, variety=variety)[0] == ("nearest" if variety == 0.5 else "monotone")


@pytest.mark.parametrize(("queries_each", "expected"), [(1, "other"), (10, "nearest")])
def test_ten_queries_of_a_patient_are_one_observation(choose, queries_each, expected):
    """A quarter of the queries loses: clear for forty patients, and not for four with ten queries each."""
    difference = np.where(np.arange(N_QUERIES) < N_QUERIES // 4, -0.2, 0.3)
    patients = np.arange(N_QUERIES) // queries_each
    name, _ = choose({"nearest": (NEAREST, 1.0), "other": (NEAREST + difference, 1.0)}, patients=patients)
    assert name == expected
