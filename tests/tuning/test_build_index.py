"""A build chooses the ranking of its index where enough films say what they show."""

import numpy as np
import pytest

import graphret
from graphret._errors import InvalidParameterError, UnknownNameError
from graphret.tuning import Candidate, build_index

N_FILMS = 400


def codes_and_labels(rng):
    """Films of three groups with noise that neighbours can average away; the group is the finding."""
    groups = rng.integers(0, 3, N_FILMS)
    codes = np.eye(3, 30)[groups] * 1.6 + rng.normal(size=(N_FILMS, 30)) * 0.55
    return codes.astype(np.float32), np.eye(3, dtype=np.int8)[groups]


@pytest.fixture(scope="module")
def made():
    return codes_and_labels(np.random.default_rng(3))


def test_an_index_with_findings_answers_by_what_its_own_films_chose(made, tmp_path):
    codes, labels = made
    stages = []
    index = graphret.build(
        codes, labels=labels, out=tmp_path / "index", k=10, tune_budget=None, progress=lambda *step: stages.append(step)
    )
    assert stages[-1][0] == "tune"
    assert index.tuning["complete"]
    assert index.tuning["difference"]["low"] > 0
    assert index.default_ranking == "contextual"
    assert index.info()["ranking"]["promise"]["mean"] == index.tuning["difference"]["mean"] > 0
    tried = index.info()["ranking"]["tried"]
    assert (tried["n_queries"], tried["complete"]) == (index.tuning["n_queries"], True)
    assert tried["n_rankings"] == len(index.tuning["trials"]) > 100
    assert index.query(codes[0], 5).ranking == graphret.open(index.path).query(codes[0], 5).ranking == "contextual"
    plain = graphret.build(codes, labels=labels, out=tmp_path / "plain", k=10, tune=False)
    assert (plain.tuning, plain.default_ranking) == (None, "nearest")
    assert plain.manifest["graph"]["sha256"] == index.manifest["graph"]["sha256"]


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 20))])
def test_findings_by_chance_choose_nothing(made, tmp_path, seed):
    codes, labels = made
    shuffled = np.random.default_rng(seed).permutation(labels)
    index = graphret.build(codes, labels=shuffled, out=tmp_path, k=10, tune_budget=None)
    assert index.tuning is not None
    assert index.default_ranking == "nearest"


def test_without_findings_enough_nobody_is_asked(made, tmp_path):
    codes, labels = made
    assert graphret.build(codes, out=tmp_path / "no labels", k=10).tuning is None
    few = labels.copy()
    few[build_index.LEAST_FILMS - 1 :] = 0
    assert graphret.build(codes, labels=few, out=tmp_path / "few", k=10).tuning is None
    patients = (np.arange(N_FILMS) % (build_index.LEAST_PATIENTS - 1)).astype(str)
    assert graphret.build(codes, labels=labels, patients=patients, out=tmp_path / "patients", k=10).tuning is None
    asked = graphret.build(codes, labels=few, out=tmp_path / "asked", k=10, tune=True)
    assert asked.tuning["n_queries"] == build_index.LEAST_FILMS - 1


def test_what_cannot_be_tuned_says_that_the_index_is_kept(made, tmp_path):
    codes, labels = made
    with pytest.raises(InvalidParameterError, match=r"was built and is kept in .*films of one patient"):
        graphret.build(codes, labels=labels, patients=["one"] * len(codes), out=tmp_path / "index", k=10, tune=True)
    assert graphret.open(tmp_path / "index").tuning is None


def test_findings_that_no_two_patients_share_are_no_error_unless_a_tuning_was_asked_for(made, tmp_path, caplog):
    patients = np.arange(N_FILMS) % 40
    labels = np.eye(40, dtype=np.int8)[patients]
    index = graphret.build(made[0], labels=labels, patients=patients.astype(str), out=tmp_path / "index", k=10)
    assert index.tuning is None
    assert "the index is not tuned" in caplog.text


@pytest.mark.parametrize("seed", [-1, 1.5])
def test_a_seed_that_is_none_is_refused(made, tmp_path, seed):
    index = graphret.build(made[0], labels=made[1], out=tmp_path / "index", k=10, tune=False)
    with pytest.raises(InvalidParameterError, match="seed="):
        graphret.tune(index, seed=seed)


def test_one_measure_may_be_named_by_itself(made, tmp_path):
    index = graphret.build(made[0], labels=made[1], out=tmp_path / "index", k=10, tune=False)
    candidates = [Candidate("alpha_qe", {})]
    assert graphret.tune(index, measures="P@10", candidates=candidates, n_queries=20).criterion == "mean of P@10"


def test_few_patients_choose_nothing_by_chance(tmp_path):
    """Labels that have nothing to do with the codes; the bootstrap alone called the gain clear here (p = .0001)."""
    random = np.random.default_rng(2004)
    codes = random.normal(size=(60, 16)).astype(np.float32)
    patients = [f"p{number}" for number in random.permutation(np.arange(60) % 2)]
    index = graphret.build(codes, labels=[["A"], ["B"]] * 30, patients=patients, out=tmp_path, k=10, tune=False)
    found = graphret.tune(index, budget=None)
    assert found.ranking == "nearest"
    assert found.difference.p_value >= 0.5


def test_time_that_is_over_is_said(made, tmp_path):
    codes, labels = made
    index = graphret.build(codes, labels=labels, out=tmp_path / "index", k=10, tune_budget=1e-9)
    assert not index.tuning["complete"]
    assert index.default_ranking == "nearest"


def test_films_that_the_encoder_has_seen_do_not_ask_where_others_can(made, tmp_path):
    codes, labels = made
    splits = np.where(np.arange(N_FILMS) < 250, "valid", "train")
    index = graphret.build(codes, labels=labels, splits=splits, out=tmp_path / "index", k=10)
    assert index.tuning["n_queries"] == 250
    splits = np.where(np.arange(N_FILMS) < 150, "valid", "train")
    index = graphret.build(codes, labels=labels, splits=splits, out=tmp_path / "few others", k=10)
    assert index.tuning["n_queries"] == N_FILMS


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"tune": "yes"}, UnknownNameError, "tune='yes'"),
        ({"tune_budget": 0}, InvalidParameterError, "tune_budget=0"),
        ({"tune_budget": "soon"}, InvalidParameterError, "tune_budget='soon'"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_written(made, tmp_path, options, error, message):
    with pytest.raises(error, match=message):
        graphret.build(made[0], out=tmp_path / "index", **options)
    assert not (tmp_path / "index").exists()
