"""Cases of `test_device_interpreted`, which runs them in a process of its own where Triton interprets its kernels."""

import os

import numpy as np
import pytest
import torch

from graphret._errors import CodesError, DeviceError
from graphret.neighbors import device_codes, device_join, device_table, nearest_neighbors
from graphret.neighbors._kernels import _cosines
from graphret.neighbors.device_codes import DeviceCodes
from graphret.neighbors.device_join import Guess
from graphret.neighbors.device_table import DeviceTable
from graphret.neighbors.exact_search import row_lengths
from graphret.neighbors.filling_table import FillingTable

assert os.environ["TRITON_INTERPRET"] == "1", "run by test_device_interpreted"

N, K = 300, 6


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Small lists and samples, so that few rows go through guesses and panels; few programs, which cost a second."""
    monkeypatch.setattr(device_join, "LEAST_CAPACITY", 32)
    monkeypatch.setattr(device_join, "LEAST_SAMPLE", 100)
    monkeypatch.setattr(device_join, "PANELS", 2)
    monkeypatch.setattr(device_join, "TIGHTEN_VALUES", 2**17)
    monkeypatch.setattr(device_codes, "PAIR_BLOCK", 4_096)


def gaussian(seed, n=N, d=20):
    return np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32)


def table_of(codes, k=K):
    return DeviceTable(codes, k, ["cpu"], 2**40)


def exact(codes, k=K):
    return table_of(codes, k).exact(np.random.default_rng(0))


def assert_is_that_of_the_processor(table, codes, k=K):
    expected = nearest_neighbors(codes, k, method="exact", n_threads=1)
    np.testing.assert_array_equal(table.neighbors, expected.neighbors)
    np.testing.assert_array_equal(table.similarities, expected.similarities)


def test_rows_of_any_scale_by_guess_and_panels():
    codes = gaussian(0) * np.random.default_rng(1).uniform(1e-3, 1e3, (N, 1)).astype(np.float32)
    assert 0 < table_of(codes).guess.n_sampled < N
    assert table_of(codes).guess.capacity < N
    table = exact(codes)
    assert_is_that_of_the_processor(table, codes)
    assert table.method == "exact"
    assert table.n_proven + table.n_scanned == N
    assert table.n_proven > 0.9 * N


def test_few_rows_need_no_guess():
    codes = gaussian(2, 31)
    assert table_of(codes).guess.n_sampled == 0
    table = exact(codes)
    assert_is_that_of_the_processor(table, codes)
    assert table.n_scanned == 0


def test_lists_that_run_over_are_scanned_and_counted():
    codes = gaussian(3)
    codes[-90:] = codes[0]
    table = exact(codes)
    assert_is_that_of_the_processor(table, codes)
    assert 91 <= table.n_scanned < 150


def test_ties_go_to_the_smaller_id():
    codes = np.random.default_rng(4).integers(1, 4, (N, 4)).astype(np.float32)
    table = exact(codes)
    assert (np.diff(table.similarities, axis=1) == 0).mean() > 0.3
    assert_is_that_of_the_processor(table, codes)


def test_similarities_that_float16_cannot_tell_apart():
    codes = np.abs(gaussian(5, d=64)) + 2.0
    assert_is_that_of_the_processor(exact(codes), codes)


def test_a_guess_that_is_too_high_is_found_out(monkeypatch):
    codes = gaussian(6)
    few = exact(codes).n_scanned
    monkeypatch.setattr(Guess, "of", classmethod(lambda cls, n, k: cls(100, 2, 64)))
    table = exact(codes)
    assert table.n_scanned > few + 100
    assert_is_that_of_the_processor(table, codes)


@pytest.mark.parametrize("size", [128, 256])
def test_ranges_of_rows(monkeypatch, size):
    codes = gaussian(7)
    monkeypatch.setattr(device_table._Plan, "of", classmethod(lambda cls, *_: cls(size, 0)))
    said = []
    table = DeviceTable(codes, K, ["cpu"], 1, lambda stage, done, total: said.append((done, total)))
    assert_is_that_of_the_processor(table.exact(np.random.default_rng(0)), codes)
    assert said == sorted(said)
    assert said[-1] == (N, N)
    assert all(done < N for done, _ in said[:-1])


def test_codes_that_pass_in_blocks_are_scored_by_the_processor(monkeypatch):
    codes = gaussian(8)
    monkeypatch.setattr(device_table._Plan, "of", classmethod(lambda cls, *_: cls(256, 128)))
    table = table_of(codes)
    assert not table.stays
    streamed = table.stream(FillingTable(codes, K, None), np.random.default_rng(0))
    assert_is_that_of_the_processor(streamed, codes)
    assert streamed.n_proven > 0.9 * N


def test_approximate_says_the_recall_that_it_has():
    codes = np.abs(gaussian(9, d=64)) + 2.0
    found = table_of(codes).approximate(0.5, np.random.default_rng(0))
    expected = nearest_neighbors(codes, K, method="exact", n_threads=1)
    shared = sum(np.intersect1d(a, b).size for a, b in zip(found.neighbors, expected.neighbors, strict=True))
    assert found.method == "approximate"
    assert found.n_proven == 0
    assert found.recall == pytest.approx(shared / expected.neighbors.size, abs=0.02)
    assert 0.5 < found.recall < 0.999


def test_approximate_proves_all_rows_where_the_recall_is_short():
    codes = np.abs(gaussian(9, d=64)) + 2.0
    table = table_of(codes).approximate(0.9999, np.random.default_rng(0))
    assert (table.method, table.recall) == ("exact", 1.0)
    assert_is_that_of_the_processor(table, codes)


def test_scores_near_the_border_of_two_millionths_are_the_processor_s(monkeypatch):
    cosines = (np.arange(400) + 300_000.5) * 1e-6
    codes = np.stack([cosines, np.sqrt(1 - cosines**2), np.zeros(400)], axis=1)
    codes = np.concatenate([[[1, 0, 0]], codes]).astype(np.float32)
    asked = []
    ours = DeviceCodes._scores_of_processor
    monkeypatch.setattr(
        DeviceCodes, "_scores_of_processor", lambda self, *pairs: asked.append(len(pairs[0])) or ours(self, *pairs)
    )
    monkeypatch.setattr(device_codes, "TILE", 64)
    left, right = torch.zeros(400, dtype=torch.int64), torch.arange(1, 401)
    lengths, expected = row_lengths(codes), np.empty((1, 400), np.float32)
    _cosines(codes[:1], lengths[:1], codes, lengths, np.arange(1, 401, dtype=np.int32)[None], expected)
    expected = np.rint(expected[0].astype(np.float64) * 1e6)
    np.testing.assert_array_equal(DeviceCodes(codes, "cpu").scores(left, right).numpy(), expected)
    monkeypatch.setattr(device_codes, "BORDER_ULPS", 2.0**40)  # all of them are near a border then
    few = sum(asked)
    np.testing.assert_array_equal(DeviceCodes(codes, "cpu").scores(left, right).numpy(), expected)
    assert sum(asked) - few > 300 > few


@pytest.mark.parametrize(("value", "said"), [(np.nan, "NaN or infinity, first row 7"), (0.0, "zeros, first row 7")])
def test_bad_rows_are_named_as_on_the_processor(value, said):
    codes = gaussian(10)
    codes[7] = value
    with pytest.raises(CodesError, match=said):
        exact(codes)


def test_a_device_that_computes_wrongly_is_found_out(monkeypatch):
    codes = gaussian(11)
    right = DeviceTable._range

    def wrong(self, device, rows, sample, *, exact):
        right(self, device, rows, sample, exact=exact)
        self.neighbors[:, 0] = (self.neighbors[:, 0] + 1) % N

    monkeypatch.setattr(DeviceTable, "_range", wrong)
    with pytest.raises(DeviceError, match=r"other neighbours than a scan does for \d+ of 64 rows"):
        exact(codes)
