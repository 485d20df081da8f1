"""Any module of torch, or function, as an encoder: its input, what it must return, which one it is."""

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import graphret
from graphret import EncoderError, InvalidParameterError, ModelEncoder
from graphret.data import phantom_films
from graphret.data.phantom import generate_phantom

SIZE = 16


def blocks(images):
    """Means of 16 squares, and the values at the ends of their range."""
    b = len(images)
    return images.reshape(b, -1, 4, SIZE // 4, 4, SIZE // 4).mean(axis=(1, 3, 5)).reshape(b, 16)


def network(channels=1):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(channels, 4, 3, 2), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(196, 8))


@pytest.fixture
def table(tmp_path):
    generate_phantom(tmp_path / "films", 24, size=32)
    return graphret.read_dataset("phantom", root=tmp_path / "films")


@pytest.mark.parametrize("channels", [1, 3])
def test_a_module_gets_its_range_and_channels(channels):
    model = network(channels)
    encoder = ModelEncoder(model, size=SIZE, pixels=(-1024, 1024), channels=channels, device="cpu")
    assert (encoder.code_length, encoder.name, model.training) == (8, "Sequential", False)
    images = np.random.default_rng(1).random((5, SIZE, SIZE), dtype=np.float32)
    given = torch.from_numpy(images * 2048 - 1024)[:, None].repeat(1, channels, 1, 1)
    with torch.inference_mode():
        expected = model(given).numpy()
    np.testing.assert_allclose(encoder.encode(images), expected, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(encoder.encode(images, batch_size=2), expected, rtol=1e-3, atol=1e-3)
    with encoder.encoding() as begin:
        np.testing.assert_allclose(begin(images).result(), expected, rtol=1e-3, atol=1e-3)
    assert encoder.encode(images, precision="bfloat16").shape == (5, 8)
    assert encoder.encode(images[:0]).shape == (0, 8)


def test_which_one_it_is():
    how = {"size": SIZE, "pixels": (0, 1), "device": "cpu"}
    model = network()
    first = ModelEncoder(model, **how).fingerprint
    assert ModelEncoder(network(), **how).fingerprint == first
    assert ModelEncoder(model, **how | {"pixels": (0, 255)}).fingerprint != first
    assert ModelEncoder(model, **how, fingerprint="mine 1").fingerprint != first
    with torch.no_grad():
        model[3].bias[0] += 1
    assert ModelEncoder(model, **how).fingerprint != first
    one = ModelEncoder(blocks, size=SIZE, pixels=(0, 1), fingerprint="1")
    assert ModelEncoder(blocks, size=SIZE, pixels=(0, 1), fingerprint="2").fingerprint != one.fingerprint
    assert (
        ModelEncoder(blocks, size=SIZE * 2, pixels=(0, 1), fingerprint="1", channels=3).fingerprint != one.fingerprint
    )
    for nothing in (blocks, nn.Flatten()):
        with pytest.raises(InvalidParameterError, match="has no weights to compute it of"):
            ModelEncoder(nothing, size=SIZE, pixels=(0, 1))


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (lambda images: images.mean(axis=(1, 2, 3)), r"returned float32 \(3,\) for 3 films"),
        (lambda images: images, r"returned float32 \(3, 1, 16, 16\)"),
        (lambda images: blocks(images)[:1], r"returned float32 \(1, 16\) for 3 films"),
        (lambda images: blocks(images) > 0, r"returned bool \(3, 16\)"),
        (lambda images: list(blocks(images)), "returned list"),
        (lambda images: {"codes": images}, "returned dict"),
        (lambda images: blocks(images) * np.nan, r"NaN or infinity for pixels in \[0\.0, 1\.0\]"),
        (lambda images: blocks(images) - blocks(images).mean(axis=0), "another code in a batch than alone"),
        (lambda images: blocks(images)[:, : 4 + len(images)], "another code in a batch"),
        (lambda images: 1 / 0, "failed on float32 .*ZeroDivisionError"),
    ],
)
def test_what_a_model_must_not_return(model, words):
    with pytest.raises(EncoderError, match=words):
        ModelEncoder(model, size=SIZE, pixels=(0, 1), fingerprint="x", name="mine")


