"""The fill: short lists are completed with the nearest films that are not in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from graphret.neighbors import SearchCounts
from graphret.retrieval.protocol import source_code

if TYPE_CHECKING:
    from graphret.retrieval.protocol import Archive, QueryBatch, RankedLists

__all__ = ["fill_nearest"]


def fill_nearest(
    archive: Archive, queries: QueryBatch, lists: RankedLists, n_threads: int | None = None
) -> SearchCounts | None:
    """Complete short lists in place with the nearest films that are not in them, marked "fill".

    O(q (k + m)). Where the batch holds fewer than k neighbours, queries with a short list are searched for again;
    returned is what that looked at, for every query of the batch, or None.
    """
    short = np.flatnonzero(lists.positions[:, -1] < 0)
    if not short.size:
        return None
    wider = queries.take(short).at_least(archive, lists.k, n_threads)
    for row, nearest in zip(short, wider.neighbors, strict=True):
        positions = lists.positions[row]
        n_found = int(np.count_nonzero(positions >= 0))
        rest = nearest[(nearest >= 0) & ~np.isin(nearest, positions[:n_found])][: lists.k - n_found]
        positions[n_found : n_found + rest.size] = rest
        lists.sources[row, n_found : n_found + rest.size] = source_code("fill")
    if wider.counts is None:
        return None
    counts = SearchCounts.scanned(len(queries), 0)
    for name in ("compared", "visited", "rescored"):
        getattr(counts, name)[short] = getattr(wider.counts, name)
    return counts
