"""Metrics that are learned while an archive is tuned: never from films of the patient that asks."""

from dataclasses import replace

import numpy as np
import pytest

import graphret
from graphret._errors import InvalidParameterError
from graphret.communities import louvain
from graphret.data import ImageTable
from graphret.graph import similarity_graph
from graphret.neighbors import ExactSearch, nearest_neighbors
from graphret.retrieval import Archive, QueryBatch, create_ranking
from graphret.tuning import Candidate, choose_ranking, default_candidates, tune
from graphret.tuning.criteria import SharedFindings
from graphret.tuning.metric_learner import OUTSIDE, MetricLearner, folds_of

N_FILMS = 300
METRIC = {"discriminant_share": 0.8, "ridge": 0.01}
LEARNED = Candidate("contextual", {"learned": True, "n": 0, "context": 0.0}, METRIC)


def codes_and_labels(*, by_chance=False):
    """The finding shows in 3 directions of 30, others vary more; or findings have nothing to do with codes."""
    rng = np.random.default_rng(6)
    kinds = rng.integers(0, 3, N_FILMS)
    codes = rng.normal(size=(N_FILMS, 30)) * np.linspace(3, 1, 30)
    codes[:, 27:] += 2.5 * np.eye(3)[kinds]
    if by_chance:
        kinds = rng.integers(0, 3, N_FILMS)
    return codes.astype(np.float32), kinds[:, None] == np.arange(3)


PATIENTS = np.array([f"patient{row % 150}" for row in range(N_FILMS)])


@pytest.fixture(scope="module")
def archive():
    codes, _ = codes_and_labels()
    graph = similarity_graph(nearest_neighbors(codes, 10))
    return Archive(codes, graph, louvain(graph).labels, ExactSearch(codes), k=10)


def learner_of(archive, labels, *, n_folds=5, asking=None):
    folds = folds_of(PATIENTS, n_folds, seed=0)
    return MetricLearner(archive, labels, folds, folds[np.arange(N_FILMS) if asking is None else asking])


def test_all_films_of_a_patient_have_one_fold_and_folds_are_of_one_size():
    folds = folds_of(PATIENTS, 5, seed=0)
    assert np.array_equal(folds[:150], folds[150:])
    assert np.bincount(folds).tolist() == [60] * 5
    assert not np.array_equal(folds, folds_of(PATIENTS, 5, seed=1))


def test_a_metric_for_a_fold_does_not_know_its_labels(archive):
    labels = codes_and_labels()[1]
    learner = learner_of(archive, labels)
    changed = np.where((learner.folds == 2)[:, None], ~labels, labels)
    other = learner_of(archive, changed)
    for fold, same in ((2, True), (0, False), (OUTSIDE, False)):
        one, two = (entry.archive_for(METRIC, fold).metric.directions for entry in (learner, other))
        assert np.array_equal(one, two) is same
    alone = MetricLearner(archive, labels, np.zeros(N_FILMS, np.int64), np.full(1, OUTSIDE)).fit(METRIC)
    whole, summed = alone.project(archive.codes), learner.fit(METRIC).project(archive.codes)
    np.testing.assert_allclose(summed @ summed.T, whole @ whole.T, atol=1e-4, err_msg="all folds are all films")


@pytest.fixture(scope="module")
def contest_of(archive):
    """Films of the archive ask, each without the films of its patient."""

    def make(labels, candidates, *, n_folds=5):
        asking = np.random.default_rng(1).permutation(N_FILMS)[:150]
        forbidden = [np.flatnonzero(patient == PATIENTS).astype(np.int32) for patient in PATIENTS[asking]]
        batch = QueryBatch.of(archive, archive.codes[asking], 50, forbidden=forbidden)
        criterion = SharedFindings(labels[asking], labels, PATIENTS[asking], forbidden, ["P@10"])
        learner = learner_of(archive, labels, n_folds=n_folds, asking=asking)
        if n_folds == 1:
            learner = replace(learner, query_folds=np.full(asking.size, OUTSIDE))
        return choose_ranking(archive, batch, criterion, candidates, learner=learner), learner

    return make


def test_a_metric_that_helps_is_chosen_and_then_learned_from_all_films(contest_of):
    labels = codes_and_labels()[1]
    tuning, learner = contest_of(labels, [LEARNED])
    assert tuning.ranking == "contextual"
    assert tuning.difference.low > 0.1
    best = tuning.trials[0]
    assert (best.options, best.metric) == (LEARNED.options, METRIC)
    assert np.array_equal(tuning.metric.directions, learner.fit(METRIC).directions)
    assert tuning.to_dict()["metric"] == tuning.metric.to_record()
    assert contest_of(labels, [Candidate("contextual", {"n": 3})])[0].metric is None


def test_labels_that_codes_do_not_show_are_not_learned_by_heart(contest_of):
    labels = codes_and_labels(by_chance=True)[1]
    honest, _ = contest_of(labels, [LEARNED])
    assert honest.ranking == "nearest"
    cheated, _ = contest_of(labels, [LEARNED], n_folds=1)
    by_heart, learned = (next(trial for trial in found.trials if trial.metric) for found in (cheated, honest))
    assert by_heart.value > learned.value + 0.05, "without folds a metric knows the films that ask"


