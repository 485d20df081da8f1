"""A comparison in folds, and what its rows say of their first weights."""

import json
import logging
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from graphret._errors import DataError, ExperimentError, InvalidParameterError
from graphret.cli.compare import _other_starts
from graphret.comparison import DataSettings, Experiment, MethodSettings, compare
from graphret.comparison.films import prepare_films
from graphret.comparison.fold_splits import with_fold
from graphret.comparison.folds import pooled_rows
from graphret.comparison.rows import MeasuredRow
from graphret.comparison.runner import prepared
from graphret.comparison.starts import start_of
from graphret.data import ImageTable, generate_phantom
from graphret.data.splits import patient_folds
from graphret.encoders import Encoder
from graphret.evaluation import evaluate_ranking
from graphret.evaluation.bootstrap import patient_bootstrap
from graphret.files import make_folder


def test_every_patient_is_in_one_fold_and_folds_are_equal():
    patients = np.array([f"p{number % 23}" for number in range(60)])
    folds = patient_folds(patients, 5, seed=3)
    of = {name: set(folds[patients == name].tolist()) for name in patients}
    assert all(len(found) == 1 for found in of.values())
    numbers = np.bincount([found.pop() for found in of.values()])
    assert sorted(numbers.tolist()) == [4, 4, 5, 5, 5]
    assert patient_folds(patients[::-1], 5, seed=3)[::-1].tolist() == folds.tolist()
    assert patient_folds(patients, 5, seed=4).tolist() != folds.tolist()
    with pytest.raises(InvalidParameterError, match="n_folds=1"):
        patient_folds(patients, 1)


def table_of(splits, patients):
    n = len(splits)
    return ImageTable(
        ids=np.array([f"film{number}" for number in range(n)]),
        paths=[],
        labels=np.ones((n, 1), np.int8),
        label_names=("a",),
        patients=np.array(patients),
        splits=np.array(splits),
    )


def test_the_splits_of_folds():
    patients = [f"p{number // 2}" for number in range(20)]
    table = table_of(["train"] * 12 + ["valid"] * 2 + ["test"] * 6, patients)
    asked = np.zeros(20, int)
    for fold in range(5):
        found = with_fold(table, DataSettings(folds=5), fold)
        found.check_patients()
        asked += found.splits == "test"
        assert set(found.splits.tolist()) == {"test", "train"}
    assert asked.tolist() == [1] * 20
    chosen = np.zeros(20, int)
    for fold in range(5):
        found = with_fold(table, DataSettings(folds=5, fold_of="valid"), fold)
        found.check_patients()
        chosen += found.splits == "valid"
        assert (found.splits == "test").tolist() == (table.splits == "test").tolist()
    assert chosen.tolist() == [1] * 14 + [0] * 6
    with pytest.raises(DataError, match="10 patients cannot be divided into 11 folds"):
        with_fold(table, DataSettings(folds=11), 0)


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ({"folds": 1}, "folds"),
        ({"folds": 3, "fold_of": "train"}, "fold_of"),
        ({"folds": 3, "queries": "valid", "database": ("train",)}, "queries"),
    ],
)
def test_folds_that_are_not_allowed(given, key):
    with pytest.raises(ExperimentError, match=f"data.{key}"):
        DataSettings(**given)


@pytest.fixture(scope="module")
def few_films(tmp_path_factory):
    root = tmp_path_factory.mktemp("few") / "films"
    generate_phantom(root, 60, size=32)
    return DataSettings(spec="phantom", root=str(root), size=32)


@pytest.fixture(scope="module")
def folded(few_films, untrained_experiment, tmp_path_factory):
    methods = (
        MethodSettings("untrained", "siamese_hash", bits=(8,), rankings=("nearest",)),
        MethodSettings("random", rankings=("hamming",)),
        MethodSettings("encoder", "alexnet"),
    )
    data = replace(few_films, folds=3)
    experiment = replace(
        untrained_experiment, methods=methods, data=data, sheets=replace(untrained_experiment.sheets, queries=0)
    )
    out = tmp_path_factory.mktemp("folded")
    return SimpleNamespace(experiment=experiment, out=out, comparison=compare(out=out, experiment=experiment))


