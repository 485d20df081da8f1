"""The fill: short lists are completed with the nearest films that are not in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from graphret.retrieval.protocol import source_code

if TYPE_CHECKING:
    from graphret.retrieval.protocol import QueryBatch, RankedLists

__all__ = ["fill_nearest"]


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
