"""Kernels of the label-aware ranking: the neighbours' vote on every finding, and the order of a pool under it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._numba import jit, prange
from graphret._sort_kernels import _best_first
from graphret.retrieval._context_kernels import GRID

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from graphret._types import Float32Array, Float64Array, Int32Array

__all__ = ["_rank_by_findings", "_vote"]


@jit()
def _count(films: Any) -> int:
    """Films before the padding of a row."""
    n = 0
    while n < films.shape[0] and films[n] >= 0:
        n += 1
    return n


@jit()
def _standardised(similarities: Any, n: int) -> Any:
    """The first n similarities with mean 0 and variance 1; all 0 where they are equal."""
    out = similarities[:n].astype(np.float64)
    out -= out.sum() / n
    spread = np.sqrt((out * out).sum() / n)
    if spread > 0.0:
        out /= spread
    return out


@jit(parallel=True)
def _vote(
    neighbors: Int32Array,
    similarities: Float32Array,
    labels: NDArray[np.int8],
    prevalence: Float64Array,
    sharpness: float,
    prior: float,
    slopes: Float64Array,
    offsets: Float64Array,
    out: Float64Array,
) -> None:
    """Write the probability of every finding (q, L): the weighted share of the neighbours, shrunk, then calibrated."""
    for query in prange(neighbors.shape[0]):
        n = _count(neighbors[query])
        weights = np.ones(n)
        if sharpness > 0.0 and n > 0:
            weights = np.exp(sharpness * _standardised(similarities[query], n))
            weights *= n / weights.sum()
        for label in range(labels.shape[1]):
            present = prior * prevalence[label]
            known = prior
            for place in range(n):
                value = labels[neighbors[query, place], label]
                if value >= 0:
                    known += weights[place]
                    present += weights[place] * value
            usual = np.log(prevalence[label] / (1.0 - prevalence[label]))
            evidence = np.log(present / (known - present)) - usual
            out[query, label] = 1.0 / (1.0 + np.exp(-(usual + offsets[label] + slopes[label] * evidence)))


@jit(parallel=True)
def _rank_by_findings(
    pool: Int32Array,
    similarities: Float32Array,
    labels: NDArray[np.int8],
    prevalence: Float64Array,
    probabilities: Float64Array,
    strength: float,
    out_positions: Int32Array,
    out_terms: Float64Array,
) -> None:
    """Write the best films of every pool (q, m), padded with -1, and the two terms (2, q, k) of their scores."""
    for query in prange(pool.shape[0]):
        n = _count(pool[query])
        if n > 0:
            expected = probabilities[query].sum()
            own = _standardised(similarities[query], n)
            overlap = np.zeros(n)
            for place in range(n):
                shared = 0.0
                present = 0.0
                for label in range(labels.shape[1]):
                    value = labels[pool[query, place], label]
                    share = prevalence[label] if value < 0 else float(value)
                    present += share
                    shared += share * probabilities[query, label]
                if present > 0.0:
                    overlap[place] = shared / np.sqrt(present * expected)
            scores = np.floor(((1.0 - strength) * own + strength * overlap) * GRID + 0.5)
            # a pool is sorted by similarity, then position: so are ties, by their place in it
            order = _best_first(np.arange(n), scores)
            for rank in range(min(n, out_positions.shape[1])):
                place = order[rank]
                out_positions[query, rank] = pool[query, place]
                out_terms[0, query, rank] = (1.0 - strength) * own[place]
                out_terms[1, query, rank] = strength * overlap[place]
