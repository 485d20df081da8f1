"""A kNN table follows an archive that changes: rows come, and rows go, without a search of all rows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from graphret._checks import check_integer
from graphret._threads import borrow_threads
from graphret.neighbors._changed_rows_kernels import _close_up, _merge_into_lists, _pair_cosines
from graphret.neighbors.csr_changes import new_numbers
from graphret.neighbors.exact_search import ROUNDING, ExactSearch
from graphret.neighbors.rows_to_all import compare_with_all
from graphret.neighbors.rows_to_likely import compare_with_likely

if TYPE_CHECKING:
    from graphret._types import Float32Array, Int32Array, Int64Array
    from graphret.neighbors.neighbor_table import NeighborTable

__all__ = ["SHORT_SHARE", "list_lengths", "refill_short_lists", "short_lists", "with_rows_added", "with_rows_removed"]

SHORT_SHARE = 0.1
"""Of its k neighbours a list may lack so many before the row is searched again; none where k is below 10."""


def list_lengths(table: NeighborTable) -> Int64Array:
    """Return the length of every list, int64 (n,): the others of its columns are padded.

    Examples
    --------
    >>> from graphret.neighbors import NeighborTable
    >>> list_lengths(NeighborTable(np.array([[1, -1], [0, 2]], np.int32), np.zeros((2, 2), np.float32))).tolist()
    [1, 2]
    """
    lengths: Int64Array = np.count_nonzero(table.neighbors >= 0, axis=1)
    return lengths


def with_rows_removed(table: NeighborTable, kept: Int64Array) -> NeighborTable:
    """Leave rows out of a table, as rows and as neighbours.

    A list of length m holds the m nearest rows before, and those of them that stay are the nearest rows afterwards: it
    is shorter, and still right. `refill_short_lists` completes what has become too short.

    Parameters
    ----------
    table
        n rows.
    kept
        int64, ascending positions of the rows that stay; they are numbered anew in this order.

    Returns
    -------
    NeighborTable
        One row for each of ``kept``. O(n k).

    Examples
    --------
    >>> from graphret.neighbors import NeighborTable
    >>> table = NeighborTable(np.array([[1, 2], [0, 2], [1, 0]], np.int32), np.ones((3, 2), np.float32))
    >>> with_rows_removed(table, np.array([0, 2])).neighbors.tolist()
    [[1], [0]]
    """
    numbers = new_numbers(len(table.neighbors), kept)
    shape = (len(kept), min(table.k, max(len(kept) - 1, 0)))
    out = (np.empty(shape, np.int32), np.empty(shape, np.float32))
    _close_up(*_plain(table), np.ascontiguousarray(kept, np.int64), numbers, *out)
    return replace(table, neighbors=out[0], similarities=out[1])


def with_rows_added(
    table: NeighborTable,
    search: ExactSearch,
    k: int,
    *,
    directions: Float32Array | None = None,
    n_threads: int | None = None,
) -> NeighborTable:
    """Put new rows into a table, both ways: they get neighbours, and become neighbours of rows that are there.

    Every new row is compared with all rows. It enters the list of an old row where it is nearer than the last of the
    list. So a list of k rows stays that of a search of all rows; a shorter list (see `with_rows_removed`) stays right
    as far as it goes. Into a table that is approximate itself, many rows come by `compare_with_likely`.

    Parameters
    ----------
    table
        The table of the first rows.
    search
        Over the codes of all n rows; what the table does not have is new.
    k
        Neighbours of a row, >= 1; the result has min(k, n - 1) columns.
    directions
        float32 (d, p), in which the codes differ most, orthogonal; ``None``: new rows of any table are compared with
        all rows.
    n_threads
        Threads; the result does not depend on it.

    Returns
    -------
    NeighborTable
        n rows: best first, ties by smaller position.

    Notes
    -----
    O(m n d) time for m new rows; with ``directions`` that of `compare_with_likely`.

    Examples
    --------
    >>> from graphret.neighbors import nearest_neighbors
    >>> codes = np.random.default_rng(0).random((40, 8), dtype=np.float32)
    >>> grown = with_rows_added(nearest_neighbors(codes[:30], 5), ExactSearch(codes), 5)
    >>> np.array_equal(grown.neighbors, nearest_neighbors(codes, 5).neighbors)
    True
    """
    n_old, n_rows = len(table.neighbors), search.codes.shape[0]
    width = min(check_integer("k", k, 1), n_rows - 1)
    if width == 0:
        return replace(table, neighbors=np.empty((n_rows, 0), np.int32), similarities=np.empty((n_rows, 0), np.float32))
    neighbors = np.full((n_rows, width), -1, np.int32)
    similarities = np.zeros((n_rows, width), np.float32)
    neighbors[:n_old, : table.k], similarities[:n_old, : table.k] = table.neighbors, table.similarities
    lengths = list_lengths(table)
    last = np.full(n_old, -np.inf, np.float32)
    some = lengths > 0
    last[some] = table.similarities[np.flatnonzero(some), lengths[some] - 1]
    last[lengths == n_old - 1] = -np.inf  # it holds all rows that there were, so that every new one belongs to it
    last[(lengths == 0) & (n_old > 1)] = np.inf  # nothing is known of it: it is searched again
    least = np.full(n_rows, np.inf, np.float32)  # new rows are compared with each other for their own lists
    least[:n_old] = last - np.float32(ROUNDING)
    new = np.arange(n_old, n_rows)
    if directions is None or table.method == "exact":
        found = compare_with_all(search, new, least, width, n_threads=n_threads)
    else:
        found = compare_with_likely(search, new, least, width, directions, n_threads=n_threads)
    neighbors[new], similarities[new], pairs = found
    _merge_into_lists(*_entering(search, pairs, last, n_threads), neighbors, similarities)
    return replace(table, neighbors=neighbors, similarities=similarities)


def short_lists(table: NeighborTable, k: int, may_lack: float = SHORT_SHARE) -> Int64Array:
    """Return the rows whose lists lack more than a share of k neighbours, int64, ascending; see `refill_short_lists`.

    Examples
    --------
    >>> from graphret.neighbors import NeighborTable
    >>> short_lists(NeighborTable(np.array([[1, 2], [2, -1], [1, 0]], np.int32), np.zeros((3, 2), np.float32)), 2)
    array([1])
    """
    width = min(check_integer("k", k, 1), max(len(table.neighbors) - 1, 0))
    return np.flatnonzero(list_lengths(table) < width - int(may_lack * width))


def refill_short_lists(
    table: NeighborTable,
    search: ExactSearch,
    k: int,
    *,
    may_lack: float = SHORT_SHARE,
    n_threads: int | None = None,
) -> NeighborTable:
    """Search again for the rows whose lists have become too short.

    Parameters
    ----------
    table
        n rows.
    search
        Over their codes.
    k
        Neighbours of a row, >= 1, at most as many as the table has columns.
    may_lack
        Share of ``k`` that a list may lack; one that lacks more is made anew.
    n_threads
        Threads; the result does not depend on it.

    Returns
    -------
    NeighborTable
        min(k, n - 1) columns. O(s n d) time for s lists that are too short.

    Examples
    --------
    >>> from graphret.neighbors import nearest_neighbors
    >>> codes = np.random.default_rng(0).random((40, 8), dtype=np.float32)
    >>> table = with_rows_removed(nearest_neighbors(codes, 5), np.arange(30))
    >>> table = refill_short_lists(table, ExactSearch(codes[:30]), 5, may_lack=0)
    >>> np.array_equal(table.neighbors, nearest_neighbors(codes[:30], 5).neighbors)
    True
    """
    width = min(check_integer("k", k, 1), max(len(table.neighbors) - 1, 0))
    table = replace(table, neighbors=table.neighbors[:, :width], similarities=table.similarities[:, :width])
    short = short_lists(table, k, may_lack)
    if not short.size:
        return table
    neighbors, similarities = table.neighbors.copy(), table.similarities.copy()
    nobody = np.full(len(neighbors), np.inf, np.float32)
    neighbors[short], similarities[short], _ = compare_with_all(search, short, nobody, width, n_threads=n_threads)
    return replace(table, neighbors=neighbors, similarities=similarities)


def _plain(table: NeighborTable) -> tuple[Int32Array, Float32Array]:
    """Kernels are compiled for plain arrays, not for memory maps."""
    return table.neighbors.view(np.ndarray), table.similarities.view(np.ndarray)


def _entering(
    search: ExactSearch, pairs: Int64Array, last: Float32Array, n_threads: int | None
) -> tuple[Int64Array, Int32Array, Float32Array]:
    """Score pairs of a new and an old row; returns what enters: (row, film, cosine), by row, then best first."""
    films, rows = pairs
    cosines = np.empty(len(rows), np.float32)
    with borrow_threads(n_threads):
        _pair_cosines(search.codes.view(np.ndarray), search.lengths.view(np.ndarray), rows, films, cosines)
    enters = cosines > last[rows]
    films, rows, cosines = films[enters].astype(np.int32), rows[enters], cosines[enters]
    order = np.lexsort((films, -cosines, rows))
    return rows[order], films[order], cosines[order]
