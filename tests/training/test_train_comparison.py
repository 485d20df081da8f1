"""Deep hashing and aggregations, trained on generated films: better than untrained, better than chance."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from graphret.data import generate_phantom, read_dataset
from graphret.encoders import Encoder, encoder_spec
from graphret.encoders.registry.comparison_specs import COMPARISON_SPECS
from graphret.training import TrainConfig, train

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from graphret.data import ImageTable

SIZE, BITS = 32, 16
QUICK = ("dsh", "hashnet", "rmac")
# A backbone that stays is as good as it began; losses over one are judged on features, with the other objectives.
FROZEN = {"bihalf", "cibhash", "greedyhash_unsupervised"}
HASHES = [spec.name for spec in COMPARISON_SPECS if spec.kind == "hash" and spec.name not in FROZEN]
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


class Study:
    """Films that did not train ask among those that did; films whose view is unknown are left out."""

    def __init__(self, name: str, films: ImageTable, folder: Path) -> None:
        self.name, self.films, self.folder = name, films, folder
        self.binary = encoder_spec(name).kind == "hash"
        self.n_bits = BITS if self.binary else None
        self.options = {"backbone": "small_cnn"}
        if "n_words" in encoder_spec(name).options:  # maps of 2 x 2 hold four words
            self.options["n_words"] = 24
        known = films.select(np.flatnonzero((films.labels >= 0).all(axis=1)))
        self.asks, self.is_ap = known.splits != "train", known.labels[:, 0]
        untrained = [self.untrained(seed) for seed in range(100, 120)]
        self.images = np.stack([untrained[0].prepare(known.read(row)) for row in range(len(known))])
        self.before = [self.precision_at_10(encoder.encode(self.images)) for encoder in untrained]
        generator = np.random.default_rng(0)
        self.chance = [self.precision_at_10(generator.normal(size=(len(known), BITS))) for _ in range(20)]

    def untrained(self, seed: int) -> Encoder:
        names = self.films.label_names
        return Encoder.untrained(self.name, names, SIZE, n_bits=self.n_bits, seed=seed, device="cpu", **self.options)

    def score(self, seed: int, n_passes: int) -> float:
        config = TrainConfig.for_encoder(
            self.name,
            size=SIZE,
            n_bits=self.n_bits,
            options=self.options,
            epochs=n_passes,
            batch_size=24,
            learning_rate=3e-3,
            plateau_patience=5,
            device="cpu",
            n_workers=1,
            seed=seed,
        )
        trained = train(self.films, self.name, out=self.folder / f"{seed}", config=config)
        return self.precision_at_10(trained.encode(self.images))

    def precision_at_10(self, codes: NDArray[np.floating]) -> float:
        """Share of relevant films among the first ten."""
        values = np.where(codes >= 0, 1.0, -1.0) if self.binary else codes
        values = values / np.linalg.norm(values, axis=1, keepdims=True)
        similarities = values[self.asks] @ values[~self.asks].T
        # Ties of Hamming distances fall by chance, always the same.
        similarities += 1e-6 * np.random.default_rng(0).random(similarities.shape)
        first = np.argsort(-similarities, axis=1)[:, :10]
        return float((self.is_ap[self.asks][:, None] == self.is_ap[~self.asks][first]).mean())


@pytest.mark.parametrize("name", QUICK)
def test_a_short_training_helps(name, films, tmp_path, judge_trainings):
    study = Study(name, films, tmp_path)
    better, figures = judge_trainings(study.score, 6, study.before, study.chance)
    assert better, figures


@pytest.mark.slow
@pytest.mark.parametrize("name", [*HASHES, *DENSE])
def test_training_helps_every_loss_and_every_aggregation(name, films, tmp_path, judge_trainings):
    study = Study(name, films, tmp_path)
    better, figures = judge_trainings(study.score, 12, study.before, study.chance)
    assert better, figures
