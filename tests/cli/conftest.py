"""A small archive, and an encoder and an index made of it through the command line alone."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from graphret.cli import main
from graphret.data import generate_phantom

SIZE = "32"


@pytest.fixture
def run_json(run):
    """Run a command with --json that must succeed, and return its document."""

    def call(*arguments):
        done = run(*arguments, "--json")
        assert done.status == 0, done.err
        return json.loads(done.out)

    return call


@pytest.fixture(scope="session")
def workshop(tmp_path_factory):
    """Films, an encoder trained on them for one epoch, and an index of those of train and valid."""
    root = tmp_path_factory.mktemp("workshop")
    shop = SimpleNamespace(films=root / "films", encoder=root / "encoder", index=root / "index")
    generate_phantom(shop.films, 120, size=int(SIZE))
    data = ["--data", "phantom", "--root", str(shop.films)]
    training = ["--encoder", "resnet18", "--size", SIZE, "--epochs", "1", "--batch-size", "16", "--device", "cpu"]
    assert main(["train", *data, *training, "--out", str(shop.encoder), "--quiet"]) == 0
    splits = ["--split", "train,valid"]
    build = ["build", *data, *splits, "--encoder", str(shop.encoder), "--out", str(shop.index), "-k", "10", "--quiet"]
    assert main(build) == 0
    return shop


@pytest.fixture
def listing():
    """Everything under a folder, with sizes: what a refused call must not change."""

    def files(folder):
        return sorted((str(path), path.stat().st_size) for path in Path(folder).rglob("*"))

    return files