def test_a_row_of_folds_is_every_film_asked_once(folded):
    comparison, data = folded.comparison, folded.experiment.data
    queries = comparison.queries
    assert len(set(queries.ids.tolist())) == len(queries)
    assert set(queries.ids.tolist()) == set(
        comparison.database.ids[comparison.database.relevance().any(axis=1)].tolist()
    )
    row = comparison["siamese_hash untrained, 8 bits, nearest"]
    found = evaluate_ranking(row.positions, queries.relevance(), comparison.database.relevance(), ["P@10", "mAP@10"])
    for measure, values in found.items():
        np.testing.assert_allclose(row.values[measure], values)
    expected = patient_bootstrap(found["P@10"], queries.patients, n_resamples=60)
    assert row.measures["P@10"] == expected.to_dict()
    places = {film: place for place, film in enumerate(comparison.database.ids.tolist())}
    own = np.array([places[film] for film in queries.ids.tolist()])
    assert not (row.positions == own[:, None]).any()
    sides = np.full(len(comparison.database), -1)
    for fold in range(3):
        films = prepare_films(data, folded.out, fold=fold)
        sides[films.table.splits == "test"] = fold
    assert (sides >= 0).all()
    assert not ((row.positions >= 0) & (sides[row.positions] == sides[own][:, None])).any()
    assert comparison.films["queries"]["n_asked"] == len(queries)
    assert comparison.films["folds"]["number"] == 3
    assert "pooled over 3 folds" in comparison.to_markdown()


def test_a_method_without_figures_in_a_fold_says_in_which(folded):
    failed = [row for row in folded.comparison.rows if row.method == "alexnet"]
    assert len(failed) == 1
    assert failed[0].error.startswith("fold 1: ")
    assert "fold 3: " in failed[0].error


def test_differences_of_folds_are_over_all_queries(folded):
    comparison = folded.comparison
    first, second = (
        comparison[name] for name in ("siamese_hash untrained, 8 bits, nearest", "random, 16 bits, hamming")
    )
    found = comparison.differences["random, 16 bits, hamming"]["P@10"]["mean"]
    assert found == pytest.approx(np.mean(second.values["P@10"] - first.values["P@10"]))
    assert second.ties["P@10"] is not None


def test_folds_that_choose_the_epoch_give_each_query_its_mean():
    def row(values, **further):
        return MeasuredRow(
            "a",
            "a",
            "encoder",
            "dpsh",
            16,
            "hamming",
            values={"P@1": np.array(values)},
            measures={"P@1": {}},
            positions=np.zeros((3, 1), np.int32),
            similarities=np.zeros((3, 1), np.float32),
            **further,
        )

    table = table_of(["test"] * 3, ["x", "y", "z"])
    films = SimpleNamespace(queries=table, database=table, record={})
    data, intervals = DataSettings(folds=2, fold_of="valid"), SimpleNamespace(n_resamples=50, seed=0)
    rows = [
        row([1.0, 0.0, np.nan], costs={"training_seconds": 2, "auc": {"a": 0.5}}, ties={"P@1": 0.2}),
        row([1.0, 1.0, np.nan], costs={"training_seconds": 4, "auc": {"a": 0.7}}, ties={"P@1": 0.6}),
    ]
    (found,) = pooled_rows([[rows[0]], [rows[1]]], [films, films], data, intervals)
    np.testing.assert_array_equal(found.values["P@1"], [1.0, 0.5, np.nan])
    assert found.measures["P@1"]["mean"] == 0.75
    assert found.costs == {"training_seconds": 3.0, "auc": {"a": pytest.approx(0.6)}}
    assert found.ties is not None
    assert found.ties["P@1"] == pytest.approx(0.4)


@pytest.fixture
def no_weights(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))

    def refuse(*args, **kwargs):
        raise AssertionError("a comparison fetched weights")

    import torch

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    monkeypatch.setattr(torch.hub, "urlopen", refuse)


def test_weights_that_are_not_there_become_random_ones_and_every_row_says_so(
    few_films, untrained_experiment, tmp_path, no_weights, caplog, monkeypatch
):
    def untrained(experiment, method, n_bits, table, stages, key, start, progress):
        assert start.weights is None
        return Encoder.untrained(method.name, table.label_names, experiment.data.size, device="cpu"), 1.0

    monkeypatch.setattr("graphret.comparison.representation.trained_encoder", untrained)
    methods = (
        MethodSettings("encoder", "resnet18", rankings=("nearest",), training={"weights": "imagenet"}),
        MethodSettings("hasher", "itq", on="resnet18", rankings=("hamming",)),
    )
    experiment = replace(
        untrained_experiment,
        data=few_films,
        methods=methods,
        published=(),
        sheets=replace(untrained_experiment.sheets, queries=0),
    )
    with caplog.at_level(logging.WARNING):
        comparison = compare(out=tmp_path / "out", experiment=experiment)
    assert "resnet18 begins from random weights, not from ImageNet's" in caplog.text
    for row in comparison.rows:
        assert not row.error
        start = row.to_dict()["costs"]["start"]
        assert (start["wanted"], start["had"]) == ("imagenet", "random")
        assert "resnet18-" in start["why"]
    text = comparison.to_markdown()
    assert "| resnet18, random start |" in text
    assert "1 trainings did not begin" in text
    (line,) = _other_starts(comparison.to_dict()["rows"])
    assert line.startswith("1 trainings began from random weights, not from imagenet; first resnet18: there is no ")


