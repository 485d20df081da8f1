"""Rows and columns go from a sparse symmetric matrix: what is left keeps its order, and is numbered anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from graphret.neighbors._link_kernels import _without_nodes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from graphret._types import Int32Array, Int64Array

__all__ = ["new_numbers", "rows_without"]


def new_numbers(n_nodes: int, kept: Int64Array) -> Int32Array:
    """Return the number of each node among those that are kept, int32 (n_nodes,); -1 where it is not.

    Examples
    --------
    >>> new_numbers(4, np.array([1, 3])).tolist()
    [-1, 0, -1, 1]
    """
    numbers = np.full(n_nodes, -1, np.int32)
    numbers[kept] = np.arange(len(kept), dtype=np.int32)
    return numbers


def rows_without(
    indptr: Int64Array, indices: Int32Array, kept: Int64Array, weights: NDArray[np.float32] | None = None
) -> tuple[Int64Array, Int32Array, NDArray[np.float32]] | None:
    """Return the CSR of the nodes that are kept: a symmetric matrix stays one, and sorted rows stay sorted.

    None where an index is no node.

    Parameters
    ----------
    indptr, indices
        int64 (n + 1,), which rises from 0, and int32 (m,).
    kept
        int64, ascending positions of the nodes that stay.
    weights
        float32 (m,); ``None`` where the entries have none.

    Returns
    -------
    tuple
        indptr int64 (len(kept) + 1,), indices int32, weights float32 (of length 0 where there are none). O(n + m).

    Examples
    --------
    >>> path = np.array([0, 1, 3, 4]), np.array([1, 0, 2, 1], dtype=np.int32)
    >>> [part.tolist() for part in rows_without(*path, np.array([1, 2]))]
    [[0, 1, 2], [1, 0], []]
    """
    stored = np.empty(0, np.float32) if weights is None else weights.view(np.ndarray)
    out = np.empty(len(kept) + 1, np.int64), np.empty(len(indices), np.int32), np.empty(len(stored), np.float32)
    numbers = new_numbers(len(indptr) - 1, kept)
    filled = _without_nodes(indptr.view(np.ndarray), indices.view(np.ndarray), stored, kept, numbers, *out)
    if filled < 0:
        return None
    for array in out[1:]:  # given back to the system, not copied
        array.resize(min(filled, len(array)), refcheck=False)
    return out
