"""What is chosen from scores that are given: by gains over patients that took no part, with a floor of variety."""

from types import SimpleNamespace

import numpy as np
import pytest

from graphret.retrieval import QueryBatch
from graphret.tuning import Candidate, choose_ranking, contest

N_QUERIES = 40
UNCLEAR = np.where(np.arange(N_QUERIES) % 2, 0.3, -0.25)
"""Differences of queries whose mean is above 0 and whose interval is not."""
CLEAR = np.where(np.arange(N_QUERIES) % 2, 0.03, 0.01)


class FirstFit:
    """A learner that says what it was asked to learn."""

    def fit(self, options):
        return dict(options)


class ScriptedLists:
    """Stands for the lists of candidates: scores, variety of the hits, and scores by the lists of others (else 0)."""

    def __init__(self, candidates, named):
        self.candidates, self.named = candidates, named
        self.queries, self.depth, self.asked = range(N_QUERIES), 10, []

    def chunks(self, numbers, n_queries):
        return [[number] for number in numbers]

    def rank(self, numbers, rows):
        self.asked.append((self.name(numbers[0]), rows))
        n_hits = (rows.stop - rows.start) * 10
        n_films = round(self.candidates[self.name(numbers[0])][1] * n_hits)
        return (np.arange(n_hits, dtype=np.int32) % n_films).reshape(1, -1, 10)

    def values(self, lists, rows):
        name, rows = self.asked[-1]
        scores, _, *of_others = self.candidates[name]
        if len(lists) > 1:  # all deals of one candidate
            return {"score": np.tile(of_others[0] if of_others else np.zeros(N_QUERIES), (len(lists), 1))[:, rows]}
        return {"score": scores[None, rows]}

    def forget_others(self, numbers):
        pass

    def name(self, number):
        return self.named[number].options.get("name", "nearest")


@pytest.fixture
def choose(monkeypatch):
    """Choose among candidates {name: (scores of the queries, variety)}; learned ones are called "learned ..."."""

    def choose(candidates, *, patients=None, **options):
        patients = np.arange(N_QUERIES).astype(str) if patients is None else patients.astype(str)
        named = [
            Candidate("contextual", {"name": name}, {"ridge": 0.1} if name.startswith("learned") else None)
            for name in candidates
            if name != "nearest"
        ]
        lists = ScriptedLists(candidates, [Candidate("nearest", {}), *named])
        monkeypatch.setattr(contest, "CandidateLists", lambda *_: lists)
        nothing = np.zeros((N_QUERIES, 1), np.float32)
        queries = QueryBatch(nothing, nothing.astype(np.int32), nothing)
        criterion = SimpleNamespace(name="score", depth=10, values=lists.values, patients=lambda n: patients[:n])
        archive = SimpleNamespace(n_films=10**6)
        tuning = choose_ranking(archive, queries, criterion, named, learner=FirstFit(), **options)
        return tuning.options.get("name", "nearest"), tuning

    return choose


NEAREST = np.full(N_QUERIES, 0.5)


@pytest.mark.parametrize(("difference", "expected"), [(UNCLEAR, "nearest"), (CLEAR, "other")])
def test_nearest_goes_only_where_the_interval_lies_above_zero(choose, difference, expected):
    name, tuning = choose({"nearest": (NEAREST, 1.0), "other": (NEAREST + difference, 1.0)})
    assert tuning.trials[0].options, "its mean is the best"
    assert name == expected
    assert (tuning.difference.low > 0) == (expected == "other")


@pytest.mark.parametrize(
    ("plain", "learned", "expected"),
    [
        (0.1 + 0 * CLEAR, 0.1 + CLEAR, "learned"),
        (0.1 + 0 * CLEAR, 0.1 - CLEAR, "plain"),
        (
            0.1 + 0 * CLEAR,
            0.11 + UNCLEAR,
            "plain",
        ),  # the best on average, but by chance: the best without labels is clear
        (UNCLEAR, 0.1 + UNCLEAR, "nearest"),
    ],
)
def test_labels_are_learned_from_where_that_is_best_and_clear(choose, plain, learned, expected):
    given = {"nearest": NEAREST, "plain": NEAREST + plain, "learned": NEAREST + learned}
    name, tuning = choose({name: (scores, 1.0) for name, scores in given.items()})
    assert name == expected
    told = given["learned" if expected == "nearest" else expected] - NEAREST
    assert tuning.difference.mean == pytest.approx(told.mean(), abs=0.01)


