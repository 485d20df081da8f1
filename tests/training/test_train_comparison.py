"""Deep hashing and aggregations, trained on generated films: better than untrained, better than chance."""

from dataclasses import replace

import numpy as np
import pytest

from graphret.data import generate_phantom, read_dataset
from graphret.encoders import Encoder, encoder_spec
from graphret.encoders.registry.comparison_specs import COMPARISON_SPECS
from graphret.training import TrainConfig, train

SIZE, BITS = 32, 16
QUICK = ("dsh", "hashnet", "rmac")
HASHES = [spec.name for spec in COMPARISON_SPECS if spec.kind == "hash"]
DENSE = [spec.name for spec in COMPARISON_SPECS if spec.kind == "dense"]


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """Films whose labels are their views: what a small network learns within seconds."""
    root = tmp_path_factory.mktemp("phantom")
    generate_phantom(root, 320, size=SIZE)
    table = read_dataset("phantom", root)
    labels = np.column_stack([table.views == "AP", table.views == "PA"]).astype(np.int8)
    labels[::17] = -1
    return replace(table, labels=labels, label_names=("AP", "PA"))


def precision_at_10(encoder: Encoder, films, binary: bool) -> float:
    """Share of relevant films among the first ten, over the films that did not train."""
    known = films.select(np.flatnonzero((films.labels >= 0).all(axis=1)))
    parts = [known.split("train"), known.select(np.flatnonzero(known.splits != "train"))]
    codes = [encoder.encode(np.stack([encoder.prepare(part.read(row)) for row in range(len(part))])) for part in parts]
    if binary:
        codes = [np.where(values >= 0, 1.0, -1.0) for values in codes]
    else:
        codes = [values / np.linalg.norm(values, axis=1, keepdims=True) for values in codes]
    similarities = codes[1] @ codes[0].T
    # Ties of Hamming distances fall by chance, always the same.
    similarities += 1e-6 * np.random.default_rng(0).random(similarities.shape)
    first = np.argsort(-similarities, axis=1)[:, :10]
    same = parts[1].labels[:, None, 0] == parts[0].labels[first, 0]
    return float(same.mean())


def check(name: str, films, tmp_path, gain: float, **parameters) -> None:
    spec = encoder_spec(name)
    n_bits = BITS if spec.kind == "hash" else None
    options = {"backbone": "small_cnn"}
    if "n_words" in spec.options:  # maps of 2 x 2 hold four words
        options["n_words"] = 24
    untrained = Encoder.untrained(name, films.label_names, SIZE, n_bits=n_bits, device="cpu", **options)
    config = TrainConfig.for_encoder(
        name,
        **{
            "size": SIZE,
            "n_bits": n_bits,
            "options": options,
            "epochs": 6,
            "batch_size": 24,
            "learning_rate": 3e-3,
            "plateau_patience": 5,
            "device": "cpu",
            "n_workers": 1,
            **parameters,
        },
    )
    trained = train(films, name, out=tmp_path / "out", config=config)
    before, after = (precision_at_10(encoder, films, spec.kind == "hash") for encoder in (untrained, trained))
    share = np.mean(films.labels[films.splits == "train", 0] == 1)
    chance = share**2 + (1 - share) ** 2
    assert after > chance + gain
    assert after > before


@pytest.mark.parametrize("name", QUICK)
def test_a_short_training_helps(name, films, tmp_path):
    check(name, films, tmp_path, 0.15)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*HASHES, *DENSE])
def test_training_helps_every_loss_and_every_aggregation(name, films, tmp_path):
    check(name, films, tmp_path, 0.15, epochs=12)
