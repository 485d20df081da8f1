"""The nearest codes of bits, by Hamming distance: all of them are compared, none is copied per query."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._checks import check_integer
from graphret._errors import CodesError, InvalidParameterError
from graphret._threads import borrow_threads
from graphret.hashing._kernels import _distances_to_all, _merge_parts, _scan_all
from graphret.hashing.bits import check_packed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from graphret._types import BoolArray, Int32Array, Int64Array
    from graphret.hashing.bits import PackedBits

__all__ = ["HammingSearch", "hamming_search"]

GROUP = 32
"""Queries that pass over a tile of codes while it is in the cache."""
CHUNK = 4_096
"""Queries of one call of the kernel: bounds the memory beside the result."""
POOL = 1 << 22
"""Candidates that the queries of a group may keep together."""
PART_WORDS = 1 << 17
"""Words of codes that are worth a thread of their own when there are few queries."""
FEW_ALLOWED = 0.5
"""Share of allowed films below which their codes are gathered instead of all being read."""


class HammingSearch:
    """Exact search by Hamming distance over packed codes.

    The codes are kept as 64-bit words, one plane of all films for every 64 bits, and compared with a threshold 64 films
    at a time; the threshold is the distance of the k-th best so far, known from how many candidates have which
    distance. So nearly all films cost an XOR, a count of bits and a subtraction each.

    Parameters
    ----------
    database
        uint8 (n, bytes), packed codes, n < 2^31; copied, at 8 ceil(bytes / 8) bytes a film.

    Raises
    ------
    CodesError
        Not packed codes, or no films.

    Examples
    --------
    >>> from graphret.hashing import pack_bits
    >>> database = pack_bits([[1, 1, 1], [1, 1, -1], [-1, -1, -1]])
    >>> search = HammingSearch(database)
    >>> ids, distances = search.search(pack_bits([[1, 1, -1]]), 2)
    >>> ids.tolist(), distances.tolist()
    ([[1, 0]], [[0, 1]])
    """

    def __init__(self, database: PackedBits) -> None:
        database = check_packed("database", database)
        if not len(database):
            raise CodesError("database has no codes: give at least one")
        self.n_bytes = int(database.shape[1])
        self.planes = np.ascontiguousarray(_words(database).T)

    def __len__(self) -> int:
        return int(self.planes.shape[1])

    def search(
        self,
        queries: PackedBits,
        k: int,
        *,
        allowed: BoolArray | None = None,
        forbidden: Sequence[Int32Array] | None = None,
        n_threads: int | None = None,
    ) -> tuple[Int32Array, Int32Array]:
        """Find the k nearest films of every query.

        Parameters
        ----------
        queries
            uint8 (q, bytes), packed codes of as many bytes as the films have.
        k
            At least 1; cut to n.
        allowed
            bool (n,): only these films may come. ``None``: all.
        forbidden
            One int array of film positions per query that may not come.
        n_threads
            Numba threads; ``None`` for all processors. The result does not depend on it.

        Returns
        -------
        ids, distances
            int32 (q, min(k, n)) both: nearest first, ties by smaller film; -1 in both where fewer are allowed.

        Raises
        ------
        CodesError, InvalidParameterError
            Not packed codes, another number of bytes, a mask of another length, films outside the database, k < 1.

        Notes
        -----
        O(q n bytes) time, O(q k) memory.
        """
        k = min(check_integer("k", k, 1), len(self))
        queries = check_packed("queries", queries, self.n_bytes)
        mask = np.empty(0, np.bool_) if allowed is None else np.ascontiguousarray(allowed, dtype=np.bool_)
        if allowed is not None and mask.shape != (len(self),):
            raise CodesError(f"allowed has shape {mask.shape}: give bool ({len(self)},), one per film")
        planes, names = self.planes, np.empty(0, np.int32)
        if mask.size and mask.mean() < FEW_ALLOWED:
            names = np.flatnonzero(mask).astype(np.int32)
            planes, mask = np.ascontiguousarray(planes[:, names]), np.empty(0, np.bool_)
        starts, films = _ragged(forbidden, len(queries), len(self))
        words = _words(queries)
        ids = np.empty((len(queries), k), np.int32)
        distances = np.empty((len(queries), k), np.int32)
        with borrow_threads(n_threads) as threads:
            for first in range(0, len(queries), CHUNK):
                rows = slice(first, min(first + CHUNK, len(queries)))
                lists = (mask, names, starts[rows.start : rows.stop + 1], films)
                _search_rows(planes, words[rows], threads, lists, ids[rows], distances[rows])
        return ids, distances

    def distances(self, queries: PackedBits, *, n_threads: int | None = None) -> Int32Array:
        """Count the bits in which every query differs from every film, int32 (q, n); O(q n bytes)."""
        queries = check_packed("queries", queries, self.n_bytes)
        out = np.empty((len(queries), len(self)), np.int32)
        with borrow_threads(n_threads, at_most=len(queries)):
            _distances_to_all(self.planes, _words(queries), out)
        return out


def hamming_search(
    queries: PackedBits, database: PackedBits, k: int, *, n_threads: int | None = None
) -> tuple[Int32Array, Int32Array]:
    """Find, for every query, the k codes that differ from it in the fewest bits.

    Parameters
    ----------
    queries, database
        uint8 (q, bytes) and (n, bytes), packed codes.
    k
        At least 1; cut to n.
    n_threads
        Numba threads; ``None`` for all processors. The result does not depend on it.

    Returns
    -------
    ids, distances
        int32 (q, min(k, n)) both: nearest first, ties by smaller row.

    Raises
    ------
    CodesError, InvalidParameterError
        Not packed codes, of different lengths, an empty database, k < 1.

    Notes
    -----
    O(q n bytes) time. For many calls on one database, `HammingSearch` keeps its words.

    Examples
    --------
    >>> from graphret.hashing import pack_bits
    >>> database = pack_bits([[1, 1, 1], [1, 1, -1], [-1, -1, -1]])
    >>> hamming_search(pack_bits([[1, 1, -1]]), database, 2)
    (array([[1, 0]], dtype=int32), array([[0, 1]], dtype=int32))
    """
    return HammingSearch(database).search(queries, k, n_threads=n_threads)


def _search_rows(
    planes: NDArray[np.uint64],
    words: NDArray[np.uint64],
    threads: int,
    lists: tuple[BoolArray, Int32Array, Int64Array, Int32Array],
    out_ids: Int32Array,
    out_distances: Int32Array,
) -> None:
    """Give every thread groups of queries, or, where there are few, every query parts of the films."""
    k = out_ids.shape[1]
    group = max(1, min(GROUP, -(-len(words) // threads), POOL // k))
    n_groups = -(-len(words) // group)
    n_parts = 1 if n_groups >= threads else max(1, min(threads, planes.size // PART_WORDS))
    if n_parts == 1:
        _scan_all(planes, words, k, group, 1, *lists, out_ids[:, None], out_distances[:, None])
        return
    shape = (len(words), n_parts, k)
    ids, distances = np.empty(shape, np.int32), np.empty(shape, np.int32)
    _scan_all(planes, words, k, group, n_parts, *lists, ids, distances)
    _merge_parts(ids, distances, 64 * planes.shape[0] + 1, out_ids, out_distances)


def _words(packed: PackedBits) -> NDArray[np.uint64]:
    """Packed codes as uint64 words (n, ceil(bytes / 8)), the last one filled up with zeros."""
    n_words = -(-packed.shape[1] // 8)
    if packed.shape[1] == 8 * n_words:
        return packed.view(np.uint64)
    padded = np.zeros((len(packed), 8 * n_words), np.uint8)
    padded[:, : packed.shape[1]] = packed
    return padded.view(np.uint64)


def _ragged(forbidden: Sequence[Any] | None, n_queries: int, n_films: int) -> tuple[Int64Array, Int32Array]:
    """Lists of films as (starts int64 (q + 1,), films int32, sorted within each list), for kernels."""
    if forbidden is None:
        return np.zeros(n_queries + 1, np.int64), np.empty(0, np.int32)
    if len(forbidden) != n_queries:
        raise InvalidParameterError("forbidden", f"{len(forbidden)} lists", f"{n_queries} lists, one per query")
    lists = [np.unique(np.asarray(entry, dtype=np.int64)) for entry in forbidden]
    for entry in lists:
        if entry.size and (entry[0] < 0 or entry[-1] >= n_films):
            wrong = entry[0] if entry[0] < 0 else entry[-1]
            raise InvalidParameterError("forbidden", int(wrong), f"positions from 0 to {n_films - 1}")
    starts = np.concatenate([[0], np.cumsum([entry.size for entry in lists])]).astype(np.int64)
    return starts, np.concatenate([*lists, np.empty(0, np.int64)]).astype(np.int32)
