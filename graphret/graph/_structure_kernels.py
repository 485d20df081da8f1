"""Kernels that look whether arrays are the CSR that other kernels index memory with."""

from __future__ import annotations

from typing import Any

from graphret._numba import jit

__all__ = ["_first_broken_row"]

MOST = 1.7976931348623157e308
"""The largest finite number: what is not below it is an infinity or NaN."""


@jit()
def _first_broken_row(indptr: Any, indices: Any, weights: Any, cursors: Any) -> int:
    """The first row that is not sorted, names no node, names itself, or whose edge the other row has not; -1 for none.

    ``weights`` has length 0 where there are none; others are positive, finite, and the same in both rows. ``cursors``
    (n_nodes,) is scratch: as rows are visited in ascending order, the edge to each is the next in the other row.
    """
    n_nodes = cursors.shape[0]
    for row in range(n_nodes):
        cursors[row] = indptr[row]
        last = -1
        for entry in range(indptr[row], indptr[row + 1]):
            other = indices[entry]
            if other <= last or other >= n_nodes or other == row:
                return row
            last = other
            if weights.shape[0] > 0 and not 0 < weights[entry] <= MOST:
                return row
    for row in range(n_nodes):
        for entry in range(indptr[row], indptr[row + 1]):
            other = indices[entry]
            place = cursors[other]
            if place >= indptr[other + 1] or indices[place] != row:
                return row
            if weights.shape[0] > 0 and weights[place] != weights[entry]:
                return row
            cursors[other] += 1
    return -1
