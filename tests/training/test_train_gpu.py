"""What only a CUDA device can show: the codes of a processor, mixed precision, resuming."""

import json
import logging

import numpy as np
import pytest
import torch

from graphret.encoders import Encoder, encoder_spec, list_encoders, load_encoder
from graphret.training import classifier_auc, train

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]


@pytest.mark.parametrize(
    "name", [name for name in list_encoders() if encoder_spec(name).kind == "dense" and name != "blcf"]
)
def test_the_codes_are_those_of_the_processor(name, tmp_path):
    encoder = Encoder.untrained(name, ("a", "b"), 96, device="cpu")
    encoder.save(tmp_path)
    on_device = load_encoder(tmp_path, device="cuda")
    assert on_device.device == "cuda"
    assert on_device.fingerprint == encoder.fingerprint
    images = np.random.default_rng(0).random((9, 96, 96), dtype=np.float32)
    codes = encoder.encode(images)
    scale = np.abs(codes).max()
    np.testing.assert_allclose(on_device.encode(images), codes, atol=1e-5 * scale)
    np.testing.assert_allclose(on_device.encode(images, batch_size=2), on_device.encode(images), atol=1e-5 * scale)
    np.testing.assert_allclose(on_device.predict(images), encoder.predict(images), atol=1e-4)
    rough = on_device.encode(images, precision="bfloat16")
    cosines = (rough * codes).sum(1) / np.linalg.norm(rough, axis=1) / np.linalg.norm(codes, axis=1)
    assert (cosines > 0.99).all()
    assert not np.array_equal(rough, on_device.encode(images))


def test_auto_takes_the_device(caplog):
    with caplog.at_level(logging.INFO):
        assert Encoder.untrained("resnet18", ("a",), 32).device == "cuda"
    assert "processor" not in caplog.text


@pytest.mark.parametrize("mixed_precision", ["no", "bf16", "fp16"])
def test_it_learns_in_every_precision(table, tmp_path, small, mixed_precision):
    parameters = {**small, "device": "cuda", "epochs": 12, "learning_rate": 0.02}
    encoder = train(table, "tiny", out=tmp_path / "out", mixed_precision=mixed_precision, **parameters)
    assert np.mean(list(classifier_auc(encoder, table).values())) > 0.9
    state = json.loads((tmp_path / "out" / "checkpoint" / "checkpoint.json").read_text())["state"]
    assert (state["scaler"] is not None) == (mixed_precision == "fp16")
    assert load_encoder(tmp_path / "out", device="cpu").fingerprint == encoder.fingerprint


@pytest.mark.parametrize("mixed_precision", ["no", "fp16"])
def test_a_resumed_run_goes_the_way_of_an_uninterrupted_one(table, tmp_path, small, mixed_precision):
    def interrupt(stage: str, done: int, total: int) -> None:
        if (stage, done) == ("epoch 2/3", 2):
            raise KeyboardInterrupt

    parameters = {**small, "device": "cuda", "mixed_precision": mixed_precision}
    whole = train(table, "tiny", out=tmp_path / "whole", **parameters)
    with pytest.raises(KeyboardInterrupt):
        train(table, "tiny", out=tmp_path / "out", progress=interrupt, **parameters)
    encoder = train(table, "tiny", out=tmp_path / "out", **parameters)
    assert encoder.record["validation"]["epoch"] == whole.record["validation"]["epoch"]
    for key, value in whole.tensors().items():
        torch.testing.assert_close(encoder.tensors()[key], value, rtol=1e-3, atol=1e-3)


def test_densenet121_trains_at_224_px(table, tmp_path, small):
    parameters = {**small, "device": "cuda", "size": 224, "batch_size": 24, "epochs": 1, "mixed_precision": "bf16"}
    encoder = train(table, "densenet121", out=tmp_path / "out", **parameters)
    assert encoder.code_length == 1024
    history = json.loads((tmp_path / "out" / "history.json").read_text())
    assert np.isfinite(history["epochs"][0]["loss"])
