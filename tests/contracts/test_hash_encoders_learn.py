"""Every hash encoder, trained with the loss of its paper but shortly, ranks films better than untrained ones do."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import pytest

from graphret.data import ImageTable
from graphret.data.images import write_png
from graphret.encoders import Encoder, encoder_spec, list_encoders
from graphret.encoders.objectives.siamese_hash import SiameseLoss
from graphret.training import train
from graphret.training.validation import retrieval_map

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from numpy.typing import NDArray

    from graphret._types import Float32Array

SIZE, N_BITS = 32, 16
FAST = "siamese_hash"
FROZEN = {"bihalf", "cibhash", "greedyhash_unsupervised"}
"""Their backbone stays as it began, here at random; what their layers learn is tested with their objectives."""
HASHES = [name for name in list_encoders() if encoder_spec(name).kind == "hash" and name not in FROZEN]
N_FILMS = 240

N_PASSES = 12
UNTRAINED = range(100, 120)


@pytest.fixture(scope="module")
def films(tmp_path_factory) -> ImageTable:
    """Films of stripes that stand or lie, each begun anywhere: edges that no pixel alone tells, but any convolution."""
    generator = np.random.default_rng(0)
    stand = np.arange(N_FILMS) % 2 == 1
    waves = np.sin(2 * np.pi * (np.arange(SIZE) / 8 + generator.random((N_FILMS, 1))))
    images = 0.5 + 0.3 * np.where(stand[:, None, None], waves[:, None, :], waves[:, :, None])
    images += generator.uniform(-0.2, 0.2, (N_FILMS, 1, 1)) + generator.normal(0, 0.05, (N_FILMS, SIZE, SIZE))
    folder: Path = tmp_path_factory.mktemp("films")
    names = [f"film{row}" for row in range(N_FILMS)]
    paths = [str(folder / f"{name}.png") for name in names]
    for path, image in zip(paths, images.clip(0, 1), strict=True):
        write_png(path, image)
    parts = ["train"] * (N_FILMS // 2) + ["valid"] * (N_FILMS // 8) + ["test"] * (N_FILMS * 3 // 8)
    return ImageTable(names, paths, stand[:, None].astype(np.int8), ("Standing",), patients=names, splits=parts)


@pytest.fixture(autouse=True)
def _one_thread(torch_threads: Callable[[int], AbstractContextManager[None]]) -> Iterator[None]:
    with torch_threads(1):
        yield


class Trial:
    """One encoder on one set of films: how its trained networks stand among untrained ones and among random bits."""

    def __init__(self, name: str, films: ImageTable) -> None:
        # The code of Y-Net is read off the places of its core, of which there is one every 32 px.
        self.name, self.size = name, 4 * SIZE if name == "ynet" else SIZE
        self.films, self.test = films, films.split("test")
        untrained = [self.made(seed) for seed in UNTRAINED]
        self.images = np.stack([untrained[0].prepare(self.test.read(row)) for row in range(len(self.test))])
        self.untrained = [self.precision(encoder) for encoder in untrained]
        self.random = [
            self.precision_of(values) for values in np.random.default_rng(0).normal(size=(20, len(self.test), N_BITS))
        ]

    def made(self, seed: int) -> Encoder:
        return Encoder.untrained(self.name, self.films.label_names, self.size, n_bits=N_BITS, seed=seed, device="cpu")

    def trained(self, folder: Path, seed: int, n_passes: int) -> Encoder:
        short = {"epochs": n_passes, "batch_size": 20, "optimizer": "adam", "weight_decay": 0.0, "learning_rate": 1e-3}
        recipe = {"size": self.size, "n_bits": N_BITS, "device": "cpu", "n_workers": 1, "plateau_patience": n_passes}
        return train(self.films, self.name, out=folder / f"{seed}", select_by="retrieval", seed=seed, **short, **recipe)

    def precision(self, encoder: Encoder) -> float:
        """Mean average precision of the bits among the films that are kept for the test."""
        return self.precision_of(encoder.encode(self.images))

    def precision_of(self, values: Float32Array | NDArray[np.float64]) -> float:
        return retrieval_map(values.astype(np.float32), self.test.labels, self.test.patients, binary=True)

    def judged(self, judge: Callable[..., tuple[bool, str]], folder: Path, n_passes: int) -> tuple[bool, str]:
        """Judge trainings, which are kept in a folder, beside untrained networks and random bits."""

        def score(seed: int, passes: int) -> float:
            return self.precision(self.trained(folder, seed, passes))

        return judge(score, n_passes, self.untrained, self.random)


@pytest.fixture(scope="module")
def trial_of(films: ImageTable) -> Callable[[str], Trial]:
    """Make the trial of an encoder, once: its untrained networks serve every test of it."""
    return lru_cache(maxsize=1)(lambda name: Trial(name, films))


@pytest.mark.parametrize(
    "name", [name if name == FAST else pytest.param(name, marks=pytest.mark.slow) for name in HASHES]
)
def test_trained_beats_untrained_and_random(name, trial_of, tmp_path, judge_trainings):
    better, figures = trial_of(name).judged(judge_trainings, tmp_path, N_PASSES)
    assert better, figures


def test_a_loss_that_learns_nothing_is_found_out(trial_of, tmp_path, monkeypatch, judge_trainings):
    monkeypatch.setattr(SiameseLoss, "forward", lambda self, outputs, targets: 0 * outputs.codes.sum())
    better, figures = trial_of(FAST).judged(judge_trainings, tmp_path, 1)
    assert not better, figures
