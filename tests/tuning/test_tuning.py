"""Tuning: what is compared, what is chosen, and that it is the same every time."""

import itertools
from contextlib import contextmanager

import numpy as np
import pytest

import graphret
from graphret._errors import InvalidParameterError
from graphret.communities import louvain
from graphret.data import ImageTable
from graphret.graph import similarity_graph
from graphret.neighbors import ExactSearch, nearest_neighbors
from graphret.retrieval import Archive, QueryBatch, create_ranking
from graphret.tuning import Candidate, Tuning, choose_ranking, default_candidates, tune
from graphret.tuning.contest import FIRST_BLOCK
from graphret.tuning.criteria import SharedFindings

N_FILMS = 300


def noisy_groups(rng, n):
    """Codes of three groups in 30 dimensions with noise that neighbours can average away; the group is the label."""
    groups = rng.integers(0, 3, n)
    codes = np.eye(3, 30)[groups] * 1.6 + rng.normal(size=(n, 30)) * 0.55
    return codes.astype(np.float32), groups[:, None] == np.arange(3)


@pytest.fixture(scope="module")
def contest():
    """Archive, queries from outside it, and their criterion: expansion clearly helps here."""
    rng = np.random.default_rng(7)
    codes, labels = noisy_groups(rng, N_FILMS)
    graph = similarity_graph(nearest_neighbors(codes, 10))
    archive = Archive(codes, graph, louvain(graph).labels, ExactSearch(codes), k=10)
    query_codes, query_labels = noisy_groups(rng, 150)
    nobody = [np.empty(0, np.int32)] * 150
    queries = QueryBatch.of(archive, query_codes, 50, forbidden=nobody)
    patients = np.arange(150).astype(str)
    return archive, queries, SharedFindings(query_labels, labels, patients, nobody, ["P@10"]), labels, query_labels


CANDIDATES = [
    Candidate("contextual", {"n": n, "context": context}) for n, context in itertools.product((0, 5, 20), (0.0, 0.5))
]


def test_the_best_candidate_is_chosen_and_its_figures_are_those_of_the_measure(contest):
    archive, queries, criterion, labels, query_labels = contest
    tuning = choose_ranking(archive, queries, criterion, CANDIDATES, variety=0.0)
    by_hand = {}
    for candidate in [Candidate("nearest", {}), *CANDIDATES]:
        lists = create_ranking(candidate.ranking, archive, **candidate.options).rank(queries, 10).positions
        hits = labels[lists] & query_labels[:, None]
        by_hand[candidate.ranking, *candidate.options.values()] = hits.any(axis=2).mean()
    assert tuning.n_queries == 150
    assert tuning.complete
    for trial in tuning.trials:
        if trial.n_queries == 150:
            assert trial.value == pytest.approx(by_hand[trial.ranking, *trial.options.values()])
    best = max(tuning.trials, key=lambda trial: (trial.n_queries, trial.value))
    assert (tuning.ranking, tuning.options) == (best.ranking, best.options)
    assert tuning.difference.low > 0
    assert best.value > by_hand[("nearest",)]


def test_every_candidate_is_asked_and_those_that_stay_are_asked_all(contest):
    archive, queries, criterion, *_ = contest
    tuning = choose_ranking(archive, queries, criterion, CANDIDATES)
    sizes = [trial.n_queries for trial in tuning.trials]
    assert set(sizes) <= {FIRST_BLOCK, 2 * FIRST_BLOCK, 150}
    assert len(sizes) == 1 + len(CANDIDATES), "every candidate was tried, nearest added"
    assert any(trial.ranking == "nearest" and trial.n_queries == 150 for trial in tuning.trials)


def test_nearest_stays_where_nothing_is_clearly_better(contest):
    archive, queries, criterion, *_ = contest
    alike = [
        Candidate("contextual", {"n": 0, "context": 0.0}),
        Candidate("contextual", {"n": 1, "alpha": 40.0, "context": 0.0}),
    ]
    tuning = choose_ranking(archive, queries, criterion, alike)
    assert (tuning.ranking, tuning.options) == ("nearest", {})
    assert not tuning.difference.low > 0


def test_a_ranking_that_gives_everybody_the_same_films_is_not_chosen(contest):
    archive, queries, criterion, *_ = contest
    same_films = Candidate("contextual", {"n": 20, "density": 200.0, "pool": N_FILMS, "context": 0.0})
    strict = choose_ranking(archive, queries, criterion, [same_films])
    assert strict.ranking == "nearest"
    trial = next(trial for trial in strict.trials if trial.ranking == "contextual")
    assert trial.variety < strict.variety_floor
    assert 10 / N_FILMS <= trial.variety < 0.05, "hardly more than ten films for all queries"


def test_the_choice_does_not_depend_on_threads_and_comes_back(contest):
    archive, queries, criterion, *_ = contest

    def plain(tuning):
        return [
            (trial.ranking, dict(trial.options), trial.n_queries, trial.value, trial.variety) for trial in tuning.trials
        ]

    first = choose_ranking(archive, queries, criterion, CANDIDATES, n_threads=1)
    assert plain(first) == plain(choose_ranking(archive, queries, criterion, CANDIDATES, n_threads=2))


