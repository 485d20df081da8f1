"""Rows that are compared with likely neighbours only: nearly all are found, and what is found is right to the bit."""

import numpy as np
import pytest

from graphret.neighbors import ExactSearch, nearest_neighbors, rows_to_likely
from graphret.neighbors.changed_rows import with_rows_added
from graphret.neighbors.exact_search import ROUNDING
from graphret.neighbors.rotation import Rotation
from graphret.neighbors.rows_to_all import compare_with_all
from graphret.neighbors.rows_to_likely import compare_with_likely

K, N, N_NEW = 10, 3_000, 1_000


@pytest.fixture(scope="module")
def codes():
    """Most of a code lies in few directions, as of an encoder; its length is any."""
    rng = np.random.default_rng(0)
    codes = rng.standard_normal((N, 48)) / np.arange(1, 49) + rng.standard_normal((1, 48))
    return (codes * rng.uniform(0.5, 5, (N, 1))).astype(np.float32)


@pytest.fixture(scope="module")
def directions(codes):
    """Of other lengths than one, as in the files of graph search."""
    return Rotation.of(codes, np.random.default_rng(0)).basis[:, :12] * np.linspace(0.01, 3, 12, dtype=np.float32)


@pytest.fixture(autouse=True)
def few_rows_tell(monkeypatch):
    monkeypatch.setattr(rows_to_likely, "PAIRS", 500)


def thresholds(codes):
    """What old rows ask of a neighbour."""
    table = nearest_neighbors(codes[:-N_NEW], K)
    return np.concatenate([table.similarities[:, -1] - np.float32(ROUNDING), np.full(N_NEW, np.inf, np.float32)])


def test_nearly_all_is_found_and_right_to_the_bit(codes, directions):
    search, least, new = ExactSearch(codes), thresholds(codes), np.arange(N - N_NEW, N)
    every = compare_with_all(search, new, least, K)
    found = compare_with_likely(search, new, least, K, directions)
    there = [np.isin(found[0][row], every[0][row]) for row in range(N_NEW)]
    assert np.mean(there) > 0.995
    assert np.array_equal(search.similarities(codes[new], found[0]), found[1])
    assert (np.diff(found[1], axis=1) <= 0).all()
    assert (found[0] != new[:, None]).all()
    pairs, all_pairs = (set(zip(*part[2].tolist(), strict=True)) for part in (found, every))
    for row, other in pairs - all_pairs:
        cosine = search.similarities(codes[[row]], np.array([[other]], np.int32))[0, 0]
        assert cosine == pytest.approx(least[other], abs=2 * ROUNDING)
    assert len(pairs) > 0.995 * len(all_pairs)
    assert len(pairs) == found[2].shape[1]


def test_threads_change_nothing(codes, directions):
    search, least, new = ExactSearch(codes), thresholds(codes), np.arange(N - N_NEW, N)
    one, *others = (compare_with_likely(search, new, least, K, directions, n_threads=number) for number in (1, 2, 3))
    for other in others:
        assert np.array_equal(one[0], other[0])
        assert np.array_equal(one[1], other[1])
        assert set(zip(*one[2].tolist(), strict=True)) == set(zip(*other[2].tolist(), strict=True))


def test_few_rows_are_compared_with_all(codes, directions):
    search, least, new = ExactSearch(codes), thresholds(codes), np.arange(N - 190, N)
    every, found = compare_with_all(search, new, least, K), compare_with_likely(search, new, least, K, directions)
    assert all(np.array_equal(one, other) for one, other in zip(every, found, strict=True))


def test_directions_that_say_nothing_lose_nothing(codes):
    """The factor is measured, so that it grows where all of a code lies beyond the directions."""
    nothing = np.zeros((48, 4), np.float32)
    search, least, new = ExactSearch(codes), thresholds(codes), np.arange(N - N_NEW, N)
    every, found = compare_with_all(search, new, least, K), compare_with_likely(search, new, least, K, nothing)
    assert np.mean(every[0] == found[0]) > 0.995


def test_a_guess_that_is_too_large_is_found_out(codes, directions, monkeypatch):
    monkeypatch.setattr(rows_to_likely, "_guessed", lambda unit, *_: np.full(len(unit), 0.9999999, np.float32))
    search, least, new = ExactSearch(codes), thresholds(codes), np.arange(N - N_NEW, N)
    every, found = compare_with_all(search, new, least, K), compare_with_likely(search, new, least, K, directions)
    assert np.array_equal(every[0], found[0])
    assert np.array_equal(every[1], found[1])


def test_an_archive_that_is_too_small_for_a_guess(codes, directions, monkeypatch):
    monkeypatch.setattr(rows_to_likely, "PAIRS", 300)
    some = codes[: N_NEW + 50]
    search, least, new = ExactSearch(some), np.full(len(some), np.inf, np.float32), np.arange(50, len(some))
    guesses = rows_to_likely._guessed(some[:3], rows_to_likely._sample(search)[:4], K)
    assert (guesses == -np.inf).all()
    monkeypatch.setattr(rows_to_likely, "_guessed", lambda unit, *_: guesses[:1].repeat(len(unit)))
    every, found = compare_with_all(search, new, least, K), compare_with_likely(search, new, least, K, directions)
    assert np.mean(every[0] == found[0]) > 0.99
    assert found[2].shape == (2, 0)


def test_an_exact_table_stays_exact(codes, directions):
    table = nearest_neighbors(codes[:-N_NEW], K, method="exact")
    grown = with_rows_added(table, ExactSearch(codes), K, directions=directions)
    fresh = nearest_neighbors(codes, K, method="exact")
    assert np.array_equal(grown.neighbors, fresh.neighbors)
    assert np.array_equal(grown.similarities, fresh.similarities)


def test_an_approximate_table_stays_nearly_all(codes, directions):
    from dataclasses import replace

    table = replace(nearest_neighbors(codes[:-N_NEW], K), method="approximate")
    grown, fresh = with_rows_added(table, ExactSearch(codes), K, directions=directions), nearest_neighbors(codes, K)
    same = [np.intersect1d(one, other).size for one, other in zip(grown.neighbors, fresh.neighbors, strict=True)]
    assert grown.method == "approximate"
    assert np.mean(same) > 0.995 * K
