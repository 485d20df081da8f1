"""Coordinate descent of CNNH's first stage, over label sets instead of films."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from graphret._numba import jit

if TYPE_CHECKING:
    from graphret._types import Float64Array, Int64Array

__all__ = ["sweep"]


@jit(reassociate=True)
def sweep(
    bits: Float64Array, similarity: Float64Array, pair_weights: Float64Array, counts: Float64Array, order: Int64Array
) -> float:
    """Improve every value of every code once; return by how much ``sum_uv n_u w_uv (h_u . h_v - n_bits S_uv)^2`` fell.

    ``bits`` (n_bits, U) holds the codes in columns, so that a bit of all sets is contiguous. ``pair_weights`` w_uv is
    n_v where the pair is known and 0 elsewhere. A change of one value changes the sum by a polynomial of degree 4. A
    Newton step towards its minimum, cut to [-1, 1], is taken if it helps; where the polynomial bends down, a step to
    the end of [-1, 1] that lies downhill.
    """
    n_bits, n_sets = bits.shape
    residual = np.empty(n_sets)
    fallen = 0.0
    for u in order:
        weights = pair_weights[u]
        for v in range(n_sets):
            residual[v] = -n_bits * similarity[u, v]
        for j in range(n_bits):
            own = bits[j, u]
            for v in range(n_sets):
                residual[v] += own * bits[j, v]
        for j in range(n_bits):
            own, alone, with_itself = bits[j, u], weights[u], residual[u]
            gradient, curvature = 0.0, 0.0
            for v in range(n_sets):
                weighted = weights[v] * bits[j, v]
                gradient += weighted * residual[v]
                curvature += weighted * bits[j, v]
            bend = curvature + alone * (own * own + with_itself)
            if bend > 0.0:
                step = min(max(-gradient / bend, -1.0 - own), 1.0 - own)
            else:
                step = (1.0 if gradient < 0.0 else -1.0) - own
            moved = with_itself + 2.0 * step * own + step * step
            others = 2.0 * step * (gradient - alone * own * with_itself) + step * step * (curvature - alone * own * own)
            change = counts[u] * (alone * (moved * moved - with_itself * with_itself) + 2.0 * others)
            if change >= 0.0:
                continue
            fallen -= change
            for v in range(n_sets):
                residual[v] += step * bits[j, v]
            residual[u] = moved
            bits[j, u] = own + step
    return fallen
