"""The film in the middle of every community: the one that is most similar to all others of it together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from graphret._threads import borrow_threads
from graphret.mapping._kernels import _medoids

if TYPE_CHECKING:
    from graphret._types import Codes, Int32Array

__all__ = ["medoids"]


def medoids(codes: Codes, labels: Int32Array, *, n_threads: int | None = None) -> Int32Array:
    """Find the film of every community whose cosines to the others of it have the largest sum.

    Parameters
    ----------
    codes
        float32 (n, d).
    labels
        int32 (n,), communities 0 to m - 1, each with at least one film.
    n_threads
        ``None`` for all processors; the result does not depend on it.

    Returns
    -------
    int32 (m,)
        Positions. Mean cosines are rounded to 1e-6, ties go to the smaller position. O(n d).

    Examples
    --------
    >>> codes = np.array([[1, 0], [1, 1], [0, 1], [5, 0]], dtype=np.float32)
    >>> medoids(codes, np.array([0, 0, 0, 1])).tolist()
    [1, 3]
    """
    order = np.argsort(labels, kind="stable")
    ends = np.cumsum(np.bincount(labels))
    found = np.empty(len(ends), np.int32)
    with borrow_threads(n_threads):
        _medoids(np.asarray(codes).view(np.ndarray), order, ends, found)
    return found
