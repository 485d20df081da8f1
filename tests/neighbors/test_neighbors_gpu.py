"""The torch backend on CUDA devices gives the table of the processor, to the bit, in bounded memory."""

import numpy as np
import pytest
import torch

from graphret.neighbors import ExactSearch, knn, nearest_neighbors

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]
BACKEND = "torch"


def assert_rows_are_those_of_the_processor(codes, table, k, rows=None):
    """Compare with `ExactSearch`, which scans on the processor and gives the canonical bits (test_knn)."""
    rows = np.arange(len(codes)) if rows is None else rows
    themselves = list(rows[:, None].astype(np.int32))
    expected = ExactSearch(codes).search(codes[rows], min(k, len(codes) - 1), forbidden=themselves)
    np.testing.assert_array_equal(table.neighbors[rows], expected.neighbors)
    np.testing.assert_array_equal(table.similarities[rows], expected.similarities)


def gaussian(seed, n, d, *, n_duplicates=0):
    codes = np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32)
    if n_duplicates:
        codes[-n_duplicates:] = codes[0]
    return codes


@pytest.mark.parametrize("n", [2, 3, 51, 127, 1025, 4097, 9001])
def test_sizes_that_no_tile_divides(n):
    codes = gaussian(n, n, 37)
    table = nearest_neighbors(codes, 50, backend=BACKEND, method="exact")
    assert table.neighbors.shape == (n, min(50, n - 1))
    assert_rows_are_those_of_the_processor(codes, table, 50)


@pytest.mark.parametrize("seed", range(3))
def test_ties_go_to_the_smaller_id(seed):
    # few different rows: most similarities of a row are equal to others, and rows of other lengths are parallel
    codes = np.random.default_rng(seed).integers(1, 4, (2500, 4)).astype(np.float32)
    table = nearest_neighbors(codes, 12, backend=BACKEND, method="exact")
    assert (np.diff(table.similarities, axis=1) == 0).mean() > 0.5
    assert_rows_are_those_of_the_processor(codes, table, 12)


@pytest.mark.parametrize("n_duplicates", [2, 60, 700])
def test_duplicates_are_ordinary_neighbours(n_duplicates):
    # up to more copies than any margin holds: only a search that asks again is sure of their order
    codes = gaussian(1, 3001, 64, n_duplicates=n_duplicates)
    table = nearest_neighbors(codes, 20, backend=BACKEND, method="exact")
    assert table.similarities[-1, 0] == 1.0
    assert_rows_are_those_of_the_processor(codes, table, 20)


def test_many_tiles():
    codes = gaussian(2, 300_001, 16, n_duplicates=100)
    table = nearest_neighbors(codes, 10, backend=BACKEND, method="exact")
    rows = np.random.default_rng(0).choice(len(codes), 400, replace=False)
    assert_rows_are_those_of_the_processor(codes, table, 10, np.sort(np.append(rows, [0, 299_950, 300_000])))


def test_rows_of_any_scale():
    codes = gaussian(3, 2000, 48) * np.random.default_rng(0).uniform(1e-3, 1e3, (2000, 1)).astype(np.float32)
    assert_rows_are_those_of_the_processor(codes, nearest_neighbors(codes, 15, backend=BACKEND, method="exact"), 15)


@pytest.mark.parametrize("precision", ["high", "medium"])
def test_exact_although_the_program_around_it_allows_rough_products(precision):
    # TF32 keeps 10 bits of the inputs: candidates chosen by such products would not be the nearest
    codes = np.abs(gaussian(4, 6000, 256)) + 2.0
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        table = nearest_neighbors(codes, 30, backend=BACKEND, method="exact")
        assert torch.get_float32_matmul_precision() == precision
    finally:
        torch.set_float32_matmul_precision(before)
    assert_rows_are_those_of_the_processor(codes, table, 30)


def test_the_same_bits_again_and_with_one_thread():
    codes = gaussian(5, 5000, 80, n_duplicates=90)
    tables = [nearest_neighbors(codes, 25, backend=BACKEND, method="exact", n_threads=n) for n in (1, None, None)]
    for table in tables[1:]:
        np.testing.assert_array_equal(table.neighbors, tables[0].neighbors)
        np.testing.assert_array_equal(table.similarities, tables[0].similarities)


def test_the_approximate_table_says_its_recall():
    codes = np.maximum(gaussian(6, 12_000, 24) @ gaussian(7, 24, 300), 0.0)
    exact = nearest_neighbors(codes, 20, backend=BACKEND, method="exact")
    found = nearest_neighbors(codes, 20, backend=BACKEND, method="approximate")
    shared = sum(np.intersect1d(a, b).size for a, b in zip(found.neighbors, exact.neighbors, strict=True))
    assert found.method == "approximate"
    assert abs(shared / exact.neighbors.size - found.recall) < 0.02
    assert found.recall > 0.9


def test_memory_of_the_device_is_bounded():
    def peak(n):
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        nearest_neighbors(gaussian(8, n, 64), 50, backend=BACKEND, method="exact")
        assert torch.cuda.memory_allocated() <= before + 2**20  # nothing is kept
        return torch.cuda.max_memory_allocated() - before

    half, whole = peak(40_000), peak(80_000)
    assert whole < 6 * 2**30  # all similarities at once would be 24 GiB
    assert whole < 2.5 * half + 2**27


@pytest.mark.parametrize("memory", [64 * 2**20, 16 * 2**20])
def test_little_memory_of_the_device_changes_nothing(memory):
    """Lists of some rows at a time; then codes that pass in blocks, which the processor scores."""
    codes = gaussian(9, 20_000, 128, n_duplicates=40)
    table = nearest_neighbors(codes, 50, backend=BACKEND, method="exact", max_memory=memory)
    rows = np.arange(0, len(codes), 53)
    assert_rows_are_those_of_the_processor(codes, table, 50, rows)
    assert table.n_proven > 0.9 * len(codes)


def test_most_rows_are_proven_by_the_join():
    codes = np.maximum(gaussian(10, 30_000, 24) @ gaussian(11, 24, 300), 0.0)
    table = nearest_neighbors(codes, 50, backend=BACKEND, method="exact")
    assert table.n_proven + table.n_scanned == len(codes)
    assert table.n_proven > 0.97 * len(codes)


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
def test_two_devices_share_the_rows():
    codes = gaussian(12, 100_001, 64)
    table = nearest_neighbors(codes, 20, backend=BACKEND, method="exact")
    assert_rows_are_those_of_the_processor(codes, table, 20, np.arange(0, len(codes), 301))


def test_without_a_compiler_top_k_finds_the_same(monkeypatch):
    codes = gaussian(13, 5_000, 64)
    expected = nearest_neighbors(codes, 20, backend=BACKEND, method="exact")
    monkeypatch.setattr(knn, "has_triton", lambda: False)
    table = nearest_neighbors(codes, 20, backend=BACKEND, method="exact")
    np.testing.assert_array_equal(table.neighbors, expected.neighbors)
    np.testing.assert_array_equal(table.similarities, expected.similarities)
