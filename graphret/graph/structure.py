"""Whether arrays from elsewhere are a graph: asked before a kernel indexes memory with what they hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from graphret.graph._structure_kernels import _first_broken_row

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from graphret._types import Int32Array, Int64Array

__all__ = ["structure_problem"]


def structure_problem(
    indptr: Int64Array, indices: Int32Array, weights: NDArray[np.floating] | None = None
) -> str | None:
    """Say why arrays are no symmetric CSR with sorted rows and without self loops; None where they are.

    Parameters
    ----------
    indptr
        int64 (n + 1,).
    indices
        int32 (m,).
    weights
        Floats (m,), positive and finite; ``None`` where the edges have none.

    Notes
    -----
    O(n + m) time, O(n) memory.

    Examples
    --------
    >>> structure_problem(np.array([0, 1, 2]), np.array([1, 0], dtype=np.int32)) is None
    True
    >>> structure_problem(np.array([0, 1, 2]), np.array([1, 2**31 - 1], dtype=np.int32))
    'its row 1 is not sorted, not symmetric, or leaves the graph of 2 nodes'
    """
    n_nodes = len(indptr) - 1
    if len(indptr) == 0 or indptr[0] != 0 or indptr[-1] != len(indices) or np.any(np.diff(indptr) < 0):
        return f"its rows do not rise from 0 to {len(indices)}"
    weighed = np.empty(0, np.float32) if weights is None else weights
    row = _first_broken_row(indptr, indices, weighed, np.empty(n_nodes, np.int64))
    return None if row < 0 else f"its row {row} is not sorted, not symmetric, or leaves the graph of {n_nodes} nodes"
