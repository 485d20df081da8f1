"""Tiny films and tiny networks, so that a whole training takes a fraction of a second."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from graphret.data import ImageTable
from graphret.encoders import EncoderSpec
from graphret.encoders.networks.network import EncoderNetwork
from graphret.encoders.objectives.objective import NetworkOutputs
from graphret.encoders.registry.create import ENCODERS

if TYPE_CHECKING:
    from pathlib import Path

SIZE = 32
LABELS = ("bright top", "bright side")


class TinyNetwork(EncoderNetwork):
    """Convolution, batch statistics and dropout: everything whose state a checkpoint must keep."""

    heads: ClassVar[tuple[str, ...]] = ("classifier", "code")

    def __init__(self, n_labels: int, n_bits: int = 8, drop_rate: float = 0.2) -> None:
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(1, 8, 5, stride=4, padding=2, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(3),
            nn.Flatten(),
        )
        self.code = nn.Linear(72, n_bits)
        self.dropout = nn.Dropout(drop_rate)
        self.classifier = nn.Linear(n_bits, n_labels)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        return self.code(self.backbone(images))

    def outputs(self, images: torch.Tensor) -> NetworkOutputs:
        codes = self.features(images)
        return NetworkOutputs(codes, self.classifier(self.dropout(codes)))


def register_tiny() -> None:
    """Plug two encoders into the registry, as a later model file will."""
    sys.modules.setdefault("tiny_network_of_the_tests", sys.modules[__name__])
    for name, kind, length in (("tiny", "dense", 8), ("tiny_hash", "hash", None)):
        spec = EncoderSpec(
            name=name,
            kind=kind,
            module="tiny_network_of_the_tests",
            factory="TinyNetwork",
            code_length=length,
            default_size=SIZE,
            paper="none",
            options={"drop_rate": 0.2},
        )
        if name not in ENCODERS:  # in a process of its own the registry is fresh
            ENCODERS.register(name, spec)


def make_films(folder: Path, n: int = 40, noise: int = 60) -> ImageTable:
    """Write films whose top or side is bright; 24 to train, 8 to validate, 8 to test; some labels uncertain."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, (n, 2)).astype(np.int8)
    labels[24:28] = [[1, 0], [0, 1], [1, 1], [0, 0]]
    paths = []
    for row in range(n):
        film = generator.integers(0, noise, (40, 36)).astype(np.uint8)
        film[:12] += np.uint8(60 * labels[row, 0])
        film[:, 12:24] += np.uint8(60 * labels[row, 1])
        paths.append(str(folder / f"film{row:02d}.png"))
        Image.fromarray(film).save(paths[-1])
    labels[::7, 1] = -1
    return ImageTable(
        ids=[f"film{row:02d}" for row in range(n)],
        paths=paths,
        labels=labels,
        label_names=LABELS,
        patients=[f"patient{row // 2}" for row in range(n)],
        splits=["train"] * 24 + ["valid"] * 8 + ["test"] * (n - 32),
        spec="tiny",
    )


@pytest.fixture
def table(tmp_path: Path) -> ImageTable:
    folder = tmp_path / "films"
    folder.mkdir()
    return make_films(folder)


@pytest.fixture(autouse=True)
def _tiny_encoders():
    """Bit-exact comparisons need one thread; the registry is left as it was."""
    threads, before = torch.get_num_threads(), set(ENCODERS)
    torch.set_num_threads(1)
    register_tiny()
    yield
    for name in set(ENCODERS) - before:
        ENCODERS.unregister(name)
    torch.set_num_threads(threads)


@pytest.fixture
def small() -> dict:
    """Parameters of a training of the tests."""
    return {"size": SIZE, "batch_size": 7, "device": "cpu", "n_workers": 2, "epochs": 3, "learning_rate": 3e-3}
