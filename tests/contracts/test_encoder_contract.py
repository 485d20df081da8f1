"""What every registered encoder promises, checked over the whole registry."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from graphret._errors import EncoderError, InvalidParameterError, UnknownNameError
from graphret.encoders import Encoder, create, encoder_spec, list_encoders, load_encoder
from graphret.encoders.objectives import create_objective
from graphret.training.step import TrainingStep

LABELS = ("Edema", "Mass", "Nodule")
N_BITS = 24


def settings_of(name: str) -> dict:
    """Bits, and the smallest backbone where there is a choice: what an encoder promises holds over every one."""
    spec = encoder_spec(name)
    settings = {"backbone": "small_cnn"} if "backbone" in spec.options else {}
    return {**settings, "n_bits": N_BITS} if spec.kind == "hash" else settings


def make(name: str, size: int = 32, seed: int = 0) -> Encoder:
    return Encoder.untrained(name, LABELS, size, seed, device="cpu", **settings_of(name))


def images_of(size: int, n: int = 5, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((n, size, size), dtype=np.float32)


@pytest.fixture
def one_thread(torch_threads):
    with torch_threads(1):
        yield


@pytest.fixture(scope="module", params=list_encoders())
def encoder(request) -> Encoder:
    return make(request.param)


def test_codes_and_probabilities_have_the_promised_shape_and_range(encoder):
    images = images_of(32)
    codes = encoder.encode(images)
    spec = encoder_spec(encoder.name)
    assert encoder.kind == spec.kind
    length = spec.length(N_BITS, encoder.config.options)
    assert length == N_BITS or spec.kind == "dense"
    assert codes.shape == (5, length)
    assert encoder.code_length == length
    assert codes.dtype == np.float32
    assert np.isfinite(codes).all()
    if spec.non_negative:
        assert (codes >= 0).all()
    assert not np.array_equal(codes[0], codes[1])
    if not spec.classifies:
        with pytest.raises(EncoderError, match=f"{encoder.name!r} has no classifier"):
            encoder.predict(images)
        return
    probabilities = encoder.predict(images)
    assert probabilities.dtype == np.float32
    assert probabilities.shape == (5, 3)
    assert ((probabilities >= 0) & (probabilities <= 1)).all()


def test_bits_are_the_signs_of_the_codes_of_a_hash_encoder(encoder):
    images = images_of(32)
    if encoder.kind == "dense":
        with pytest.raises(EncoderError, match=f"{encoder.name!r} is a dense encoder"):
            encoder.bits(images)
        return
    bits = encoder.bits(images)
    assert bits.shape == (5, N_BITS // 8)
    assert bits.dtype == np.uint8
    signs = np.unpackbits(bits, axis=1, bitorder="little")[:, :N_BITS]
    np.testing.assert_array_equal(signs == 1, encoder.encode(images) >= 0)


@pytest.mark.parametrize("size", [32, 33, 64, 96])
def test_any_input_from_32_px(encoder, size):
    assert encoder.resized(size).encode(images_of(size, 2)).shape == (2, encoder.code_length)


def test_a_code_does_not_depend_on_the_other_films_of_its_batch(encoder):
    images = images_of(32, 7)
    together = encoder.encode(images)
    alone = np.concatenate([encoder.encode(images[row : row + 1]) for row in range(7)])
    np.testing.assert_allclose(together, alone, atol=1e-5 * np.abs(together).max())
    np.testing.assert_allclose(encoder.encode(images, batch_size=3), together, atol=1e-5 * np.abs(together).max())


def test_bfloat16_codes_are_near_and_different(encoder):
    images = images_of(32)
    exact, rough = encoder.encode(images), encoder.encode(images, precision="bfloat16")
    assert rough.dtype == np.float32
    if "n_words" not in encoder.config.options:  # such codes count words, and all may stay the same
        assert not np.array_equal(exact, rough)
    cosines = (exact * rough).sum(1) / np.linalg.norm(exact, axis=1) / np.linalg.norm(rough, axis=1)
    assert (cosines > 0.99).all()


def test_saved_and_opened_it_gives_identical_codes(encoder, tmp_path):
    encoder.save(tmp_path)
    opened = load_encoder(tmp_path, device="cpu")
    images = images_of(32)
    assert opened.fingerprint == encoder.fingerprint
    assert opened.config == encoder.config
    np.testing.assert_array_equal(opened.encode(images), encoder.encode(images))
    if encoder_spec(encoder.name).classifies:
        np.testing.assert_array_equal(opened.predict(images), encoder.predict(images))
    if encoder.kind == "hash":
        np.testing.assert_array_equal(opened.bits(images), encoder.bits(images))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["MODEL_CARD.md", "encoder.json", "encoder.safetensors"]


@pytest.mark.parametrize("name", list_encoders())
def test_the_gradient_of_its_own_objective_reaches_every_parameter(name, one_thread):
    torch.manual_seed(0)
    module = create(name, n_labels=3, **settings_of(name))
    spec = encoder_spec(name)
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, (8, 3)).astype(np.int8)
    labels[:4] = [[1, 0, 0], [1, 0, 0], [0, 0, 0], [0, 1, 1]]
    n_bits = N_BITS if spec.kind == "hash" else None
    objective = create_objective(spec.objective, labels, n_bits, **spec.recipe.get("objective_options", {}))
    step = TrainingStep(module, objective)
    masks = torch.from_numpy((generator.random((8, 1, 64, 64)) < 0.3).astype(np.float32))
    images = torch.from_numpy(images_of(64, 8)[:, None])
    for _ in range(2):  # a loss that remembers films has not seen any the first time
        loss = step(images, torch.from_numpy(labels), torch.arange(8), masks)
    loss.backward()
    without = {key for key, value in step.named_parameters() if value.grad is None or not value.grad.any()}
    backbone = {f"network.backbone.{key}" for key, _ in module.backbone.named_parameters()} if module.frozen else set()
    assert without == backbone


@pytest.mark.parametrize("name", list_encoders())
def test_the_seed_decides_the_weights_and_the_callers_seed_stays(name):
    before = torch.get_rng_state()
    first, again, other = make(name), make(name), make(name, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    assert first.fingerprint == again.fingerprint != other.fingerprint


@pytest.mark.parametrize("name", list_encoders())
def test_a_model_takes_the_bits_and_options_of_its_spec_only(name):
    spec = encoder_spec(name)
    if spec.kind == "dense":
        with pytest.raises(InvalidParameterError, match="n_bits=16 is not allowed"):
            create(name, n_labels=3, n_bits=16)
    else:
        assert spec.default_bits is not None
        assert load_encoder(name, size=32, device="cpu").code_length == spec.default_bits
        with pytest.raises(InvalidParameterError, match="n_bits"):
            create(name, n_labels=3, n_bits=0)
    with pytest.raises(InvalidParameterError, match="depth"):
        create(name, n_labels=3, n_bits=None if spec.kind == "dense" else 16, depth=3)
    with pytest.raises(InvalidParameterError, match="n_labels"):
        create(name, n_labels=0, **settings_of(name))


def test_an_unknown_name_lists_the_registry():
    with pytest.raises(UnknownNameError, match=r"densenet121, .*resnet18.*did you mean 'densenet121'") as caught:
        create("densenet12", n_labels=1)
    assert caught.value.exit_status == 2
