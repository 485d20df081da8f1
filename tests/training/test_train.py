"""A training from end to end: what it learns, what it writes, what it refuses."""

import json
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from graphret._errors import DataError, DeviceError, EncoderError, InvalidParameterError, UnknownNameError
from graphret.encoders import Encoder, load_encoder
from graphret.encoders.losses import label_weights, weighted_cross_entropy
from graphret.encoders.objectives.classification import Classification
from graphret.training import TrainConfig, classifier_auc, train
from graphret.training.trainer import Trainer
from graphret.training.validation import Score


def history_of(out):
    return json.loads((out / "history.json").read_text())


def test_it_learns_what_can_be_learnt(table, tmp_path, small):
    out = tmp_path / "out"
    encoder = train(table, "tiny", out=out, **{**small, "epochs": 12, "learning_rate": 0.02})
    untrained = Encoder.untrained("tiny", table.label_names, 32, device="cpu")
    trained_auc, untrained_auc = classifier_auc(encoder, table), classifier_auc(untrained, table)
    assert np.mean(list(trained_auc.values())) > 0.9
    assert np.mean(list(trained_auc.values())) > np.mean(list(untrained_auc.values()))
    losses = [epoch["loss"] for epoch in history_of(out)["epochs"]]
    assert losses[-1] < losses[0]


def test_out_is_an_encoder_with_history_and_card(table, tmp_path, small, capsys):
    out = tmp_path / "out"
    calls = []
    encoder = train(table, "tiny", out=out, progress=lambda *call: calls.append(call), **small)
    assert capsys.readouterr().out == ""
    opened = load_encoder(out, device="cpu")
    assert opened.fingerprint == encoder.fingerprint
    assert (opened.name, opened.size, opened.label_names) == ("tiny", 32, table.label_names)
    assert opened.trained
    history = history_of(out)
    assert [epoch["epoch"] for epoch in history["epochs"]] == [1, 2, 3]
    best = max(history["epochs"], key=lambda epoch: epoch["mean_auc"])
    assert set(best["auc"]) == set(table.label_names)
    assert best["mean_auc"] == pytest.approx(np.mean(list(best["auc"].values())))
    assert opened.record["validation"]["epoch"] == best["epoch"]
    assert all(epoch["films_per_second"] > 0 and epoch["learning_rate"] == 3e-3 for epoch in history["epochs"])
    assert json.loads((out / "problems.json").read_text()) == []
    spec = (out / "MODEL_CARD.md").read_text()
    for text in ("tiny", "bright top", "| train | 24 | 12 |", "| learning_rate | 0.003 |", "Not a medical device"):
        assert text in spec
    positives = int((table.labels[:24, 0] == 1).sum())
    assert f"| bright top | {positives} |" in spec
    assert {call[0] for call in calls} == {"reading films", "validation", *(f"epoch {n}/3" for n in (1, 2, 3))}
    assert all(done <= total for _, done, total in calls)
    measured = classifier_auc(encoder, table, split="valid")
    assert measured == pytest.approx(best["auc"], abs=1e-5)


def test_it_says_loss_score_and_best_epoch_as_it_goes(table, tmp_path, small, caplog, monkeypatch):
    monkeypatch.setattr("graphret.training.trainer._NOTE_SECONDS", 0.0)
    calls = []
    with caplog.at_level("INFO", logger="graphret"):
        train(table, "tiny", out=tmp_path / "out", progress=lambda *call: calls.append(call), **small)
    epochs = history_of(tmp_path / "out")["epochs"]
    said = [record.getMessage() for record in caplog.records if record.getMessage().startswith("epoch ")]
    assert len(said) == len(epochs) == 3
    notes = {n: [stage.note for stage, *_ in calls if stage == f"epoch {n}/3"] for n in (1, 2, 3)}
    for number, (epoch, line) in enumerate(zip(epochs, said, strict=True), 1):
        best = max(epochs[:number], key=lambda entry: entry["score"])
        so_far = f"best so far AUC {best['score']:.3f} of epoch {best['epoch']}"
        assert line == f"epoch {number}: loss {epoch['loss']:.4g}, validation AUC {epoch['score']:.3f}, {so_far}"
        assert notes[number][-1].startswith(f"loss {epoch['loss']:.4g}")
        if number < 3:
            assert all(note.endswith(so_far) for note in notes[number + 1])
    assert "best" not in notes[1][-1]


