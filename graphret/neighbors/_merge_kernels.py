"""Kernel that merges what was found for the same rows in several places. It writes to its arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphret._numba import jit, prange

if TYPE_CHECKING:
    from graphret._types import Float32Array, Int32Array, Int64Array

__all__ = ["_merge_found"]


@jit(parallel=True)
def _merge_found(
    starts: Int64Array,
    ids: Int32Array,
    similarities: Float32Array,
    out_neighbors: Int32Array,
    out_similarities: Float32Array,
) -> None:
    """Insert candidates into sorted lists of fixed length, best first, ties by smaller id; -1 and 0 pad a list.

    Candidates of a row are ``ids[starts[row]:starts[row + 1]]``, in no order, none of them in its list already. The
    order of rows in a list is total, so that what comes out does not depend on the order of the calls.
    """
    k = out_neighbors.shape[1]
    for row in prange(out_neighbors.shape[0]):
        own_ids = out_neighbors[row]
        own_similarities = out_similarities[row]
        filled = k
        while filled > 0 and own_ids[filled - 1] < 0:
            filled -= 1
        for candidate in range(starts[row], starts[row + 1]):
            node = ids[candidate]
            similarity = similarities[candidate]
            if filled == k:
                last = own_similarities[k - 1]
                if similarity < last or (similarity == last and node > own_ids[k - 1]):
                    continue
                place = k - 1
            else:
                place = filled
                filled += 1
            while place > 0 and (
                own_similarities[place - 1] < similarity
                or (own_similarities[place - 1] == similarity and own_ids[place - 1] > node)
            ):
                own_similarities[place] = own_similarities[place - 1]
                own_ids[place] = own_ids[place - 1]
                place -= 1
            own_similarities[place] = similarity
            own_ids[place] = node