def test_when_the_time_is_over_what_was_tried_decides(contest):
    archive, queries, criterion, *_ = contest
    tuning = choose_ranking(archive, queries, criterion, CANDIDATES, budget=1e-9)
    assert not tuning.complete
    assert tuning.ranking == "nearest"
    assert [trial.ranking for trial in tuning.trials] == ["nearest"]


def test_kernels_that_are_compiled_take_no_time_of_the_tuning(contest, monkeypatch, caplog):
    archive, queries, criterion, *_ = contest

    @contextmanager
    def an_hour():
        yield lambda: 3600.0

    monkeypatch.setattr("graphret.tuning.contest.compile_seconds", an_hour)
    assert choose_ranking(archive, queries, criterion, CANDIDATES, budget=1e-9).complete
    assert not caplog.records
    monkeypatch.undo()
    assert not choose_ranking(archive, queries, criterion, CANDIDATES, budget=1e-9).complete
    assert "was over after 64 of" in caplog.text


def test_progress_ends_at_its_total(contest):
    archive, queries, criterion, *_ = contest
    said = []
    choose_ranking(archive, queries, criterion, CANDIDATES, progress=lambda *step: said.append(step))
    assert said[-1][0] == "tune"
    assert said[-1][1] == said[-1][2]


@pytest.mark.parametrize(
    ("options", "message"),
    [({"budget": 0}, "budget=0"), ({"variety": 1.5}, "variety=1.5"), ({"seed": -1}, "seed=-1")],
)
def test_values_out_of_range_are_refused(contest, options, message):
    archive, queries, criterion, *_ = contest
    with pytest.raises(InvalidParameterError, match=message):
        choose_ranking(archive, queries, criterion, CANDIDATES, **options)


def test_the_default_candidates_can_all_be_made(contest):
    archive = contest[0]
    candidates = default_candidates()
    assert len({(candidate.ranking, str(candidate.options)) for candidate in candidates}) == len(candidates)
    for candidate in candidates:
        create_ranking(candidate.ranking, archive, **candidate.options)


@pytest.fixture(scope="module")
def make_own_index(tmp_path_factory):
    def make(*, labelled=True, n_patients=100):
        codes, labels = noisy_groups(np.random.default_rng(7), N_FILMS)
        films = ImageTable(
            ids=[f"film{row}" for row in range(N_FILMS)],
            paths=[],
            labels=labels.astype(np.int8) if labelled else np.zeros((N_FILMS, 3), np.int8),
            label_names=("a", "b", "c"),
            patients=[f"patient{row % n_patients}" for row in range(N_FILMS)],
            views=[""] * N_FILMS,
            splits=["valid" if row % 3 == 0 else "train" for row in range(N_FILMS)],
        )
        return graphret.build(codes, films=films, out=tmp_path_factory.mktemp("own") / "index", k=10, tune=False)

    return make


def test_an_index_is_tuned_on_its_own_films_without_their_patients(make_own_index):
    index = make_own_index()
    seen = []

    class Spy(SharedFindings):
        def __init__(self, query_labels, database_labels, query_patients, excluded, measures):
            self.excluded = excluded
            super().__init__(query_labels, database_labels, query_patients, excluded, measures)

        def values(self, lists, rows):
            seen.append((lists[0], self.excluded[rows]))
            return super().values(lists, rows)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("graphret.tuning.tune_index.SharedFindings", Spy)
        tuning = tune(index, candidates=CANDIDATES, n_queries=40, seed=3)
    assert isinstance(tuning, Tuning)
    assert tuning.n_queries == 40
    lists, excluded = seen[0]
    for hits, own in zip(lists.tolist(), excluded, strict=True):
        assert len(own) == 3, "the film and the two others of its patient"
        assert not set(hits) & set(own.tolist())
    again = tune(index, candidates=CANDIDATES, n_queries=40, seed=3)
    assert [trial.value for trial in again.trials] == [trial.value for trial in tuning.trials]
    other = tune(index, candidates=CANDIDATES, n_queries=40, seed=4)
    assert [trial.value for trial in other.trials] != [trial.value for trial in tuning.trials]
    assert tune(index, candidates=CANDIDATES, split="valid").n_queries == 100
    assert not (index.path / "ranking.json").exists(), "tune writes nothing"


def test_the_interval_of_an_index_is_over_its_patients(make_own_index):
    difference = tune(make_own_index(n_patients=12), candidates=CANDIDATES[:1], n_queries=60).difference
    assert difference.n_queries == 60
    assert difference.n_patients == 12


def test_without_labels_nothing_is_chosen(make_own_index):
    with pytest.raises(InvalidParameterError, match=r"no film that may ask shares a positive label .* nearest stays"):
        tune(make_own_index(labelled=False), candidates=CANDIDATES)


def test_wrong_calls_are_refused(make_own_index):
    index = make_own_index()
    with pytest.raises(InvalidParameterError, match=r"split='exam' .* train, valid"):
        tune(index, split="exam")
    with pytest.raises(InvalidParameterError, match="n_queries=1"):
        tune(index, n_queries=1)
    with pytest.raises(InvalidParameterError, match="films of one patient"):
        tune(make_own_index(n_patients=1))