def test_weights_that_are_there_are_the_start_and_change_the_key(tmp_path, monkeypatch, no_weights):
    method = MethodSettings("encoder", "resnet18", training={"weights": "imagenet"})
    experiment = Experiment(name="mine", methods=(method,))
    missing = start_of(experiment, method, None, 2)
    assert (missing.had, missing.weights) == ("random", None)
    folder = make_folder(tmp_path / "torch" / "hub" / "checkpoints")
    name = missing.why.split("no ")[1].split(" ")[0]
    (folder / name).write_bytes(b"weights")
    found = start_of(experiment, method, None, 2)
    assert (found.wanted, found.had, found.weights, found.why) == ("imagenet", "imagenet", "imagenet", "")
    other = MethodSettings("encoder", "resnet18", training={"weights": "mine.safetensors"})
    assert start_of(experiment, other, None, 2).weights == "mine.safetensors"


def test_a_longer_code_grows_from_the_shorter_one(few_films, untrained_experiment, tmp_path):
    method = MethodSettings(
        "encoder", "siamese_hash", rankings=("hamming",), bits=(8, 4), grow=True, training={"batch_size": 16}
    )
    experiment = replace(
        untrained_experiment,
        data=few_films,
        methods=(method,),
        budget=replace(untrained_experiment.budget, epochs=1),
        published=(),
        sheets=replace(untrained_experiment.sheets, queries=0),
    )
    comparison = compare(out=tmp_path / "out", experiment=experiment)
    starts = {row.n_bits: row.costs["start"]["had"] for row in comparison.rows}
    assert starts == {4: "random", 8: "siamese_hash, 4 bits"}
    weights = {}
    for path in (tmp_path / "out" / "methods").glob("*/encoder/encoder.json"):
        document = json.loads(path.read_text())
        weights[document["config"]["n_bits"] if "config" in document else document["n_bits"]] = document
    assert weights[8]["record"]["weights"].endswith("/encoder")
    assert "siamese-hash-4" in weights[8]["record"]["weights"].replace("_", "-")
    with pytest.raises(ExperimentError, match=r"methods\.grow"):
        MethodSettings("random", grow=True)


def test_a_comparison_uses_what_holds_for_its_dataset_spec(tmp_path, monkeypatch):
    """Both are in the experiment by which methods are made."""

    class _MadeError(Exception):
        pass

    def made(settings, *_):
        raise _MadeError(settings)

    monkeypatch.setattr("graphret.comparison.runner._compared", made)
    method = MethodSettings("untrained", "gem", options={"p": 2.0}, options_of_spec={"phantom": {"p": 4.0}})
    training = {"training": {"learning_rate": 1e-3}, "training_of_spec": {"phantom": {"learning_rate": 1e-4}}}
    experiment = Experiment(name="mine", methods=(method,), **training)
    with pytest.raises(_MadeError) as error:
        compare("phantom", tmp_path, out=tmp_path / "out", experiment=experiment)
    (settings,) = error.value.args
    assert settings.methods[0].options == {"p": 4.0}
    assert settings.training == {"learning_rate": 1e-4}


def test_training_parameters_of_a_dataset_spec():
    experiment = Experiment(
        name="mine",
        methods=(MethodSettings("random"),),
        data=DataSettings(spec="stanford"),
        training={"learning_rate": 1e-3, "batch_size": 32},
        training_of_spec={"stanford": {"learning_rate": 1e-4}},
    )
    assert prepared(experiment).training == {"learning_rate": 1e-4, "batch_size": 32}
    other = replace(experiment, data=DataSettings(spec="nih"))
    assert prepared(other).training == experiment.training
    ynet = MethodSettings("encoder", "ynet", options={"rmac": False}, options_of_spec={"fundus": {"mask_classes": 2}})
    of_spec = replace(experiment, methods=(ynet,), data=DataSettings(spec="fundus"))
    assert prepared(of_spec).methods[0].options == {"rmac": False, "mask_classes": 2}
    assert prepared(replace(of_spec, data=DataSettings(spec="jsrt"))).methods[0].options == {"rmac": False}
    with pytest.raises(ExperimentError, match=r"training_of_spec\.stanford\.epochs"):
        replace(experiment, training_of_spec={"stanford": {"epochs": 3}})
    with pytest.raises(ExperimentError, match=r"training_of_spec\.nih"):
        replace(experiment, training_of_spec={"nih": 3})
