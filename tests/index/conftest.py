"""Small archives: codes in groups, and films on disk with an encoder that needs no torch."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

import graphret
from graphret.data import ImageTable, write_png

N, D = 90, 8


def _load(name):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FakeEncoder = _load("fake_encoder").FakeEncoder


@pytest.fixture(scope="session")
def make_encoder():
    return FakeEncoder


@pytest.fixture(scope="session")
def codes():
    rng = np.random.default_rng(0)
    centres = rng.random((6, D)) * 4
    return np.abs(centres[np.arange(N) % 6] + rng.normal(size=(N, D)) * 0.6).astype(np.float32)


@pytest.fixture(scope="session")
def described(codes):
    """A table for the codes: three films a patient, two views, ages."""
    rng = np.random.default_rng(1)
    return ImageTable(
        ids=[f"film{row:03d}" for row in range(N)],
        paths=[],
        labels=rng.integers(-1, 2, (N, 2)),
        label_names=("Edema", "Mass"),
        patients=[f"patient{row // 3:02d}" for row in range(N)],
        views=["PA" if row % 3 else "AP" for row in range(N)],
        splits=["test" if row >= N - 15 else "train" for row in range(N)],
        columns={"age": np.arange(N) % 40, "portable": np.arange(N) % 2 == 0},
    )


@pytest.fixture(scope="session")
def shared_index(codes, described, tmp_path_factory):
    """An index of codes that no test changes."""
    return graphret.build(codes, films=described, out=tmp_path_factory.mktemp("shared") / "index", k=6)


@pytest.fixture(scope="session")
def film_table(tmp_path_factory):
    """Forty small films on disk."""
    folder = tmp_path_factory.mktemp("films")
    rng = np.random.default_rng(2)
    paths = []
    for row in range(40):
        film = np.clip(rng.random((24, 20)) * 0.3 + (row % 5) / 8, 0, 1).astype(np.float32)
        film[: 4 + row % 7] *= 0.5
        paths.append(str(folder / f"film{row:02d}.png"))
        write_png(paths[-1], film)
    return ImageTable(
        ids=[f"film{row:02d}" for row in range(40)],
        paths=paths,
        labels=rng.integers(0, 2, (40, 2)),
        label_names=("Edema", "Mass"),
        patients=[f"patient{row // 2}" for row in range(40)],
        spec="toy",
        root=str(folder),
    )


@pytest.fixture(scope="session")
def film_index(film_table, tmp_path_factory):
    """An index of films that no test changes."""
    return graphret.build(film_table, FakeEncoder(), out=tmp_path_factory.mktemp("film") / "index", k=6)


@pytest.fixture
def build_module():
    """The module of the stages behind ``graphret.index.build``."""
    return sys.modules["graphret.index.build_stages"]


@pytest.fixture
def snapshot():
    """Every file under a folder with its bytes."""

    def take(folder):
        return {
            str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
        }

    return take
