"""Other losses, optimisers, schedules, samplers; masks, calibration, choice by retrieval."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from graphret._errors import DataError, InvalidParameterError, UnknownNameError
from graphret.encoders.networks.network import EncoderNetwork
from graphret.encoders.objectives import registry as objectives
from graphret.encoders.objectives.objective import NetworkOutputs, Objective
from graphret.encoders.registry.create import ENCODERS
from graphret.encoders.registry.spec import EncoderSpec
from graphret.training import TrainConfig, train
from graphret.training.trainer import Trainer
from graphret.training.validation import retrieval_map

SEEN = []


class ScaleObjective(Objective):
    """A loss with a parameter, a buffer that counts its steps, and a memory of what it was given."""

    uses_masks = True

    def __init__(self, labels, n_bits=None, strength=1.0):
        super().__init__()
        self.strength = strength
        self.scale = nn.Parameter(torch.tensor(1.0))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self.register_buffer("all_labels", torch.as_tensor(labels), persistent=False)
        self.n_bits = n_bits

    def forward(self, outputs, targets):
        assert outputs.codes.dtype == torch.float32
        assert torch.equal(self.all_labels[targets.places][targets.labels >= 0], targets.labels[targets.labels >= 0])
        self.steps += 1
        SEEN.append((targets, self.n_bits, outputs))
        wanted = (targets.labels == 1).float().sum(1, keepdim=True) - 1
        known = [] if targets.masks is None else [mask.mean() for mask in targets.masks if not mask.isnan().any()]
        part = torch.stack(known).mean() if known else 0.0
        loss = self.strength * (self.scale * outputs.codes - wanted - part).square().mean() + self.steps * 1e-3
        self.parts = {"all": loss.detach(), "steps": self.steps.float()}
        return loss


class CentredNetwork(EncoderNetwork):
    """Codes centred on the training films, and no classifier."""

    def __init__(self, n_labels, n_bits):
        super().__init__()
        self.layers = nn.Sequential(nn.AvgPool2d(8), nn.Flatten(), nn.Linear(16, n_bits))
        self.register_buffer("centre", torch.zeros(n_bits))

    def features(self, images):
        return self.layers(images) - self.centre

    def outputs(self, images):
        return NetworkOutputs(self.features(images))

    def calibrate(self, batches):
        assert not self.training
        first, again = torch.cat(list(batches)), torch.cat(list(batches))
        assert torch.equal(first, again)
        self.centre.copy_(self.layers(first).mean(0))


@pytest.fixture(autouse=True)
def _plugged_in():
    """`tiny` and `tiny_hash` of the conftest, and what is above."""
    sys.modules.setdefault("objectives_of_the_tests", sys.modules[__name__])
    scale = objectives.ObjectiveSpec("scale", "objectives_of_the_tests", "ScaleObjective", "none", {"strength": 1.0})
    objectives.OBJECTIVES.register("scale", scale)
    centred = EncoderSpec(
        name="centred_hash",
        kind="hash",
        module="objectives_of_the_tests",
        factory="CentredNetwork",
        code_length=None,
        default_size=32,
        default_bits=6,
        paper="none",
        classifies=False,
        objective="scale",
        recipe={"epochs": 2, "batch_size": 9, "objective_options": {"strength": 0.5}},
    )
    ENCODERS.register("centred_hash", centred)
    SEEN.clear()
    yield
    objectives.OBJECTIVES.unregister("scale")


@pytest.fixture
def masked(table, tmp_path):
    """Films of which two in three have a mask: the left half, or for even rows the left quarter."""
    names = []
    for row in range(len(table)):
        pixels = np.zeros((40, 36), np.uint16)
        pixels[:, : 18 if row % 2 else 9] = 3 + row
        names.append(f"mask{row}.png" if row % 3 else "")
        Image.fromarray(pixels).save(tmp_path / f"mask{row}.png")
    return replace(table, columns={"mask": np.array(names)}, root=str(tmp_path))


OTHER_WAYS = [
    {"optimizer": "sgd", "momentum": 0.5, "weight_decay": 0.01},
    {"optimizer": "sgd", "momentum": 0.0},
    {"schedule": "steps", "step_iterations": 3, "step_factor": 0.5},
    {"sampler": "few_of_a_class", "max_of_a_class": 1},
    {"sampler": "pairs"},
    {"objective": "scale", "objective_options": {"strength": 0.3}, "weight_decay": 0.1},
    {"select_by": "retrieval"},
]


def weights_of(encoder):
    return {key: value.tolist() for key, value in encoder.tensors().items()}


@pytest.mark.parametrize("way", OTHER_WAYS, ids=str)
def test_a_stopped_run_gives_the_same_bits(masked, tmp_path, small, way):
    def interrupt(stage, done, total):
        if (stage, done) == ("epoch 2/3", 2):
            raise KeyboardInterrupt

    whole = train(masked, "tiny", out=tmp_path / "whole", **small, **way)
    with pytest.raises(KeyboardInterrupt):
        train(masked, "tiny", out=tmp_path / "out", progress=interrupt, checkpoint_minutes=1e-9, **small, **way)
    again = train(masked, "tiny", out=tmp_path / "out", **small, **way)
    assert again.fingerprint == whole.fingerprint
    assert again.record["validation"] == whole.record["validation"]
    train(masked, "tiny", out=tmp_path / "plain", **small)
    histories = [json.loads((tmp_path / name / "history.json").read_text())["epochs"] for name in ("whole", "plain")]
    assert [epoch["loss"] for epoch in histories[0]] != [epoch["loss"] for epoch in histories[1]] or "select_by" in way


def test_the_steps_of_the_schedule_are_iterations(table, tmp_path, small):
    train(table, "tiny", out=tmp_path / "out", schedule="steps", step_iterations=3, step_factor=0.5, **small)
    epochs = json.loads((tmp_path / "out" / "history.json").read_text())["epochs"]
    # 24 films in batches of 7: four iterations an epoch, the last of which are the numbers 3, 7 and 11.
    assert [epoch["learning_rate"] for epoch in epochs] == pytest.approx([1.5e-3, 7.5e-4, 3.75e-4])
    train(table, "tiny", out=tmp_path / "floor", schedule="steps", step_iterations=1, learning_rate_floor=1e-3, **small)
    epochs = json.loads((tmp_path / "floor" / "history.json").read_text())["epochs"]
    assert [epoch["learning_rate"] for epoch in epochs] == pytest.approx([1e-3] * 3)


def test_the_first_step_of_sgd(table, tmp_path, small):
    one = {**small, "epochs": 1, "batch_size": 24, "horizontal_flip": False, "optimizer": "sgd", "weight_decay": 0.5}
    encoder = train(table, "tiny", out=tmp_path / "out", options={"drop_rate": 0.0}, **one)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        start = encoder.config.create().state_dict()
    still = train(
        table, "tiny", out=tmp_path / "still", options={"drop_rate": 0.0}, **{**one, "weight_decay": 0.0}
    ).tensors()
    for key in ("code.weight", "classifier.weight"):
        expected = still[key] - 3e-3 * 0.5 * start[key]
        torch.testing.assert_close(encoder.tensors()[key], expected, rtol=1e-4, atol=1e-6)


def test_an_objective_is_given_labels_places_and_masks_as_the_films_are_flipped(masked, tmp_path, small):
    Path(masked.paths[4]).write_bytes(b"no image")
    train(masked, "tiny", out=tmp_path / "out", objective="scale", **{**small, "epochs": 1, "cache_bytes": 0})
    places = np.concatenate([targets.places.numpy() for targets, _, _ in SEEN])
    assert sorted(places.tolist()) == list(range(24))
    flipped = set()
    for targets, n_bits, _ in SEEN:
        assert n_bits is None
        for place, labels, mask in zip(targets.places.tolist(), targets.labels, targets.masks, strict=True):
            expected = np.full(2, -1) if place == 4 else masked.labels[place]
            assert labels.tolist() == expected.tolist()
            assert mask.shape[0] == 1
            if place % 3 == 0 or place == 4:
                assert mask.isnan().all()
                continue
            columns = mask[0].mean(0)
            shown, hidden = (columns[0], columns[-1]) if columns[0] > 0.5 else (columns[-1], columns[0])
            assert (shown, hidden) == (1, 0)
            assert float(mask.mean()) == pytest.approx(0.5 if place % 2 else 0.25, abs=0.01)
            flipped.add(bool(columns[0] < 0.5))
    assert flipped == {True, False}


@pytest.mark.parametrize("cache_bytes", [10**9, 0], ids=["memory", "files"])
def test_masks_change_the_training_and_not_where_they_are_kept(masked, tmp_path, small, cache_bytes):
    parameters = {**small, "objective": "scale", "cache_bytes": cache_bytes}
    calls = []
    encoder = train(masked, "tiny", out=tmp_path / "a", progress=lambda *call: calls.append(call), **parameters)
    assert (("reading masks", 24, 24) in calls) == (cache_bytes > 0)
    without = train(replace(masked, columns={}), "tiny", out=tmp_path / "b", **parameters)
    assert all(targets.masks is None for targets, _, _ in SEEN[-12:])
    assert encoder.fingerprint != without.fingerprint
    other = {**parameters, "cache_bytes": 10**9 - cache_bytes}
    assert train(masked, "tiny", out=tmp_path / "c", **other).fingerprint == encoder.fingerprint


def test_masks_are_not_read_for_a_loss_that_does_not_ask(masked, tmp_path, small):
    calls = []
    train(masked, "tiny", out=tmp_path / "a", progress=lambda stage, *_: calls.append(stage), **{**small, "epochs": 1})
    assert "reading masks" not in calls


def test_a_mask_that_cannot_be_read_is_none(masked, tmp_path, small, caplog):
    (tmp_path / "mask1.png").write_bytes(b"no mask")
    train(masked, "tiny", out=tmp_path / "out", objective="scale", **{**small, "epochs": 1})
    assert "the mask of film film01 is left out" in caplog.text
    seen = {
        int(place): mask for targets, _, _ in SEEN for place, mask in zip(targets.places, targets.masks, strict=True)
    }
    assert seen[1].isnan().all()
    assert not seen[2].isnan().any()


def test_the_parameters_of_an_objective_are_trained_and_saved(table, tmp_path, small):
    train(table, "tiny", out=tmp_path / "out", objective="scale", **small)
    from graphret.training.checkpoint import CheckpointFolder

    tensors = CheckpointFolder(tmp_path / "out" / "checkpoint").read().tensors
    assert tensors["module.objective.scale"] != 1
    assert tensors["module.objective.steps"] == 12
    assert "module.objective.all_labels" not in tensors


def test_the_terms_of_a_loss_are_in_the_history(table, tmp_path, small):
    train(table, "tiny", out=tmp_path / "out", objective="scale", **small)
    train(table, "tiny", out=tmp_path / "plain", **small)
    history, plain = (json.loads((tmp_path / name / "history.json").read_text()) for name in ("out", "plain"))
    n_steps = 12 // len(history["epochs"])
    for number, entry in enumerate(history["epochs"]):
        assert entry["loss_parts"]["all"] == pytest.approx(entry["loss"], rel=1e-12)
        assert entry["loss_parts"]["steps"] == np.mean(number * n_steps + np.arange(1, n_steps + 1))
    assert not any("loss_parts" in entry for entry in plain["epochs"])


def test_the_terms_of_an_interrupted_epoch_go_on(table, tmp_path, small):
    out = tmp_path / "out"
    parameters = {**small, "epochs": 1, "objective": "scale", "checkpoint_minutes": 1e-9}

    def stop(stage, done, total):
        if str(stage).startswith("epoch") and done == total - 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(table, "tiny", out=out, progress=stop, **parameters)
    train(table, "tiny", out=out, **parameters)
    entry = json.loads((out / "history.json").read_text())["epochs"][0]
    assert entry["loss_parts"]["all"] == pytest.approx(entry["loss"], rel=1e-12)


def test_iterations_end_a_training_within_an_epoch(table, tmp_path, small):
    out = tmp_path / "out"
    n_steps = 12 // small["epochs"]
    parameters = {**small, "objective": "scale", "epochs": 50, "iterations": n_steps + 2}
    encoder = train(table, "tiny", out=out, **parameters)
    history = json.loads((out / "history.json").read_text())
    parts = [entry["loss_parts"]["steps"] for entry in history["epochs"]]
    assert parts == [np.mean(np.arange(1, n_steps + 1)), n_steps + 1.5]
    passes = round((n_steps + 2) / n_steps, 3)
    assert encoder.record["training"]["epochs done"] == passes
    again = train(table, "tiny", out=out, **parameters)
    assert again.fingerprint == encoder.fingerprint
    assert again.record["training"]["epochs done"] == passes
    with pytest.raises(InvalidParameterError, match=f"iterations was {n_steps + 2} and is {n_steps + 3}"):
        train(table, "tiny", out=out, **{**parameters, "iterations": n_steps + 3})


def test_a_stop_near_the_last_iteration_changes_nothing(table, tmp_path, small):
    n_steps = 12 // small["epochs"]
    parameters = {**small, "objective": "scale", "iterations": n_steps + 2, "checkpoint_minutes": 1e-9}
    whole = train(table, "tiny", out=tmp_path / "whole", **parameters)

    def stop(stage, done, total):
        if str(stage).startswith("epoch 2/2") and done == 1:
            assert total == 2
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(table, "tiny", out=tmp_path / "out", progress=stop, **parameters)
    assert train(table, "tiny", out=tmp_path / "out", **parameters).fingerprint == whole.fingerprint


def test_the_recipe_lies_under_the_users_parameters(table, tmp_path, small):
    recipe = TrainConfig.for_encoder("centred_hash")
    assert (recipe.epochs, recipe.batch_size, recipe.size, recipe.n_bits) == (2, 9, 32, 6)
    assert recipe.objective_options == {"strength": 0.5}
    own = TrainConfig.for_encoder("centred_hash", batch_size=5, objective_options={})
    assert (own.epochs, own.batch_size, own.objective_options) == (2, 5, {"strength": 0.5})
    assert TrainConfig.for_encoder("centred_hash", objective="classification").objective_options == {}
    encoder = train(table, "centred_hash", out=tmp_path / "out", device="cpu", n_workers=1)
    assert encoder.record["training"]["batch_size"] == 9
    assert encoder.code_length == 6
    assert SEEN[0][1] == 6
    with pytest.raises(UnknownNameError, match="batch_size"):
        TrainConfig.for_encoder("centred_hash", batchsize=5)


def test_calibration_is_that_of_the_chosen_weights(table, tmp_path, small):
    encoder = train(table, "centred_hash", out=tmp_path / "out", **{**small, "learning_rate": 0.05})
    films = np.stack([encoder.prepare(table.read(row)) for row in range(24)])
    np.testing.assert_allclose(encoder.encode(films).mean(0), 0, atol=1e-5)
    assert np.abs(encoder.tensors()["centre"].numpy()).min() > 1e-4


@pytest.mark.parametrize("name", ["centred_hash", "tiny"])
def test_the_epoch_that_ranks_best_is_kept(table, tmp_path, small, name):
    by = {"select_by": "retrieval"} if name == "tiny" else {}
    encoder = train(table, name, out=tmp_path / "out", **small, **by)
    valid = table.split("valid")
    films = np.stack([encoder.prepare(valid.read(row)) for row in range(len(valid))])
    expected = retrieval_map(encoder.encode(films), valid.labels, valid.patients, binary=name != "tiny")
    found = encoder.record["validation"]
    assert found["selected_by"] == "retrieval"
    assert found["score"] == found["retrieval"] == pytest.approx(expected, abs=1e-6)
    epochs = json.loads((tmp_path / "out" / "history.json").read_text())["epochs"]
    assert found["retrieval"] == max(epoch["retrieval"] for epoch in epochs)
    spec = (tmp_path / "out" / "MODEL_CARD.md").read_text()
    assert f"mean average precision {expected:.4f}" in spec
    assert ("mean AUC" in spec) == (name == "tiny")
    assert found["without_auc"] == []


def test_a_validation_split_that_cannot_rank_is_refused(table, tmp_path, small):
    patients = np.array(table.patients)
    patients[24:32] = "one"
    with pytest.raises(DataError, match="different patients"):
        train(replace(table, patients=patients), "centred_hash", out=tmp_path / "out", **small)
    with pytest.raises(InvalidParameterError, match="'centred_hash' has no classifier"):
        train(table, "centred_hash", out=tmp_path / "out", select_by="auc", **small)


def test_another_objective_or_another_of_its_options_is_another_training(masked, tmp_path, small):
    train(masked, "tiny", out=tmp_path / "out", objective="scale", **{**small, "epochs": 1})
    for change, text in (
        ({}, "objective was 'scale' and is 'classification'"),
        ({"objective": "scale", "objective_options": {"strength": 2.0}}, "strength"),
        ({"objective": "scale", "sampler": "pairs"}, "sampler was 'shuffled' and is 'pairs'"),
    ):
        with pytest.raises(InvalidParameterError, match=text):
            train(masked, "tiny", out=tmp_path / "out", **small, **change)
    moved = replace(
        masked, columns={"mask": np.where(masked.columns["mask"] == "mask1.png", "", masked.columns["mask"])}
    )
    with pytest.raises(InvalidParameterError, match="masks of the films was"):
        train(moved, "tiny", out=tmp_path / "out", objective="scale", **small)
    with pytest.raises(UnknownNameError, match="strength"):
        train(masked, "tiny", out=tmp_path / "other", objective="scale", objective_options={"power": 1}, **small)
    with pytest.raises(InvalidParameterError, match="strength"):
        train(masked, "tiny", out=tmp_path / "other", objective_options={"strength": 1}, **small)


def test_a_finished_run_with_an_objective_is_not_trained_again(masked, tmp_path, small, monkeypatch):
    whole = train(masked, "centred_hash", out=tmp_path / "out", **small)
    monkeypatch.setattr(Trainer, "_train_step", None)
    assert train(masked, "centred_hash", out=tmp_path / "out", **small).fingerprint == whole.fingerprint