@pytest.mark.parametrize(("to_others", "expected"), [(0.0, "other"), (0.05, "other"), (0.1, "nearest")])
def test_a_gain_that_every_query_has_by_the_same_lists_is_none(choose, to_others, expected):
    everybody = np.full(N_QUERIES, 0.1)
    candidates = {
        "nearest": (NEAREST, 1.0, everybody),
        "other": (NEAREST + 0.1 + CLEAR / 10, 1.0, everybody + to_others),
    }
    if expected == "nearest":
        candidates["other"] = (NEAREST + 0.1 + UNCLEAR / 10, 1.0, everybody + to_others)
    name, tuning = choose(candidates)
    assert name == expected
    assert tuning.difference.low > 0, "what is told is the gain itself"
    left = (candidates["other"][0] - NEAREST).mean() - to_others
    assert tuning.own_gain.mean == pytest.approx(left)


def test_without_a_gain_nobody_asks_whose_it_is(choose):
    _, tuning = choose({"nearest": (NEAREST, 1.0), "other": (NEAREST - 0.1, 1.0)})
    assert tuning.own_gain is None
    assert tuning.to_dict()["own_gain"] is None


@pytest.mark.parametrize(("learns", "expected"), [(False, "nearest"), (True, "nearest"), (None, "other")])
def test_the_level_is_shared_by_the_rules_that_are_judged(choose, monkeypatch, learns, expected):
    """p of one rule alone may be twice as large as where metrics are learned, and two rules are judged."""
    p_value = 0.0007
    told = SimpleNamespace(mean=0.1, low=0.05, p_value=p_value)
    monkeypatch.setattr(contest, "paired_difference", lambda *_, **__: told)
    candidates = {"nearest": (NEAREST, 1.0), "other": (NEAREST + 0.1, 1.0)}
    if learns is not None:
        candidates["learned"] = (NEAREST + (0.2 if learns else 0.05), 1.0)
    assert choose(candidates)[0] == expected


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


def test_what_is_promised_comes_from_queries_that_took_no_part(choose):
    """Each of many candidates is good for a tenth of the patients by chance: choosing the luckiest promises nothing."""
    rng = np.random.default_rng(0)
    lucky = {f"lucky {number}": (NEAREST + rng.normal(0, 0.2, N_QUERIES), 1.0) for number in range(200)}
    name, tuning = choose({"nearest": (NEAREST, 1.0), **lucky})
    best = max(trial.value for trial in tuning.trials if trial.n_queries == N_QUERIES)
    assert best - 0.5 > 0.05, "the best looks good on the queries that chose it"
    assert tuning.difference.mean < 0.02
    assert name == "nearest"


def test_no_query_chooses_for_another_of_its_patient(choose):
    """Each candidate is good for one patient only: whoever chose it says nothing about another patient."""
    patients = np.arange(N_QUERIES) // 5
    good_for = {
        f"good for {patient}": (NEAREST + 0.4 / (1 + patient) * (patients == patient), 1.0) for patient in range(8)
    }
    name, tuning = choose({"nearest": (NEAREST, 1.0), **good_for}, patients=patients)
    assert tuning.difference.mean == pytest.approx(0)
    assert name == "nearest"


def test_a_candidate_far_behind_is_asked_no_further(choose, monkeypatch):
    monkeypatch.setattr(contest, "FIRST_BLOCK", 10)
    noise = np.random.default_rng(0).normal(0, 0.02, N_QUERIES)
    candidates = {
        "nearest": (NEAREST - 0.3, 1.0),
        "best": (NEAREST, 1.0),
        "close": (NEAREST + noise - 0.01, 1.0),
        "hopeless": (NEAREST + noise - 0.2, 1.0),
    }
    name, tuning = choose(candidates)
    asked = {trial.options.get("name", "nearest"): trial.n_queries for trial in tuning.trials}
    assert name == "best"
    assert asked == {"nearest": N_QUERIES, "best": N_QUERIES, "close": N_QUERIES, "hopeless": 10}
    assert tuning.difference.mean == pytest.approx(0.3)
