"""The kNN table equals brute force, to the bit, whatever the threads and the margin."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphret._errors import CodesError, DeviceError, InvalidParameterError, UnknownNameError
from graphret.neighbors import ExactSearch, nearest_neighbors
from graphret.neighbors import backends as backends_module
from graphret.neighbors import knn as knn_module


def brute_force(queries, codes, k, *, skip_self=False, allowed=None):
    """Cosines from float64 products, rounded to 1e-6; best first, ties by smaller id."""
    x = queries.astype(np.float64)
    y = codes.astype(np.float64)
    cosines = (x @ y.T) / np.outer(np.linalg.norm(x, axis=1), np.linalg.norm(y, axis=1))
    cosines = np.floor(np.clip(cosines, -1, 1) * 1e6 + 0.5) / 1e6
    if skip_self:
        np.fill_diagonal(cosines, -np.inf)
    if allowed is not None:
        cosines[:, ~allowed] = -np.inf
    ids = np.broadcast_to(np.arange(codes.shape[0]), cosines.shape)
    order = np.lexsort((ids, -cosines), axis=1)[:, :k]
    return order, np.take_along_axis(cosines, order, axis=1)


def random_codes(seed, n=300, d=24, *, n_duplicates=0, scale=1.0):
    generator = np.random.default_rng(seed)
    codes = (generator.standard_normal((n, d)) * scale).astype(np.float32)
    if n_duplicates:
        codes[n - n_duplicates :] = codes[0]
    return codes


@pytest.mark.parametrize("k", [1, 7, 60, 299, 5000])
def test_table_equals_brute_force(k):
    codes = random_codes(0)
    table = nearest_neighbors(codes, k)
    ids, cosines = brute_force(codes, codes, min(k, 299), skip_self=True)
    np.testing.assert_array_equal(table.neighbors, ids)
    np.testing.assert_allclose(table.similarities, cosines, atol=1e-7)
    assert table.neighbors.dtype == np.int32
    assert table.similarities.dtype == np.float32


@pytest.mark.parametrize("n_duplicates", [2, 30, 120])
def test_duplicates_are_ordinary_neighbours_in_id_order(n_duplicates):
    # more copies than the margin holds: the first candidates are all equal, and only a wider search is sure
    codes = random_codes(1, n_duplicates=n_duplicates)
    table = nearest_neighbors(codes, 5)
    ids, _ = brute_force(codes, codes, 5, skip_self=True)
    np.testing.assert_array_equal(table.neighbors, ids)
    assert table.similarities[-1, 0] == 1.0


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 60), st.integers(1, 70), st.integers(1, 6))
def test_small_integer_codes_with_many_ties(seed, n_rows, k, n_dimensions):
    codes = np.random.default_rng(seed).integers(1, 4, (n_rows, n_dimensions)).astype(np.float32)
    table = nearest_neighbors(codes, k)
    ids, cosines = brute_force(codes, codes, min(k, n_rows - 1), skip_self=True)
    np.testing.assert_array_equal(table.neighbors, ids)
    np.testing.assert_allclose(table.similarities, cosines, atol=1e-7)


def test_scale_of_a_row_does_not_matter():
    codes = random_codes(2)
    scaled = codes * np.random.default_rng(0).uniform(0.1, 50, (300, 1)).astype(np.float32)
    np.testing.assert_array_equal(nearest_neighbors(codes, 9).neighbors, nearest_neighbors(scaled, 9).neighbors)


def test_same_bits_with_one_thread_and_two():
    codes = random_codes(3, n=900, d=40)
    one, two = (nearest_neighbors(codes, 20, n_threads=n) for n in (1, 2))
    np.testing.assert_array_equal(one.neighbors, two.neighbors)
    np.testing.assert_array_equal(one.similarities, two.similarities)


def test_a_small_block_changes_nothing(monkeypatch):
    codes = random_codes(4, n=500, n_duplicates=80)
    whole = nearest_neighbors(codes, 12)
    monkeypatch.setattr(knn_module, "BLOCK", 37)
    seen = []
    blocks = nearest_neighbors(codes, 12, progress=lambda *step: seen.append(step))
    np.testing.assert_array_equal(whole.neighbors, blocks.neighbors)
    assert seen[-1] == ("neighbors", 500, 500)
    assert len(seen) == 15
    assert [step[1] for step in seen] == sorted(step[1] for step in seen)


def test_auto_turns_approximate_beyond_its_limit(monkeypatch):
    generator = np.random.default_rng(6)
    codes = generator.standard_normal((600, 5)) @ generator.standard_normal((5, 64))
    codes = (codes + 0.3 * generator.standard_normal(codes.shape)).astype(np.float32)
    assert nearest_neighbors(codes, 3).method == "exact"
    monkeypatch.setattr(knn_module, "EXACT_LIMIT", 100)
    monkeypatch.setattr(backends_module, "JOIN_LIMIT", 100)
    table = nearest_neighbors(codes, 3)
    assert table.method == "approximate"
    assert table.recall >= 0.999
    assert nearest_neighbors(codes, 3, method="exact").method == "exact"


def test_one_row_has_no_neighbours():
    assert nearest_neighbors(np.ones((1, 4), np.float32), 3).neighbors.shape == (1, 0)


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (np.ones(4, np.float32), "shape"),
        (np.ones((0, 4), np.float32), "shape"),
        (np.array([["a"]]), "dtype"),
        (np.array([[1.0, 2], [np.nan, 1]], np.float32), "first row 1"),
        (np.array([[1.0, 2], [np.inf, 1]], np.float32), "first row 1"),
        (np.array([[0.0, 0], [2, 1]], np.float32), "zeros, first row 0"),
    ],
)
def test_bad_codes_name_the_row(codes, message):
    with pytest.raises(CodesError, match=message):
        nearest_neighbors(codes, 1)


@pytest.mark.parametrize("k", [0, -1, 2.5, True, "3"])
def test_bad_k(k):
    with pytest.raises(InvalidParameterError, match="integer >= 1"):
        nearest_neighbors(random_codes(0), k)


def test_unknown_names_and_missing_device():
    codes = random_codes(0)
    with pytest.raises(UnknownNameError, match="faiss"):
        nearest_neighbors(codes, 1, backend="fais")
    with pytest.raises(UnknownNameError, match="exact"):
        nearest_neighbors(codes, 1, method="exactly")
    import torch

    if not torch.cuda.is_available():
        with pytest.raises(DeviceError, match="CUDA"):
            nearest_neighbors(codes, 1, backend="torch")


@pytest.mark.gpu
@pytest.mark.parametrize("backend", ["auto", "torch"])
def test_gpu_equals_brute_force(backend):
    codes = random_codes(7, n=3000, d=64, n_duplicates=50)
    ids, _ = brute_force(codes, codes, 20, skip_self=True)
    np.testing.assert_array_equal(nearest_neighbors(codes, 20, backend=backend).neighbors, ids)


@pytest.mark.parametrize("k", [1, 10, 300, 1000])
def test_search_equals_brute_force(k):
    codes, queries = random_codes(8), random_codes(9, n=70)
    table = ExactSearch(codes).search(queries, k)
    ids, cosines = brute_force(queries, codes, min(k, 300))
    np.testing.assert_array_equal(table.neighbors, ids)
    np.testing.assert_allclose(table.similarities, cosines, atol=1e-7)


def test_search_alone_equals_search_in_a_batch_and_the_graph():
    codes = random_codes(10, n=400, n_duplicates=60)
    search = ExactSearch(codes)
    alone = [np.array([row], np.int32) for row in range(400)]
    batch = search.search(codes, 15, forbidden=alone, n_threads=2)
    table = nearest_neighbors(codes, 15)
    np.testing.assert_array_equal(batch.neighbors, table.neighbors)
    np.testing.assert_array_equal(batch.similarities, table.similarities)
    for row in (0, 7, 399):
        single = search.search(codes[row : row + 1], 15, forbidden=alone[row : row + 1], n_threads=1)
        np.testing.assert_array_equal(single.neighbors[0], batch.neighbors[row])


def test_search_leaves_out_what_is_not_allowed_and_pads():
    codes, queries = random_codes(11), random_codes(12, n=5)
    allowed = np.zeros(300, np.bool_)
    allowed[[3, 50, 51, 200]] = True
    table = ExactSearch(codes).search(queries, 10, allowed=allowed)
    ids, _ = brute_force(queries, codes, 4, allowed=allowed)
    np.testing.assert_array_equal(table.neighbors[:, :4], ids)
    assert (table.neighbors[:, 4:] == -1).all()
    assert (table.similarities[:, 4:] == 0).all()
    with pytest.raises(CodesError, match="allowed"):
        ExactSearch(codes).search(queries, 3, allowed=allowed[:-1])


def test_search_over_several_tiles(monkeypatch):
    from graphret.neighbors import exact_search as search_module

    codes, queries = random_codes(13, n=1000), random_codes(14, n=9)
    whole = ExactSearch(codes).search(queries, 20)
    monkeypatch.setattr(search_module, "TILE", 64)
    tiles = ExactSearch(codes).search(queries, 20)
    np.testing.assert_array_equal(whole.neighbors, tiles.neighbors)


def test_search_refuses_wrong_length_and_nan():
    search = ExactSearch(random_codes(0))
    with pytest.raises(CodesError, match="the archive has 24"):
        search.search(np.ones((1, 25), np.float32), 1)
    with pytest.raises(CodesError, match="NaN"):
        search.search(np.full((1, 24), np.nan, np.float32), 1)
    with pytest.raises(InvalidParameterError):
        search.search(np.ones((1, 24), np.float32), 0)
