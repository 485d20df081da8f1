"""Search of queries by a device of torch: the films and bits of a literal search, and of the processor's."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphret._errors import CodesError, DeviceError, UnknownNameError
from graphret.neighbors import ExactSearch, device_search, row_checksums
from graphret.neighbors.checksums import RowChecksums
from graphret.neighbors.device_codes import float32_margin
from graphret.neighbors.device_search import DeviceSearch, check_search_device, search_alike, search_on
from graphret.neighbors.sharded_search import ShardedSearch

DEVICES = [
    "cpu",
    pytest.param(
        "cuda", marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]
    ),
]


def literal(codes, queries, k, allowed, forbidden):
    """Cosines in float64 rounded to 1e-6, best first, ties by smaller position; -1 and 0 pad."""
    neighbors = np.full((len(queries), min(k, len(codes))), -1, np.int32)
    similarities = np.zeros(neighbors.shape, np.float32)
    for row, query in enumerate(queries.astype(np.float64)):
        found = []
        for film, code in enumerate(codes.astype(np.float64)):
            if (allowed is None or allowed[film]) and (forbidden is None or film not in forbidden[row]):
                cosine = query @ code / np.sqrt((query @ query) * (code @ code))
                found.append((-np.floor(min(max(cosine, -1), 1) * 1e6 + 0.5) / 1e6, film))
        for place, (negative, film) in enumerate(sorted(found)[:k]):
            neighbors[row, place], similarities[row, place] = film, -negative
    return neighbors, similarities


@st.composite
def archives(draw):
    """Codes with many ties (few different values, lengths of all sizes), and what of them may come."""
    n = draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = rng.integers(-1, 2, (n + 3, 3)).astype(np.float32)
    values[~values.any(axis=1)] = 1
    codes = values * np.float32(10.0) ** rng.integers(-3, 4, (n + 3, 1)).astype(np.float32)
    allowed = draw(st.none() | st.just(rng.random(n) < 0.4))
    lists = [rng.choice(n, rng.integers(0, n + 1), replace=False).astype(np.int32) for _ in range(3)]
    return codes[:n], codes[n:], draw(st.integers(1, 50)), allowed, lists if draw(st.booleans()) else None


@given(archives(), st.sampled_from([0, 2**20]), st.sampled_from([1, 64, 2**20]))
@settings(deadline=None, max_examples=30)
def test_lists_are_those_of_a_literal_search(case, memory, values):
    """Codes that stay on the device, and codes that pass in blocks; one query at a time, and all together."""
    codes, queries, k, allowed, forbidden = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(device_search, "SCAN_VALUES", values)
        patch.setattr(device_search, "CHUNK_VALUES", values)
        found = DeviceSearch(ExactSearch(codes), "cpu", memory).search(queries, k, allowed=allowed, forbidden=forbidden)
    neighbors, similarities = literal(codes, queries, k, allowed, forbidden)
    np.testing.assert_array_equal(found.neighbors, neighbors)
    np.testing.assert_array_equal(found.similarities, similarities)
    expected = ExactSearch(codes).search(queries, k, allowed=allowed, forbidden=forbidden)
    np.testing.assert_array_equal(found.neighbors, expected.neighbors)
    np.testing.assert_array_equal(found.counts.compared, expected.counts.compared)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", ["normal", "nearly equal", "all equal"])
def test_the_processor_s_bits_with_many_dimensions(device, kind):
    rng = np.random.default_rng(0)
    codes = {
        "normal": rng.standard_normal((900, 300)),
        "nearly equal": 1 + 1e-4 * rng.standard_normal((900, 300)),  # cosines that float32 products cannot tell apart
        "all equal": np.ones((900, 300)) * rng.uniform(0.5, 2, (900, 1)),
    }[kind].astype(np.float32)
    queries, forbidden = codes[::90], [np.array([row], np.int32) for row in range(0, 900, 90)]
    expected = ExactSearch(codes).search(queries, 20, forbidden=forbidden)
    search = DeviceSearch(ExactSearch(codes), device)
    for _ in range(2):  # what stayed on the device serves again
        found = search.search(queries, 20, forbidden=forbidden, n_threads=1)
        np.testing.assert_array_equal(found.neighbors, expected.neighbors)
        np.testing.assert_array_equal(found.similarities, expected.similarities)
    np.testing.assert_array_equal(search.similarities(queries, found.neighbors), found.similarities)


def test_products_that_are_wrong_by_no_more_than_the_bound_change_nothing(monkeypatch):
    """A device may sum in any order; here every product is off by as much as the bound allows, at random."""
    rng = np.random.default_rng(1)
    codes = (1 + 1e-3 * rng.standard_normal((400, 64))).astype(np.float32)
    expected = ExactSearch(codes).search(codes[:20], 10)
    honest = DeviceSearch._products

    def with_error(size):
        def products(self, unit):
            exact = honest(self, unit)
            return exact + size * (2 * torch.randint(0, 2, exact.shape) - 1)

        monkeypatch.setattr(DeviceSearch, "_products", products)
        return DeviceSearch(ExactSearch(codes), "cpu").search(codes[:20], 10)

    bound = (64 + 4) * 2.0**-23
    np.testing.assert_array_equal(with_error(bound).neighbors, expected.neighbors)
    assert (with_error(30 * bound).neighbors != expected.neighbors).any(), "the test can fail"
    assert 2 * bound < float32_margin(64) < 4 * bound + 2e-5


@pytest.mark.parametrize("d", [2, 100, 2048])
def test_float32_products_keep_the_bound(d):
    codes = np.random.default_rng(d).uniform(0.9, 1.0, (64, d)).astype(np.float32)
    unit = codes.astype(np.float64) / np.linalg.norm(codes.astype(np.float64), axis=1, keepdims=True)
    products = torch.from_numpy(unit.astype(np.float32)) @ torch.from_numpy(unit.astype(np.float32)).T
    assert np.abs(products.numpy() - unit @ unit.T).max() <= (d + 4) * 2.0**-23


def test_rough_products_of_the_program_around_are_not_used():
    before = torch.get_float32_matmul_precision()
    seen = []
    search = DeviceSearch(ExactSearch(np.eye(3, dtype=np.float32)), "cpu")
    honest = search._products
    search._products = lambda unit: seen.append(torch.get_float32_matmul_precision()) or honest(unit)
    torch.set_float32_matmul_precision("medium")
    try:
        search.search(np.eye(3, dtype=np.float32), 1)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)
    assert seen == ["highest"]


def test_films_outside_the_archive_are_forbidden_to_no_effect():
    codes = np.eye(3, dtype=np.float32)
    found = DeviceSearch(ExactSearch(codes), "cpu").search(codes[:1], 3, forbidden=[np.array([-1, 0, 7], np.int32)])
    assert found.neighbors.tolist() == [[1, 2, -1]]


def test_codes_are_compared_with_their_checksums():
    codes = np.random.default_rng(0).standard_normal((50, 4)).astype(np.float32)
    sums = row_checksums(codes)
    codes[31, 2] += 1
    exact = ExactSearch(codes, checksums=RowChecksums(codes, sums, lambda row: ValueError(f"row {row} was changed")))
    with pytest.raises(ValueError, match="row 31"):
        DeviceSearch(exact, "cpu").search(codes[:1], 1)


def test_a_wrong_call_is_refused_as_on_the_processor():
    codes = np.eye(3, dtype=np.float32)
    search = DeviceSearch(ExactSearch(codes), "cpu")
    with pytest.raises(CodesError, match=r"give bool \(3,\)"):
        search.search(codes, 1, allowed=np.ones(2, bool))
    with pytest.raises(CodesError, match="query codes"):
        search.search(np.ones((1, 2), np.float32), 1)


def test_a_device_that_fails_at_work_is_one_line(monkeypatch):
    def full(*_):
        raise RuntimeError("CUDA out of memory.\n Tried to allocate")

    monkeypatch.setattr(DeviceSearch, "_products", full)
    with pytest.raises(DeviceError, match=r"'cpu' cannot search 3 codes of 3 values: CUDA out of memory. Tried.*leave"):
        DeviceSearch(ExactSearch(np.eye(3, dtype=np.float32)), "cpu").search(np.eye(3, dtype=np.float32), 1)


def test_names_of_devices(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert [check_search_device(name) for name in (None, "cpu", "auto")] == [None, "cpu", None]
    with pytest.raises(DeviceError, match=r"device='cuda'.*no CUDA device.*'auto' or 'cpu'"):
        check_search_device("cuda")
    with pytest.raises(UnknownNameError, match=r"gpu.*auto, cpu, cuda"):
        check_search_device("gpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert [check_search_device(name) for name in ("cuda", "cpu", "auto")] == ["cuda", "cpu", "cuda"]
    monkeypatch.setattr(device_search, "is_forked", lambda: True)
    with pytest.raises(DeviceError, match="forked"):
        check_search_device("cuda")
    assert check_search_device("auto") is None


def test_shards_are_each_searched_on_the_device():
    codes = np.random.default_rng(0).standard_normal((60, 5)).astype(np.float32)
    shards = search_on(ShardedSearch([ExactSearch(codes[:20]), ExactSearch(codes[20:])]), "cpu")
    assert isinstance(shards, ShardedSearch)
    assert [type(shard) for shard in shards.shards] == [DeviceSearch] * 2
    expected = ExactSearch(codes).search(codes[:4], 30)
    np.testing.assert_array_equal(shards.search(codes[:4], 30).neighbors, expected.neighbors)


def test_other_codes_are_searched_on_the_same_device():
    exact = ExactSearch(np.eye(3, dtype=np.float32))
    assert type(search_alike(exact, np.eye(2, dtype=np.float32))) is ExactSearch
    alike = search_alike(DeviceSearch(exact, "cpu"), np.eye(2, dtype=np.float32))
    assert isinstance(alike, DeviceSearch)
    assert (alike.device, alike.codes.shape) == ("cpu", (2, 2))


def test_codes_stay_where_they_fit_only(monkeypatch):
    codes = np.random.default_rng(0).standard_normal((1000, 16)).astype(np.float32)
    uploads = []
    honest = DeviceSearch._upload
    monkeypatch.setattr(DeviceSearch, "_upload", lambda self, rows: uploads.append(len(rows)) or honest(self, rows))
    monkeypatch.setattr(device_search, "CHUNK_VALUES", 400 * 16)
    for memory, expected in ((2 * codes.nbytes, [1000]), (2 * codes.nbytes - 1, [400, 400, 200] * 2)):
        uploads.clear()
        search = DeviceSearch(ExactSearch(codes), "cpu", memory)
        search.search(codes[:3], 5)
        search.search(codes[3:6], 5)
        assert uploads == expected
