"""Kernel of the scorer: the weight inside every community, from its definition."""

from __future__ import annotations

import numpy as np

from graphret._numba import jit

__all__ = ["_inside_weights"]


@jit()
def _inside_weights(indptr, indices, weights, labels, kept, out):
    """Add every edge between two nodes of one community to ``out`` (zeros), once; ``kept`` is room for a row.

    Weights are written one after the other and kept by counting them: a branch would be guessed wrong too often.
    """
    for node in range(labels.shape[0]):
        n_kept = np.uint32(0)
        for position in range(np.uint64(indptr[node]), np.uint64(indptr[node + 1])):
            kept[n_kept] = weights[position]
            n_kept += np.uint32(labels[indices[position]] == labels[node])
        inside = 0.0
        for place in range(n_kept):
            inside += kept[place]
        out[labels[node]] += inside / 2.0
