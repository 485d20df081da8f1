"""Judge a kNN table by brute force in float64 on a sample of rows; nothing that a method says of itself is believed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

SAMPLE = 1_000
TIE = 1e-6
"""A neighbour this much below the true k-th similarity is as good as the k-th: float32 can not tell them apart."""
TILE = 16_384


@dataclass(frozen=True)
class Truth:
    """The true k-th similarity of some rows: rows int64 (s,), kth float64 (s,)."""

    rows: np.ndarray
    kth: np.ndarray

    @classmethod
    def of(cls, codes: np.ndarray, k: int, *, sample: int = SAMPLE, seed: int = 0) -> Truth:
        """Compare sampled rows with every row, in float64; the row itself does not count."""
        n = len(codes)
        if not 1 <= k < n:
            raise SystemExit(f"k = {k} needs 1 <= k < n, and n is {n}")
        rows = np.sort(np.random.default_rng([seed, n]).choice(n, size=min(n, sample), replace=False))
        queries = _unit(codes[rows])
        best = np.empty((len(rows), 0))
        for first in range(0, n, TILE):
            cosines = queries @ _unit(codes[first : first + TILE]).T
            inside = np.flatnonzero((rows >= first) & (rows < first + TILE))
            cosines[inside, rows[inside] - first] = -np.inf
            both = np.hstack([best, cosines])
            best = -np.partition(-both, min(k, both.shape[1]) - 1, axis=1)[:, :k]
        return cls(rows, best.min(axis=1))

    def judge(self, codes: np.ndarray, ids: np.ndarray, similarities: np.ndarray) -> dict[str, float]:
        """Recall of a table (n, k), and how far its similarities are from those in float64.

        A found neighbour counts if its own similarity, computed here, is at least the true k-th minus 1e-6; the row
        itself, an id found before in the row, and an id outside of the archive never count.
        """
        k = ids.shape[1]
        right, error = 0, 0.0
        for row, kth in zip(self.rows, self.kth, strict=True):
            found = np.asarray(ids[row]).astype(np.int64)
            inside = (found >= 0) & (found < len(codes))
            cosines = _unit(codes[found[inside]]) @ _unit(codes[row : row + 1])[0]
            if inside.any():
                error = max(error, float(np.abs(cosines - similarities[row][inside]).max()))
            counts = (cosines >= kth - TIE) & (found[inside] != row)
            right += len(np.unique(found[inside][counts]))
        return {"recall": right / (len(self.rows) * k), "similarity_error": error}

    def save(self, file: Path) -> None:
        """Write to an .npz file."""
        np.savez(file, rows=self.rows, kth=self.kth)

    @classmethod
    def load(cls, file: Path) -> Truth:
        """Read what `save` wrote."""
        with np.load(file, allow_pickle=False) as arrays:
            return cls(arrays["rows"], arrays["kth"])


def _unit(codes: np.ndarray) -> np.ndarray:
    exact = codes.astype(np.float64)
    return exact / np.sqrt(np.einsum("ij,ij->i", exact, exact))[:, None]