def test_the_choice_is_the_same_with_any_number_of_threads(archive):
    labels = codes_and_labels()[1]
    asking = np.arange(0, N_FILMS, 3)
    forbidden = [np.flatnonzero(patient == PATIENTS).astype(np.int32) for patient in PATIENTS[asking]]
    batch = QueryBatch.of(archive, archive.codes[asking], 50, forbidden=forbidden)
    criterion = SharedFindings(labels[asking], labels, PATIENTS[asking], forbidden, ["P@10"])
    first, second = (
        choose_ranking(
            archive, batch, criterion, [LEARNED], learner=learner_of(archive, labels, asking=asking), n_threads=n
        )
        for n in (1, 2)
    )
    assert [trial.value for trial in first.trials] == [trial.value for trial in second.trials]
    assert first.metric.to_record() == second.metric.to_record()


def test_a_candidate_that_learns_needs_a_learner(archive):
    batch = QueryBatch.of(archive, archive.codes[:5], 10)
    criterion = SharedFindings(np.ones((5, 1), bool), np.ones((N_FILMS, 1), bool), PATIENTS[:5], [[]] * 5, ["P@5"])
    with pytest.raises(InvalidParameterError, match=r"learner=None.*a MetricLearner"):
        choose_ranking(archive, batch, criterion, [LEARNED])


def test_the_learned_candidates_can_all_be_made(archive):
    learner = learner_of(archive, codes_and_labels()[1])
    plain, learned = default_candidates(), default_candidates(learned=True)
    assert [candidate for candidate in learned if candidate.metric is None] == plain
    for candidate in (candidate for candidate in learned if candidate.metric is not None):
        assert candidate.options["learned"]
        create_ranking(candidate.ranking, learner.archive_for(candidate.metric, OUTSIDE), **candidate.options)


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    codes, labels = codes_and_labels()
    films = ImageTable(
        ids=[f"film{row}" for row in range(N_FILMS)],
        paths=[],
        labels=labels.astype(np.int8),
        label_names=("a", "b", "c"),
        patients=PATIENTS.tolist(),
        views=[""] * N_FILMS,
        splits=["train"] * N_FILMS,
    )
    return graphret.build(codes, films=films, out=tmp_path_factory.mktemp("own") / "index", k=10, tune=False)


def test_a_tuned_index_keeps_its_metric_and_answers_alike_after_opening(index):
    code = index.codes[3] + np.float32(0.1)
    tuning = tune(index, candidates=[LEARNED], n_queries=150)
    assert tuning.metric is not None
    index.record_tuning(tuning.to_dict())
    expected = create_ranking("contextual", index.archive.with_metric(tuning.metric), **LEARNED.options)
    expected = expected.rank(QueryBatch.of(index.archive, code[None], 10), 10)
    for opened in (index, graphret.open(index.path)):
        hits = opened.query(code, 10)
        assert np.array_equal(hits.positions, expected.positions)  # type: ignore[attr-defined]
        assert np.array_equal(hits.scores, expected.scores)  # type: ignore[attr-defined]
    other = tune(index, candidates=[replace(LEARNED, metric={"discriminant_share": 0.5, "ridge": 0.1})], n_queries=150)
    index.record_tuning(other.to_dict())
    assert not np.array_equal(index.query(code, 10).scores, expected.scores), "the metric before is forgotten"  # type: ignore[attr-defined]
    index.forget_tuning()
    assert index.archive.metric is None
    assert index.query(code, 10).ranking == "nearest"


def test_without_learning_no_metric_is_tried(index, monkeypatch):
    def few(*, learned):
        return [Candidate("contextual", {"n": 3}), *([LEARNED] if learned else [])]

    monkeypatch.setattr("graphret.tuning.contest.default_candidates", few)
    for options, learns in (({}, True), ({"learn": False}, False)):
        assert any(trial.metric is not None for trial in tune(index, n_queries=8, **options).trials) is learns


def test_a_metric_that_is_hardly_better_than_a_form_without_labels_is_not_chosen(contest_of):
    labels = codes_and_labels()[1]
    alone, learner = contest_of(labels, [LEARNED])
    twin = Candidate("contextual", {"learned": True, "n": 0, "context": 0.0})
    with pytest.MonkeyPatch.context() as patch:
        metric = learner.fit(METRIC)  # a form without labels that is as good: the same metric, there beforehand
        made = create_ranking

        def create(name, archive, **options):
            return made(name, archive if archive.metric is not None else archive.with_metric(metric), **options)

        patch.setattr("graphret.tuning.candidate_lists.create_ranking", create)
        tuning, _ = contest_of(labels, [twin, LEARNED])
    assert alone.metric is not None
    assert tuning.metric is None
    assert (tuning.ranking, tuning.options) == ("contextual", twin.options)
