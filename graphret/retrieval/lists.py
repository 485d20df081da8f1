"""What rankings share when they write their lists: cosines of the hits, and the fill."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from graphret._numba import borrow_threads
from graphret.graph._kernels import _cosines
from graphret.graph.search import row_lengths
from graphret.retrieval.protocol import source_code

if TYPE_CHECKING:
    from graphret._types import Float32Array, Int32Array
    from graphret.retrieval.protocol import Archive, QueryBatch, RankedLists

__all__ = ["cosines_to_queries", "fill_nearest"]


def fill_nearest(queries: QueryBatch, lists: RankedLists) -> None:
    """Complete short lists in place with the nearest films that are not in them, marked "fill".

    O(q (k + m)); the batch must hold k neighbours per query, or all that are allowed.
    """
    for row in np.flatnonzero(lists.positions[:, -1] < 0):
        positions = lists.positions[row]
        n_found = int(np.count_nonzero(positions >= 0))
        nearest = queries.neighbors[row]
        rest = nearest[(nearest >= 0) & ~np.isin(nearest, positions[:n_found])][: lists.k - n_found]
        positions[n_found : n_found + rest.size] = rest
        lists.sources[row, n_found : n_found + rest.size] = source_code("fill")


def cosines_to_queries(
    archive: Archive, queries: QueryBatch, positions: Int32Array, n_threads: int | None
) -> Float32Array:
    """Cosine of every hit to its query by the canonical routine, float32 (q, k), 0 where padded. O(q k d)."""
    out = np.empty(positions.shape, dtype=np.float32)
    with borrow_threads(n_threads):
        _cosines(queries.codes, row_lengths(queries.codes), archive.codes, archive.search.lengths, positions, out)
    out[positions < 0] = 0.0
    return out
