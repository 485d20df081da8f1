"""A saved encoder works from its weights alone, to the bit, and its network is made when something needs it."""

import copy
import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import graphret
from graphret._errors import EncoderError
from graphret.data import write_png
from graphret.encoders import Encoder

IMAGES = np.random.default_rng(0).random((3, 64, 64), dtype=np.float32)


def trained_like(pixels: str) -> Encoder:
    """Random weights, and batch norms whose statistics are no longer those of a new network."""
    encoder = Encoder.untrained("densenet121", ["Mass", "Nodule"], 64, device="cpu", pixels=pixels)
    generator = torch.Generator().manual_seed(0)
    for name, value in encoder._network.module.state_dict().items():
        if "norm" in name and value.is_floating_point():
            value.copy_(torch.rand(value.shape, generator=generator) + 0.5)
    return encoder


@pytest.fixture(scope="module", params=["imagenet", "xrayvision"])
def made_and_folder(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    made = trained_like(request.param)
    made.save(folder)
    return made, folder


def test_codes_and_probabilities_are_those_of_the_network_to_the_bit(made_and_folder):
    made, folder = made_and_folder
    loaded = Encoder.load(folder, device="cpu")
    np.testing.assert_array_equal(loaded.encode(IMAGES), made.encode(IMAGES))
    np.testing.assert_array_equal(loaded.predict(IMAGES), made.predict(IMAGES))
    small = np.ascontiguousarray(IMAGES[:, :32, :32])
    np.testing.assert_array_equal(loaded.resized(32).encode(small), made.resized(32).encode(small))
    assert "module" not in vars(loaded._network)


def test_what_needs_the_network_makes_it(made_and_folder, tmp_path):
    made, folder = made_and_folder
    loaded = Encoder.load(folder, device="cpu")
    seeds = torch.random.get_rng_state()
    half = loaded.encode(IMAGES, precision="bfloat16")
    np.testing.assert_array_equal(half, made.encode(IMAGES, precision="bfloat16"))
    assert torch.equal(torch.random.get_rng_state(), seeds)
    loaded.save(tmp_path / "again")
    assert Encoder.load(tmp_path / "again", device="cpu").fingerprint == made.fingerprint
    np.testing.assert_array_equal(copy.deepcopy(loaded).encode(IMAGES), made.encode(IMAGES))


@pytest.mark.parametrize("change", ["missing", "unknown", "shape"])
def test_weights_of_another_network_are_refused_when_they_are_loaded(made_and_folder, tmp_path, change):
    _, folder = made_and_folder
    tensors = load_file(folder / "encoder.safetensors")
    if change == "missing":
        del tensors["backbone.denseblock2.denselayer3.norm1.weight"]
    elif change == "unknown":
        tensors["backbone.denseblock4.denselayer17.conv1.weight"] = torch.zeros(1, 1, 1, 1)
    else:
        tensors["backbone.norm5.bias"] = torch.zeros(7)
    save_file(tensors, tmp_path / "encoder.safetensors", metadata={"format": "pt"})
    document = json.loads((folder / "encoder.json").read_text())
    document["weights"]["sha256"] = hashlib.sha256((tmp_path / "encoder.safetensors").read_bytes()).hexdigest()
    (tmp_path / "encoder.json").write_text(json.dumps(document))
    with pytest.raises(EncoderError, match="its weights do not fit the network of this version"):
        Encoder.load(tmp_path, device="cpu")


def test_a_query_of_a_film_imports_only_what_it_needs(made_and_folder, tmp_path):
    made, _ = made_and_folder
    codes = made.encode(np.random.default_rng(1).random((40, 64, 64), dtype=np.float32))
    graphret.build(codes, out=tmp_path / "index", encoder=made, k=5, labels=np.eye(40, 3, dtype=np.int8))
    film = tmp_path / "film.png"
    write_png(film, IMAGES[0])
    code = (
        "import sys; from graphret.cli import main; "
        f"assert main(['query', {str(tmp_path / 'index')!r}, {str(film)!r}, '--quiet']) == 0; "
        "slow = {'torchvision', 'pandas', 'pyarrow.dataset', 'scipy.sparse', 'matplotlib', 'faiss', 'accelerate', "
        "'torchmetrics', 'torch._dynamo', 'rich.markdown'} & set(sys.modules); "
        "sys.exit(f'imported: {sorted(slow)}' if slow else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