def test_wrong_parameters(caplog):
    for wrong in (
        {"size": 0}, {"pixels": (1, 0)}, {"pixels": (0, np.inf)}, {"pixels": 255}, {"channels": 2}, {"channels": True},
        {"name": ""}, {"fingerprint": 3}, {"model": "resnet18"}, {"model": nn.Linear},
    ):  # fmt: skip
        right = {"model": blocks, "size": SIZE, "pixels": (0, 1), "fingerprint": "x"}
        with pytest.raises(InvalidParameterError, match=next(iter(wrong))):
            ModelEncoder(**right | wrong)
    encoder = ModelEncoder(blocks, size=SIZE, pixels=(0, 1), fingerprint="x")
    with pytest.raises(InvalidParameterError, match="precision"):
        encoder.encode(np.zeros((1, SIZE, SIZE), np.float32), precision="bfloat16")
    with pytest.raises(InvalidParameterError, match="images"):
        encoder.encode(np.zeros((1, 8, 8), np.float32))
    with caplog.at_level(logging.WARNING):
        ModelEncoder(lambda x: np.ones((len(x), 3), np.float32), size=SIZE, pixels=(0, 1), fingerprint="x")
    assert "the same code" in caplog.text


def test_an_index_of_its_codes(table, tmp_path):
    encoder = ModelEncoder(blocks, size=SIZE, pixels=(0, 1), fingerprint="blocks 1")
    index = graphret.build(table.select(np.arange(20)), encoder, out=tmp_path / "index", k=4, tune=False)
    film = str(table.paths[3])
    expected = index.query(film, k=3)
    assert expected.ids[0, 0] == table.ids[3]
    grown = index.add(table.select(np.arange(20, 24)))  # the encoder goes along
    assert grown.n_films == 24
    fresh = graphret.open(tmp_path / "index")
    fresh.verify()
    assert fresh.manifest["encoder"]["name"] == "blocks"
    assert fresh.query(table.ids[3], k=3).ids.shape == (1, 3)
    assert fresh.query(np.asarray(fresh.codes[3]), k=1).ids[0, 0] == table.ids[3]
    for call in (
        lambda: fresh.query(film),
        lambda: fresh.add(replace(table, ids=np.char.add(table.ids, "x"))),
        lambda: graphret.evaluate(fresh, table, measures=["P@5"], n_resamples=20),
    ):
        with pytest.raises(EncoderError, match=r"encoded with blocks .*graphret.open"):
            call()
    by_code = (np.asarray(fresh.codes[:4]), table.labels[:4])
    report = graphret.evaluate(fresh, by_code, measures=["P@5"], n_resamples=20)
    assert "blocks" in str(report.to_dict())
    same = ModelEncoder(blocks, size=SIZE, pixels=(0, 1), fingerprint="blocks 1")
    again = graphret.open(tmp_path / "index", encoder=same)
    assert again.query(film, k=3).ids[0, 0] == table.ids[3]
    with pytest.raises(EncoderError, match="was built with the encoder"):
        graphret.open(tmp_path / "index", encoder=ModelEncoder(blocks, size=32, pixels=(0, 1), fingerprint="blocks 1",
                                                                name="b"))  # fmt: skip
    assert fresh.remove(str(table.ids[0])).rebuild(k=3).manifest["encoder"]["kept"] is False


def test_a_bare_model_is_refused_with_what_to_do(table, tmp_path):
    for bare in (network(), blocks):
        with pytest.raises(InvalidParameterError, match=r"graphret\.ModelEncoder\(model, size=\.\.\., pixels="):
            graphret.build(table, bare, out=tmp_path / "index")
        with pytest.raises(InvalidParameterError, match="ModelEncoder"):
            graphret.open(tmp_path, encoder=bare)
    assert not (tmp_path / "index").exists()
    pixels, _ = phantom_films(1, size=32)
    encoder = ModelEncoder(network(), size=SIZE, pixels=(0, 1), device="cpu")
    assert encoder.encode(encoder.prepare(pixels[0])[None]).shape == (1, 8)
