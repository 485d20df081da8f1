"""Archives of a few hundred codes that are cut into several blocks, and the hashes of what a build writes."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from graphret.neighbors import backends, join_plan, knn


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of two tiles, and the join also for few codes; workers get both with the plan."""
    for module in (backends, knn):
        monkeypatch.setattr(module, "JOIN_LIMIT", 0)
    monkeypatch.setattr(join_plan, "TILE", 32)
    monkeypatch.setattr(join_plan, "BLOCK_ROWS", 64)
    monkeypatch.setattr(join_plan, "FEWEST_BLOCKS", 4)


@pytest.fixture(scope="session")
def many_codes():
    generator = np.random.default_rng(0)
    codes = generator.standard_normal((420, 5)) @ generator.standard_normal((5, 40))
    return np.maximum(codes + 0.6 * generator.standard_normal(codes.shape) + 0.5, 0).astype(np.float32)


@pytest.fixture(scope="session")
def hashes_of():
    """Hashes of all files of an index; of its manifest without the time, its own sum, and ``leave_out``."""

    def hashes(folder, leave_out=()):
        generation = Path(folder, Path(folder, "CURRENT").read_text().strip())
        files = sorted(path for path in generation.rglob("*") if path.is_file() and path.name != "manifest.json")
        found = {
            path.relative_to(generation).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files
        }
        manifest = json.loads((generation / "manifest.json").read_text())
        for name in ("created", "sha256"):
            del manifest[name]
        for name in leave_out:
            del manifest["parameters"][name]
        return found | {"manifest": manifest}

    return hashes
