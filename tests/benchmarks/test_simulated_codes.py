"""The simulated archive is deterministic, has the real labels, and its codes behave as codes of films do."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from graphret.graph import NearestSearch

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def simulated_codes():
    if importlib.util.find_spec("torchxrayvision") is None:
        pytest.skip("the NIH label file comes with the extra xray")
    spec = importlib.util.spec_from_file_location("simulated_codes", BENCHMARKS / "simulated_codes.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["simulated_codes"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules["simulated_codes"]


def test_same_seed_same_codes(simulated_codes):
    one, same, other = (simulated_codes.simulate(300, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.codes, same.codes)
    assert one.codes.shape == (300, 1024)
    assert (one.codes >= 0).all()
    assert np.isfinite(one.codes).all()
    assert set(one.ids) != set(other.ids)


def test_neighbours_share_findings_more_often_than_chance(simulated_codes):
    archive = simulated_codes.simulate(3000)
    queries = np.flatnonzero(archive.labels.any(axis=1))[:300]
    found = NearestSearch(archive.codes).search(archive.codes[queries], 10, forbidden=list(queries[:, None])).neighbors
    shared = (archive.labels[found] & archive.labels[queries][:, None]).any(axis=2).mean()
    chance = (archive.labels[queries] @ archive.labels.T > 0).mean()
    assert chance < 0.2
    assert shared > 2 * chance