def test_the_first_step_is_that_of_adam_on_the_loss_of_the_paper(table, tmp_path, small):
    options = {**small, "batch_size": 24, "horizontal_flip": False, "options": {"drop_rate": 0.0}, "epochs": 1}
    encoder = train(table, "tiny", out=tmp_path / "out", **options)
    films = table.split("train")
    torch.manual_seed(0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = encoder.config.create()
    optimizer = torch.optim.Adam(module.parameters(), lr=3e-3)
    images = np.stack([encoder.prepare(films.read(row)) for row in range(24)])
    weights = torch.from_numpy(label_weights(films.labels)).float()
    loss = weighted_cross_entropy(module(torch.from_numpy(images)[:, None]), torch.tensor(films.labels), weights)
    loss.backward()
    optimizer.step()
    assert history_of(tmp_path / "out")["epochs"][0]["loss"] == pytest.approx(loss.item(), rel=1e-5)
    for key, value in module.state_dict().items():
        torch.testing.assert_close(encoder.tensors()[key], value, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("aucs", [[0.6, 0.9, 0.7], [0.9, 0.9, 0.5], [0.1, 0.2, 0.3]])
def test_the_epoch_with_the_highest_mean_auc_is_kept(table, tmp_path, small, monkeypatch, aucs):
    best = int(np.argmax(aucs)) + 1
    reference = train(table, "tiny", out=tmp_path / "reference", **{**small, "epochs": best})
    answers = iter([*aucs[:best], *aucs])
    monkeypatch.setattr(Trainer, "_validate", lambda *_: Score.of_auc({"bright top": next(answers)}))
    reference = train(table, "tiny", out=tmp_path / "again", **{**small, "epochs": best})
    encoder = train(table, "tiny", out=tmp_path / "out", **small)
    assert encoder.record["validation"]["epoch"] == best
    assert encoder.fingerprint == reference.fingerprint
    assert [epoch["best"] for epoch in history_of(tmp_path / "out")["epochs"]].count(True) >= 1


@pytest.mark.parametrize(("aucs", "said"), [([0.6, 0.5, 0.4], 1), ([0.52, 0.5, 0.4], 2), ([0.5, 0.9, 0.9], 0)])
def test_an_epoch_that_shows_nothing_learnt_is_warned_of(table, tmp_path, small, monkeypatch, caplog, aucs, said):
    answers = iter(aucs)
    monkeypatch.setattr(Trainer, "_validate", lambda *_: Score.of_auc({"bright top": next(answers)}, margin=0.05))
    encoder = train(table, "tiny", out=tmp_path / "out", **small)
    warnings = encoder.record["validation"]["warnings"]
    assert len(warnings) == said
    assert [text for text in warnings if text not in caplog.text] == []
    card = (tmp_path / "out" / "MODEL_CARD.md").read_text()
    assert "Epochs were compared by AUC (chance: 0.5000)." in card
    assert card.count("**Warning:**") == said
    assert {epoch["name"] for epoch in history_of(tmp_path / "out")["epochs"]} == {"AUC"}


def test_the_learning_rate_falls_on_a_plateau_down_to_the_floor(table, tmp_path, small, monkeypatch):
    monkeypatch.setattr(Trainer, "_validate", lambda *_: Score.of_auc({"bright top": 0.5}))
    for patience, expected in ((0, [1e-2, 1e-2, 1e-3, 4e-4, 4e-4]), (1, [1e-2, 1e-2, 1e-2, 1e-3, 1e-3])):
        parameters = {**small, "epochs": 5, "learning_rate": 1e-2, "learning_rate_floor": 4e-4}
        out = tmp_path / str(patience)
        train(table, "tiny", out=out, plateau_patience=patience, plateau_factor=0.1, **parameters)
        assert [epoch["learning_rate"] for epoch in history_of(out)["epochs"]] == pytest.approx(expected)


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 2},
        {"batch_size": 5},
        {"learning_rate": 1e-3},
        {"size": 48},
        {"horizontal_flip": False},
        {"seed": 1},
        {"options": {"drop_rate": 0.0}},
        {"mixed_precision": "bf16"},
        {"plateau_patience": 0, "plateau_factor": 0.5, "learning_rate_floor": 1e-3},
        {"augmentation": 0.5},
        {"averaging": 0.5},
        {"schedule": "cosine"},
        {"warmup_iterations": 3},
        {"objective_options": {"label_smoothing": 0.1}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_deciding_parameter_changes_the_weights(table, tmp_path, small, change, monkeypatch):
    # Rising and then standing still: the last epochs of both runs are kept, and the learning rate can fall.
    answers = iter([0.5, 0.4, 0.6] * 2)
    monkeypatch.setattr(Trainer, "_validate", lambda *_: Score.of_auc({"bright top": next(answers)}))
    first = train(table, "tiny", out=tmp_path / "a", **small)
    answers = iter([0.5, 0.6, 0.7] if "epochs" in change else [0.5, 0.4, 0.6])
    second = train(table, "tiny", out=tmp_path / "b", **{**small, **change})
    weight = "backbone.0.weight"
    assert not torch.equal(first.tensors()[weight], second.tensors()[weight])


@pytest.mark.parametrize("same", [{"cache_bytes": 0}, {"n_workers": 1}, {"max_minutes": 60.0}, {}])
def test_what_does_not_decide_changes_no_bit(table, tmp_path, small, same):
    first = train(table, "tiny", out=tmp_path / "a", **small)
    assert train(table, "tiny", out=tmp_path / "b", **{**small, **same}).fingerprint == first.fingerprint


def test_uncertain_labels_do_not_train(table, tmp_path, small):
    labels = np.array(table.labels)
    labels[:24, 1] = -1
    encoder = train(replace(table, labels=labels), "tiny", out=tmp_path / "out", **small, options={"drop_rate": 0.0})
    with torch.random.fork_rng():
        torch.manual_seed(0)
        start = encoder.config.create().state_dict()
    assert torch.equal(encoder.tensors()["classifier.weight"][1], start["classifier.weight"][1])
    assert not torch.equal(encoder.tensors()["classifier.weight"][0], start["classifier.weight"][0])


def test_the_test_split_is_not_touched(table, tmp_path, small):
    first = train(table, "tiny", out=tmp_path / "a", **small)
    for path in table.split("test").paths:
        Path(path).write_bytes(b"no image")
    assert train(table, "tiny", out=tmp_path / "b", **small).fingerprint == first.fingerprint


def test_a_hash_encoder_plugs_in(table, tmp_path, small):
    encoder = train(table, "tiny_hash", out=tmp_path / "out", n_bits=12, **small)
    assert encoder.code_length == 12
    assert load_encoder(tmp_path / "out", device="cpu").encode(np.zeros((2, 32, 32), np.float32)).shape == (2, 12)
    with pytest.raises(InvalidParameterError, match="n_bits"):
        train(table, "tiny_hash", out=tmp_path / "none", **small)


def test_weights_of_a_path_are_the_start(table, tmp_path, small):
    source = Encoder.untrained("tiny", table.label_names, 32, seed=9, device="cpu")
    source.save(tmp_path / "source")
    still = {**small, "epochs": 1, "learning_rate": 1e-9}
    encoder = train(table, "tiny", out=tmp_path / "out", weights=tmp_path / "source", **still)
    torch.testing.assert_close(encoder.tensors()["code.weight"], source.tensors()["code.weight"], rtol=0, atol=1e-6)
    assert encoder.record["weights"] == str(tmp_path / "source")


def test_without_a_validation_split_one_is_made_by_patient(table, tmp_path, small):
    films = table.select(table.splits != "valid")
    encoder = train(films, "tiny", out=tmp_path / "out", validation_share=0.4, **{**small, "epochs": 1})
    counts = {entry["split"]: entry for entry in encoder.record["data"]["splits"]}
    assert counts["train"]["films"] + counts["valid"]["films"] == 24
    assert counts["train"]["patients"] + counts["valid"]["patients"] == 12
    assert counts["test"]["films"] == 8
    assert "by patient (0.4, seed 0)" in (tmp_path / "out" / "MODEL_CARD.md").read_text()
    other = train(films, "tiny", out=tmp_path / "b", validation_share=0.6, **{**small, "epochs": 1})
    assert other.record["data"]["splits"] != encoder.record["data"]["splits"]


@pytest.mark.parametrize("cache_bytes", [10**9, 0], ids=["memory", "files"])
def test_films_that_cannot_be_read_are_reported_and_left_out(table, tmp_path, small, cache_bytes, caplog):
    for row in (2, 9, 25):
        Path(table.paths[row]).write_bytes(b"no image")
    with caplog.at_level(logging.WARNING):
        encoder = train(table, "tiny", out=tmp_path / "out", cache_bytes=cache_bytes, **small)
    problems = json.loads((tmp_path / "out" / "problems.json").read_text())
    assert [problem["id"] for problem in problems] == ["film02", "film09", "film25"]
    assert all(problem["reason"] and problem["path"] for problem in problems)
    assert encoder.record["data"]["problems"] == 3
    assert "film02" in caplog.text
    assert history_of(tmp_path / "out")["problems"] == problems


def test_the_labels_of_a_film_that_cannot_be_read_do_not_train(table, tmp_path, small):
    one, other = (int(np.flatnonzero(table.labels[:24, 0] == value)[0]) for value in (0, 1))
    Path(table.paths[one]).write_bytes(b"no image")
    Path(table.paths[other]).write_bytes(b"no image")
    swapped = np.array(table.labels)  # the counts, and so the weights of the loss, stay
    swapped[[one, other]] = swapped[[other, one]]
    streaming = {**small, "cache_bytes": 0, "epochs": 1}
    first = train(table, "tiny", out=tmp_path / "a", **streaming)
    second = train(replace(table, labels=swapped), "tiny", out=tmp_path / "b", **streaming)
    assert first.fingerprint == second.fingerprint


def test_if_no_film_can_be_read_it_is_an_error(table, tmp_path, small):
    for path in table.split("train").paths:
        Path(path).write_bytes(b"no image")
    with pytest.raises(DataError, match="0 of 24 training films can be read"):
        train(table, "tiny", out=tmp_path / "memory", **small)
    for path in table.split("valid").paths:
        Path(path).write_bytes(b"no image")
    with pytest.raises(DataError, match="of 8 validation films 0 can be read"):
        train(table, "tiny", out=tmp_path / "files", cache_bytes=0, **small)
    assert not (tmp_path / "memory" / "encoder.json").exists()


def test_a_last_batch_of_one_film_is_left_out(table, tmp_path, small):
    films = table.select(np.arange(1, len(table)))  # 23 to train: 11 + 11 + 1
    train(films, "tiny", out=tmp_path / "out", progress=None, **{**small, "batch_size": 11, "epochs": 1})
    assert history_of(tmp_path / "out")["epochs"][0]["loss"] > 0


def test_labels_with_one_class_in_validation_are_left_out_and_named(table, tmp_path, small):
    labels = np.array(table.labels)
    labels[24:32, 0] = 0
    films = replace(table, labels=labels)
    encoder = train(films, "tiny", out=tmp_path / "out", **small)
    assert history_of(tmp_path / "out")["labels_without_auc"] == ["bright top"]
    assert encoder.record["validation"]["without_auc"] == ["bright top"]
    assert "only one class of them: bright top" in (tmp_path / "out" / "MODEL_CARD.md").read_text()
    labels[24:32] = 0
    with pytest.raises(DataError, match="no label has a positive and a negative film among the 8"):
        train(replace(table, labels=labels), "tiny", out=tmp_path / "none", **small)


def test_what_cannot_be_trained_is_refused_before_anything_is_written(table, tmp_path, small):
    out = tmp_path / "out"
    for films, text in (
        (table.select(table.splits != "train"), "the training split has 0 films"),
        (replace(table, labels=np.zeros((len(table), 0), np.int8), label_names=()), "no labels"),
    ):
        with pytest.raises(DataError, match=text):
            train(films, "tiny", out=out, **small)
    with pytest.raises(UnknownNameError, match="densenet121"):
        train(table, "densenet", out=out, **small)
    with pytest.raises(InvalidParameterError, match="'resnet18' has no others"):
        train(table, "resnet18", out=out, weights="txrv:densenet121-res224-all", **small)
    with pytest.raises(InvalidParameterError, match="fp16 needs CUDA"):
        train(table, "tiny", out=out, mixed_precision="fp16", **small)
    if not torch.cuda.is_available():
        with pytest.raises(DeviceError, match="no CUDA device"):
            train(table, "tiny", out=out, **{**small, "device": "cuda"})
    assert not out.exists()


def test_a_loss_that_explodes_is_an_error_and_keeps_the_checkpoint(table, tmp_path, small):
    train(table, "tiny", out=tmp_path / "out", **{**small, "epochs": 1})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Classification, "forward", lambda _, outputs, targets: (outputs.logits * float("nan")).sum())
        with pytest.raises(EncoderError, match=r"epoch 2 is not finite.*learning_rate below 0.003"):
            train(table, "tiny", out=tmp_path / "out", **small)
    assert json.loads((tmp_path / "out" / "checkpoint" / "checkpoint.json").read_text())["state"]["epoch"] == 1


def test_trainings_of_one_process_do_not_disturb_each_other_or_the_caller(table, tmp_path, small):
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    before = torch.get_rng_state()
    train(table, "tiny", out=tmp_path / "a", mixed_precision="bf16", **small)
    assert not AcceleratorState._shared_state
    mine = Accelerator(cpu=True, mixed_precision="no")
    train(table, "tiny", out=tmp_path / "b", mixed_precision="bf16", **small)
    assert mine.mixed_precision == "no"
    assert AcceleratorState().mixed_precision == "no"
    AcceleratorState._reset_state(reset_partial_state=True)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_config_object_is_the_same_as_parameters(table, tmp_path, small):
    first = train(table, "tiny", out=tmp_path / "a", config=TrainConfig(**small))
    assert train(table, "tiny", out=tmp_path / "b", **small).fingerprint == first.fingerprint


def test_a_real_network_trains(table, tmp_path, small):
    encoder = train(table, "densenet121", out=tmp_path / "out", **{**small, "epochs": 1})
    assert encoder.code_length == 1024
    assert 0 <= encoder.record["validation"]["mean_auc"] <= 1
