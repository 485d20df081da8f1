"""Cosine between centred, whitened codes, from the codes as they are stored: no second copy of the archive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from graphret._threads import one_blas_thread
from graphret.neighbors.exact_search import TILE, row_lengths

if TYPE_CHECKING:
    from graphret._types import Codes, Float64Array, Int32Array
    from graphret.neighbors import Search

__all__ = ["Whitening"]

SAMPLE = 16_384
"""Codes that the covariance is estimated on, evenly spaced over the archive."""
DIRECTIONS = 128
"""Leading directions that are damped; beyond them an eigenvalue is small beside the ridge."""


@dataclass(frozen=True, eq=False)
class Whitening:
    """Metric ``M = (C + ridge I)^-w ridge^w`` on unit codes around their mean m, kept as identity plus low rank.

    C is the covariance of the unit codes and the ridge its mean eigenvalue, so that directions that vary more than
    average are damped, and the others left as they are: ``M = I + V' diag(g) V`` with ``g = (ridge / (c +
    ridge))^w - 1`` for the leading eigenvalues c with directions V. Whitening after PCA (Jegou and Chum, ECCV 2012) is
    w = 1 without a ridge; w = 0 only centres.

    Parameters
    ----------
    mean
        float64 (d,), m.
    directions
        float64 (r, d), V.
    gains
        float64 (r,), g, between -1 and 0.
    lengths
        float64 (n,), ``|x - m|`` in the metric, of every unit code x.
    """

    mean: Float64Array
    directions: Float64Array
    gains: Float64Array
    lengths: Float64Array

    @classmethod
    def fit(cls, search: Search, strength: float) -> Whitening:
        """Estimate the metric on an archive, w = ``strength`` in [0, 1].

        O(s d^2 + d^3 + n d r) time for a sample of s codes and r directions, one tile of memory; single-threaded, so
        that it does not depend on the threads of the caller.
        """
        from scipy.linalg import eigh

        codes = search.read_codes()
        n_films, n_dimensions = codes.shape
        rows = np.unique(np.linspace(0, n_films - 1, min(n_films, SAMPLE)).astype(np.int64))
        sample = codes[rows] / search.lengths[rows, None].astype(np.float32)
        mean = sample.mean(axis=0, dtype=np.float64)
        sample -= mean.astype(np.float32)
        with one_blas_thread():
            covariance = (sample.T @ sample).astype(np.float64) / len(rows)
            ridge = max(float(np.trace(covariance)) / n_dimensions, np.finfo(np.float64).tiny)
            leading = [max(n_dimensions - DIRECTIONS, 0), n_dimensions - 1]
            values, vectors = eigh(covariance, subset_by_index=leading)
            directions = np.ascontiguousarray(vectors.T)
            gains = (ridge / (np.maximum(values, 0.0) + ridge)) ** strength - 1.0
            lengths = np.empty(n_films)
            for first in range(0, n_films, TILE):
                block = codes[first : first + TILE] / search.lengths[first : first + TILE, None]
                block -= mean
                squares = np.einsum("ij,ij->i", block, block) + (block @ directions.T) ** 2 @ gains
                lengths[first : first + TILE] = np.sqrt(np.maximum(squares, 0.0))
        return cls(mean, directions, gains, lengths)

    def cosines(
        self, search: Search, queries: Codes, positions: Int32Array, n_threads: int | None = None
    ) -> Float64Array:
        """Score given films for every query in the metric, float64 (q, k), 0 where padded; O(q (k + r) d)."""
        moved = np.empty(queries.shape, dtype=np.float32)
        offsets, lengths = np.empty(len(queries)), np.empty(len(queries))
        # Row by row and without BLAS, so that a query is rounded alike alone and in a batch.
        for row, (code, length) in enumerate(zip(queries, row_lengths(queries), strict=True)):
            centred = code / length - self.mean
            parts = np.einsum("rd,d->r", self.directions, centred) * self.gains
            image = centred + np.einsum("r,rd->d", parts, self.directions)
            moved[row] = image
            offsets[row] = np.einsum("d,d->", image, self.mean)
            lengths[row] = np.sqrt(max(np.einsum("d,d->", image, centred), 0.0))
        some = np.einsum("ij,ij->i", moved, moved) > 0  # a query in the middle of the archive has no direction
        safe = np.where(some[:, None], moved, np.float32(1))
        products = search.similarities(safe, positions, n_threads=n_threads) * row_lengths(safe)[:, None]
        sizes = lengths[:, None] * self.lengths[positions]
        out = np.divide(products - offsets[:, None], sizes, out=np.zeros(positions.shape), where=sizes > 0)
        out[(positions < 0) | ~some[:, None]] = 0.0
        return np.asarray(np.round(out, 6))
