"""A run that was stopped in any way gives what an uninterrupted one gives."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from graphret._errors import EncoderError, InvalidParameterError, MissingFileError
from graphret.encoders import Encoder, load_encoder
from graphret.training import train
from graphret.training.trainer import Trainer
from graphret.training.validation import Score

TIMES = ("seconds", "films_per_second")


def epochs_of(out: Path) -> list:
    epochs = json.loads((out / "history.json").read_text())["epochs"]
    return [{key: value for key, value in epoch.items() if key not in TIMES} for epoch in epochs]


class Interrupt:
    """A progress callback that presses Ctrl-C at one call."""

    def __init__(self, stage: str, done: int) -> None:
        self.at = (stage, done)

    def __call__(self, stage: str, done: int, total: int) -> None:
        if (stage, done) == self.at:
            raise KeyboardInterrupt


@pytest.fixture
def whole(table, tmp_path, small):
    """An uninterrupted run."""
    return train(table, "tiny", out=tmp_path / "whole", **small)


@pytest.mark.parametrize("at", [("reading films", 32), ("epoch 1/3", 2), ("epoch 2/3", 3), ("validation", 1)])
@pytest.mark.parametrize("minutes", [None, 1e-9], ids=["every epoch", "every step"])
def test_ctrl_c_and_again_gives_the_same_bits(table, tmp_path, small, whole, at, minutes):
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        train(table, "tiny", out=out, progress=Interrupt(*at), checkpoint_minutes=minutes, **small)
    with pytest.raises(MissingFileError):
        load_encoder(out)
    encoder = train(table, "tiny", out=out, **small)
    assert encoder.fingerprint == whole.fingerprint
    assert epochs_of(out) == epochs_of(tmp_path / "whole")
    assert encoder.record["validation"] == whole.record["validation"]


def test_the_learning_rate_falls_as_it_would_have(table, tmp_path, small, monkeypatch):
    monkeypatch.setattr(Trainer, "_validate", lambda *_: Score.of_auc({"bright top": 0.5}))
    plateau = {**small, "epochs": 6, "plateau_patience": 2}
    train(table, "tiny", out=tmp_path / "whole", **plateau)
    for stop in (2, 3, 5):
        with pytest.raises(KeyboardInterrupt):
            train(table, "tiny", out=tmp_path / "out", progress=Interrupt(f"epoch {stop}/6", 1), **plateau)
    train(table, "tiny", out=tmp_path / "out", **plateau)
    rates = [epoch["learning_rate"] for epoch in epochs_of(tmp_path / "out")]
    assert rates == [epoch["learning_rate"] for epoch in epochs_of(tmp_path / "whole")]
    assert rates == pytest.approx([3e-3] * 4 + [3e-4] * 2)


def test_a_checkpoint_within_an_epoch_saves_its_steps(table, tmp_path, small):
    steps = []
    for minutes, first in ((None, 1), (1e-9, 3)):
        out = tmp_path / str(minutes)
        with pytest.raises(KeyboardInterrupt):
            train(table, "tiny", out=out, progress=Interrupt("epoch 2/3", 3), checkpoint_minutes=minutes, **small)
        steps.clear()
        train(table, "tiny", out=out, progress=lambda *call: steps.append(call), **small)
        assert next(done for stage, done, _ in steps if stage == "epoch 2/3") == first


def test_with_bad_films_and_without_memory_the_bits_are_the_same(table, tmp_path, small):
    for row in (3, 11, 26):
        Path(table.paths[row]).write_bytes(b"no image")
    streaming = {**small, "cache_bytes": 0}
    whole = train(table, "tiny", out=tmp_path / "whole", **streaming)
    for number, at in enumerate([("epoch 1/3", 3), ("epoch 2/3", 2)]):
        out = tmp_path / str(number)
        with pytest.raises(KeyboardInterrupt):
            train(table, "tiny", out=out, progress=Interrupt(*at), checkpoint_minutes=1e-9, **streaming)
        assert train(table, "tiny", out=out, **streaming).fingerprint == whole.fingerprint
        assert (out / "problems.json").read_text() == (tmp_path / "whole" / "problems.json").read_text()


def test_a_kill_before_the_encoder_is_written_costs_no_epoch(table, tmp_path, small, whole, monkeypatch):
    def interrupt(self, folder):
        raise KeyboardInterrupt

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(Encoder, "save", interrupt)
        with pytest.raises(KeyboardInterrupt):
            train(table, "tiny", out=out, **small)
    with pytest.raises(MissingFileError):
        load_encoder(out)
    monkeypatch.setattr(Trainer, "_train_step", None)
    assert train(table, "tiny", out=out, **small).fingerprint == whole.fingerprint
    assert load_encoder(out, device="cpu").fingerprint == whole.fingerprint


def test_more_epochs_go_on_from_a_finished_run(table, tmp_path, small, whole):
    out = tmp_path / "out"
    train(table, "tiny", out=out, **{**small, "epochs": 1})
    assert train(table, "tiny", out=out, **small).fingerprint == whole.fingerprint
    assert epochs_of(out) == epochs_of(tmp_path / "whole")


def test_a_finished_run_is_not_trained_again(table, tmp_path, small, whole, monkeypatch):
    monkeypatch.setattr(Trainer, "_train_step", None)
    calls = []
    again = train(table, "tiny", out=tmp_path / "whole", progress=lambda *call: calls.append(call), **small)
    assert again.fingerprint == whole.fingerprint
    assert calls == []


def test_a_time_budget_stops_cleanly_and_a_later_call_goes_on(table, tmp_path, small, whole):
    out = tmp_path / "out"
    first = train(table, "tiny", out=out, max_minutes=1e-9, **small)
    assert 0 < first.record["validation"]["epoch"] == first.record["training"]["epochs done"] < 1
    assert load_encoder(out, device="cpu").fingerprint == first.fingerprint
    assert "epochs (the time was used up)" in (out / "MODEL_CARD.md").read_text()
    assert json.loads((out / "history.json").read_text())["epochs"] == []
    assert train(table, "tiny", out=out, **small).fingerprint == whole.fingerprint
    assert epochs_of(out) == epochs_of(tmp_path / "whole")
    assert json.loads((out / "history.json").read_text())["unfinished"] is None


@pytest.mark.parametrize("better", [False, True])
def test_a_time_budget_keeps_the_best_epoch(table, tmp_path, small, monkeypatch, better):
    reference = train(table, "tiny", out=tmp_path / "reference", **{**small, "epochs": 1})
    clock = [0.0]
    monkeypatch.setattr("graphret.training.trainer.time.monotonic", lambda: clock[0])

    def advance(stage: str, done: int, total: int) -> None:
        clock[0] = 100.0 if stage == "epoch 2/3" and done == 2 else clock[0]

    best = 0.7 if better else 0.5
    monkeypatch.setattr(
        Trainer, "_validate", lambda trainer, *_: Score.of_auc({"bright top": best if trainer.passes == 1.5 else 0.6})
    )
    encoder = train(table, "tiny", out=tmp_path / "out", max_minutes=1.0, progress=advance, **small)
    assert encoder.record["training"]["epochs done"] == 1.5
    assert encoder.record["validation"]["epoch"] == (1.5 if better else 1)
    assert (encoder.fingerprint == reference.fingerprint) is not better
    history = json.loads((tmp_path / "out" / "history.json").read_text())
    assert history["unfinished"] == {"epochs": 1.5, "seconds": 100.0}
    state = json.loads((tmp_path / "out" / "checkpoint" / "checkpoint.json").read_text())["state"]
    assert (state["epoch"], state["step"]) == (1, 2)

    def slow_reading(stage: str, done: int, total: int) -> None:
        clock[0] = 200.0 if stage == "reading films" else clock[0]

    train(table, "tiny", out=tmp_path / "slow", max_minutes=1.0, progress=slow_reading, **small)
    state = json.loads((tmp_path / "slow" / "checkpoint" / "checkpoint.json").read_text())["state"]
    assert (state["epoch"], state["step"]) == (0, 1)


def test_another_training_in_the_same_folder_is_refused_with_what_differs(table, tmp_path, small, whole):
    out = tmp_path / "whole"
    labels = np.array(table.labels)
    labels[0, 0] ^= 1
    ids = [*table.ids[:-1], "another"]
    for films, name, change, text in (
        (table, "tiny", {"learning_rate": 1e-4}, r"learning_rate was 0\.003 and is 0\.0001"),
        (table, "tiny", {"seed": 3, "batch_size": 5}, r"batch_size was 7 and is 5; seed was 0 and is 3"),
        (table, "tiny", {"options": {"drop_rate": 0.5}}, "drop_rate"),
        (table, "tiny_hash", {"n_bits": 8}, "encoder name was 'tiny' and is 'tiny_hash'"),
        (replace(table, labels=labels), "tiny", {}, "labels of the films was"),
        (replace(table, ids=ids), "tiny", {}, "ids of the films was"),
        (table.select(np.arange(1, len(table))), "tiny", {}, "training films was 24 and is 23"),
    ):
        with pytest.raises(InvalidParameterError, match=text) as caught:
            train(films, name, out=out, **{**small, **change})
        assert "resume=False" in str(caught.value)
    assert load_encoder(out, device="cpu").fingerprint == whole.fingerprint


def test_resume_false_with_weights_that_are_missing_keeps_the_checkpoint(table, tmp_path, small, whole):
    out = tmp_path / "whole"
    before = (out / "checkpoint" / "checkpoint.json").read_bytes()
    with pytest.raises(MissingFileError, match=r"none\.pth"):
        train(table, "tiny", out=out, resume=False, weights=tmp_path / "none.pth", **small)
    assert (out / "checkpoint" / "checkpoint.json").read_bytes() == before


def test_a_damaged_checkpoint_is_refused_by_name(table, tmp_path, small, whole):
    path = next((tmp_path / "whole" / "checkpoint").glob("run-*"))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(EncoderError, match=rf"{path.name}.*resume=False"):
        train(table, "tiny", out=tmp_path / "whole", **small)
    assert train(table, "tiny", out=tmp_path / "whole", resume=False, **small).fingerprint == whole.fingerprint


def test_resume_false_starts_again_and_the_old_encoder_stays_until_the_end(table, tmp_path, small, whole):
    out = tmp_path / "whole"
    seen = []

    def look(stage: str, done: int, total: int) -> None:
        seen.append(load_encoder(out, device="cpu").fingerprint)
        if (stage, done) == ("epoch 2/3", 2) and len(seen) < 100:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(table, "tiny", out=out, resume=False, progress=look, **{**small, "seed": 5})
    assert set(seen) == {whole.fingerprint}
    assert load_encoder(out, device="cpu").fingerprint == whole.fingerprint
    new = train(table, "tiny", out=out, **{**small, "seed": 5})
    assert new.fingerprint != whole.fingerprint
    assert load_encoder(out, device="cpu").fingerprint == new.fingerprint
    assert train(table, "tiny", out=out, resume=False, **small).fingerprint == whole.fingerprint


CHILD = """
import importlib.util, sys, time
from pathlib import Path
import torch
spec = importlib.util.spec_from_file_location("tiny_of_the_child", {conftest!r})
tiny = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = tiny
spec.loader.exec_module(tiny)
tiny.register_tiny()
torch.set_num_threads(1)
from graphret.training import train

def progress(stage, done, total):
    if (stage, done) == ("epoch 2/3", 2):
        Path({marker!r}).touch()
        time.sleep(100)

train(tiny.make_films(Path({films!r})), "tiny", out={out!r}, progress=progress, **{small!r})
"""


def test_kill_9_and_again_gives_the_same_bits(table, tmp_path, small, whole):
    marker, out = tmp_path / "marker", tmp_path / "out"
    values = {"conftest": str(Path(__file__).with_name("conftest.py")), "marker": str(marker), "out": str(out)}
    code = CHILD.format(**values, films=str(tmp_path / "films"), small=small)
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    deadline = time.monotonic() + 90
    while not marker.exists() and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert marker.exists()
    os.kill(child.pid, signal.SIGKILL)
    printed, _ = child.communicate()
    assert child.returncode == -signal.SIGKILL
    assert printed == b""
    assert json.loads((out / "checkpoint" / "checkpoint.json").read_text())["state"]["epoch"] == 1
    assert train(table, "tiny", out=out, **small).fingerprint == whole.fingerprint
    assert epochs_of(out) == epochs_of(tmp_path / "whole")
