"""Every hash encoder, trained as its paper says but shortly, ranks generated films better than without its training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from graphret.data import ImageTable, phantom_films
from graphret.data.images import write_png
from graphret.encoders import Encoder, encoder_spec, list_encoders
from graphret.training import train
from graphret.training.validation import retrieval_map

if TYPE_CHECKING:
    from pathlib import Path

SIZE, N_BITS = 32, 16
FAST = "siamese_hash"
HASHES = [name for name in list_encoders() if encoder_spec(name).kind == "hash"]


@pytest.fixture(scope="module")
def films(tmp_path_factory) -> ImageTable:
    """Films with and without an edema, about as many of each: what shows on most of them, unlike a nodule."""
    images, table = phantom_films(1600, SIZE, seed=5)
    edema = table.labels[:, table.label_names.index("Edema")] == 1
    healthy = np.flatnonzero(~table.labels.any(axis=1))[: edema.sum()]
    rows = np.sort(np.concatenate([np.flatnonzero(edema), healthy]))
    folder: Path = tmp_path_factory.mktemp("films")
    paths = [str(folder / f"{table.ids[row]}.png") for row in rows]
    for path, row in zip(paths, rows, strict=True):
        write_png(path, images[row])
    chosen = ImageTable(table.ids[rows], paths, edema[rows, None].astype(np.int8), ("Edema",), table.patients[rows])
    return chosen.with_split_by_patient((0.5, 0.2, 0.3), seed=1)


def precision(encoder: Encoder, films: ImageTable) -> float:
    """Mean average precision of the bits among the test films."""
    test = films.split("test")
    images = np.stack([encoder.prepare(test.read(row)) for row in range(len(test))])
    return retrieval_map(encoder.encode(images), test.labels, test.patients, binary=True)


def random_precision(films: ImageTable) -> float:
    test = films.split("test")
    values = [np.random.default_rng(seed).standard_normal((len(test), N_BITS)).astype(np.float32) for seed in range(20)]
    return float(np.mean([retrieval_map(codes, test.labels, test.patients, binary=True) for codes in values]))


@pytest.mark.parametrize(
    "name", [name if name == FAST else pytest.param(name, marks=pytest.mark.slow) for name in HASHES]
)
def test_trained_beats_untrained_and_random(name, films, tmp_path):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        # The code of Y-Net is read off the places of its core, of which there is one every 32 px.
        size = 4 * SIZE if name == "ynet" else SIZE
        untrained = Encoder.untrained(name, films.label_names, size, n_bits=N_BITS, device="cpu")
        short = {
            "epochs": 20,
            "batch_size": 20,
            "optimizer": "adam",
            "weight_decay": 0.0,
            "learning_rate": 1e-3,
        }
        recipe = {"size": size, "n_bits": N_BITS, "device": "cpu", "n_workers": 1, "plateau_patience": 20}
        trained = train(films, name, out=tmp_path, select_by="retrieval", **short, **recipe)
        found, before, chance = precision(trained, films), precision(untrained, films), random_precision(films)
    finally:
        torch.set_num_threads(threads)

    assert found > before + 0.04
    assert found > chance + 0.05
