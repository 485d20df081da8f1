"""A small index with everything in it, copies of it to be damaged, and manifests that were forged."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

import graphret
from graphret.data import ImageTable
from graphret.index.manifest import serialise

if "campaign" not in sys.modules:
    _spec = importlib.util.spec_from_file_location("campaign", Path(__file__).with_name("campaign.py"))
    sys.modules["campaign"] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules["campaign"])

N, D, K = 300, 12, 6


@pytest.fixture(scope="session")
def codes():
    rng = np.random.default_rng(11)
    centres = rng.random((9, D)) * 3
    return np.abs(centres[np.arange(N + 20) % 9] + rng.normal(size=(N + 20, D)) * 0.5).astype(np.float32)


@pytest.fixture
def queries(codes):
    return codes[N : N + 3]


@pytest.fixture
def small_codes(codes):
    return np.ascontiguousarray(codes[:40])


@pytest.fixture(scope="session")
def whole(codes, tmp_path_factory):
    """An index with links and a tuning, which no test changes."""
    rng = np.random.default_rng(12)
    films = ImageTable(
        ids=[f"film{row:03d}" for row in range(N)],
        paths=[],
        labels=rng.integers(0, 2, (N, 2)),
        label_names=("Edema", "Mass"),
        patients=[f"patient{row // 2:03d}" for row in range(N)],
        splits=["test" if row < 20 else "train" for row in range(N)],
    )
    out = tmp_path_factory.mktemp("faults") / "index"
    index = graphret.build(codes[:N], films=films, out=out, k=K, search="graph", tune=False)
    index.record_tuning({"ranking": "alpha_qe", "options": {"n": 3}})
    return graphret.open(out)


@pytest.fixture
def root(whole, tmp_path):
    """A copy of it."""
    shutil.copytree(whole.path, tmp_path / "index")
    return tmp_path / "index"


@pytest.fixture(scope="session")
def saved(tmp_path_factory):
    """A small encoder that was saved."""
    folder = tmp_path_factory.mktemp("encoder")
    graphret.load_encoder("resnet18_hash", size=32, n_bits=16, device="cpu").save(folder)
    return folder


@pytest.fixture
def encoder(saved, tmp_path):
    """A copy of its folder."""
    return shutil.copytree(saved, tmp_path / "encoder")


@pytest.fixture
def forge():
    """Write an array, or bytes, into a generation, and make every checksum right again."""

    def change(root, name, content, also=None):
        folder = root / "gen-000001"
        manifest = json.loads((folder / "manifest.json").read_bytes())
        if isinstance(content, np.ndarray):
            np.save(folder / name, content, allow_pickle=False)
            manifest["arrays"][name] = {"dtype": content.dtype.str, "shape": list(content.shape)}
        elif content is not None:
            (folder / name).write_bytes(content)
        if content is not None:
            raw = (folder / name).read_bytes()
            manifest["files"][name] = {"bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}
        if also is not None:
            also(manifest)
        (folder / "manifest.json").write_bytes(serialise(manifest))

    return change
