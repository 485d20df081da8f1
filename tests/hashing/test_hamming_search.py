"""Hamming search against a literal loop and against Faiss."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphret._errors import CodesError, InvalidParameterError
from graphret.hashing import HammingSearch, hamming_search


def random_bits(n, n_bytes, seed=0, distinct=256):
    return np.random.default_rng(seed).integers(0, distinct, (n, n_bytes)).astype(np.uint8)


def all_distances(queries, database):
    return np.stack([np.bitwise_count(query ^ database).sum(axis=1, dtype=np.int64) for query in queries])


def literal(queries, database, k, mask=None):
    """Sort (distance, film); -1 where fewer than k films may come."""
    distances = all_distances(queries, database)
    ids, found = np.full((len(queries), k), -1), np.full((len(queries), k), -1)
    for row, away in enumerate(distances):
        films = [film for film in range(len(database)) if mask is None or mask[row, film]]
        best = sorted(films, key=lambda film: (away[film], film))[:k]
        ids[row, : len(best)], found[row, : len(best)] = best, away[best]
    return ids, found


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 400),
    n_bytes=st.integers(1, 27),
    k=st.integers(1, 450),
    distinct=st.sampled_from([1, 2, 256]),
    seed=st.integers(0, 1000),
)
def test_it_is_the_literal_loop(n, n_bytes, k, distinct, seed):
    database, queries = random_bits(n, n_bytes, seed, distinct), random_bits(3, n_bytes, seed + 1, distinct)
    ids, distances = hamming_search(queries, database, k)
    assert ids.dtype == distances.dtype == np.int32
    expected = literal(queries, database, min(k, n))
    np.testing.assert_array_equal(ids, expected[0])
    np.testing.assert_array_equal(distances, expected[1])


@pytest.mark.parametrize("n_bytes", [4, 8, 16, 24])
@pytest.mark.parametrize("n_queries", [1, 37])
def test_faiss_finds_the_same_distances_and_films_up_to_ties(n_bytes, n_queries):
    faiss = pytest.importorskip("faiss")
    database, queries = random_bits(5000, n_bytes, 1), random_bits(n_queries, n_bytes, 2)
    index = faiss.IndexBinaryFlat(8 * n_bytes)
    index.add(database)
    theirs, their_ids = index.search(queries, 20)
    ids, distances = hamming_search(queries, database, 20)
    np.testing.assert_array_equal(distances, theirs)
    for row in range(n_queries):  # nearer than the last distance there is no choice
        sure = distances[row] < distances[row, -1]
        assert set(ids[row, sure]) == set(their_ids[row, sure])


@pytest.mark.parametrize(("n", "n_queries"), [(600_000, 1), (300_000, 2), (3000, 100)])
def test_threads_do_not_change_the_result(n, n_queries):
    database, queries = random_bits(n, 8, 3, 4), random_bits(n_queries, 8, 4, 4)
    one, two = (hamming_search(queries, database, 50, n_threads=threads) for threads in (1, 2))
    np.testing.assert_array_equal(one[0], two[0])
    np.testing.assert_array_equal(one[1], two[1])
    distances = all_distances(queries[:1], database)[0]
    np.testing.assert_array_equal(one[0][0], np.argsort(distances, kind="stable")[:50])


@pytest.mark.parametrize("share", [0.0, 0.05, 0.45, 0.55, 0.95])
def test_only_eligible_films_come(share):
    rng = np.random.default_rng(5)
    database, queries = random_bits(700, 5, 6, 4), random_bits(40, 5, 7, 4)
    allowed = rng.random(700) < share
    forbidden = [rng.choice(700, size, replace=True) for size in range(40)]
    mask = np.tile(allowed, (40, 1))
    for row, films in enumerate(forbidden):
        mask[row, films] = False
    for k in (5, 700):
        found = HammingSearch(database).search(queries, k, allowed=allowed, forbidden=forbidden)
        for ours, expected in zip(found, literal(queries, database, k, mask), strict=True):
            np.testing.assert_array_equal(ours, expected)


def test_a_query_gets_the_same_alone_and_in_a_batch():
    database, queries = random_bits(900, 3, 8), random_bits(70, 3, 9)
    search = HammingSearch(database)
    ids, distances = search.search(queries, 30)
    for row in range(0, 70, 23):
        alone = search.search(queries[row : row + 1], 30)
        np.testing.assert_array_equal(alone[0][0], ids[row])
        np.testing.assert_array_equal(alone[1][0], distances[row])


def test_candidates_beyond_the_pool_are_dropped_without_loss():
    """Films that come nearer and nearer fill the pool of 2 k again and again."""
    n_bits = 64
    steps = np.repeat(np.arange(n_bits, -1, -1), 40)
    database = np.packbits(np.arange(n_bits) < steps[:, None], axis=1, bitorder="little")
    ids, distances = hamming_search(np.zeros((1, 8), np.uint8), database, 7)
    assert ids[0].tolist() == list(range(len(steps) - 40, len(steps) - 33))
    assert (distances == 0).all()


def test_distances_to_all_films():
    database, queries = random_bits(333, 19, 10), random_bits(4, 19, 11)
    np.testing.assert_array_equal(HammingSearch(database).distances(queries), all_distances(queries, database))
    assert HammingSearch(database).distances(queries).dtype == np.int32


def test_no_queries_no_results():
    ids, distances = hamming_search(np.empty((0, 2), np.uint8), random_bits(5, 2), 3)
    assert ids.shape == distances.shape == (0, 3)
    assert len(HammingSearch(random_bits(5, 2))) == 5


def test_wrong_calls_are_refused():
    database = random_bits(5, 2)
    search = HammingSearch(database)
    for wrong in (0, -1, 1.5, True):
        with pytest.raises(InvalidParameterError, match=f"k={wrong}"):
            hamming_search(database, database, wrong)
    with pytest.raises(CodesError, match="queries has 3 bytes a code, expected 2"):
        search.search(random_bits(1, 3), 1)
    with pytest.raises(CodesError, match="database is float64"):
        HammingSearch(np.zeros((3, 2)))
    with pytest.raises(CodesError, match="no codes"):
        HammingSearch(np.zeros((0, 2), np.uint8))
    with pytest.raises(CodesError, match=r"allowed has shape \(4,\)"):
        search.search(database, 1, allowed=np.ones(4, bool))
    with pytest.raises(InvalidParameterError, match="one per query"):
        search.search(database, 1, forbidden=[[0]])
    with pytest.raises(InvalidParameterError, match=r"forbidden=5 .* from 0 to 4"):
        search.search(database[:1], 1, forbidden=[[5]])
    with pytest.raises(InvalidParameterError, match="forbidden=-1"):
        search.search(database[:1], 1, forbidden=[[-1]])
    with pytest.raises(InvalidParameterError, match="n_threads=0"):
        search.search(database, 1, n_threads=0)
