"""A kNN table that fills: candidates of any search are scored by one canonical routine, other rows are scanned."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from graphret._checks import unit_rows
from graphret.neighbors._kernels import _cosines, _rank_candidates, _scan_tile
from graphret.neighbors.exact_search import ROUNDING, TILE, ExactSearch, row_lengths
from graphret.neighbors.neighbor_table import NeighborTable

if TYPE_CHECKING:
    from graphret._types import Codes, Float32Array, Int32Array, Int64Array, Progress

__all__ = ["FillingTable"]

SCAN_BLOCK = 64
RECALL_SAMPLE = 256


class FillingTable:
    """A table that fills: candidates come in, are scored canonically, and rows that are not sure are scanned."""

    def __init__(self, codes: Codes, k: int, progress: Progress | None) -> None:
        n_rows = codes.shape[0]
        self.codes = codes
        self.lengths = row_lengths(codes)
        self.neighbors = np.empty((n_rows, k), np.int32)
        self.similarities = np.empty((n_rows, k), np.float32)
        self.progress = progress
        self.unsure = np.ones(n_rows, np.bool_)

    def settle(self, rows: Int64Array, candidates: Int32Array, kth_similarities: Float32Array) -> None:
        """Score candidates of some rows and write their k best; no other row may exceed ``kth_similarities``."""
        k = self.neighbors.shape[1]
        scored = np.empty(candidates.shape, np.float32)
        _cosines(self.codes[rows], self.lengths[rows], self.codes, self.lengths, candidates, scored)
        found = (np.empty((rows.size, k), np.int32), np.empty((rows.size, k), np.float32))
        _rank_candidates(candidates, scored, rows, np.full(rows.size, k, dtype=np.int64), *found)
        self.neighbors[rows], self.similarities[rows] = found
        last = np.where(found[0][:, -1] < 0, -np.inf, found[1][:, -1])
        self.unsure[rows] = (found[0][:, -1] < 0) | (kth_similarities >= last - ROUNDING)

    def finish(self, method: str = "exact", recall: float = 1.0) -> NeighborTable:
        """Scan the rows that are not sure, and return the table."""
        unsure = np.flatnonzero(self.unsure)
        for first in range(0, unsure.size, SCAN_BLOCK):
            self._scan(unsure[first : first + SCAN_BLOCK])
        n_rows = self.neighbors.shape[0]
        if self.progress is not None:
            self.progress("neighbors", n_rows, n_rows)
        n_proven = n_rows - unsure.size if method == "exact" else 0
        return NeighborTable(self.neighbors, self.similarities, method, recall, n_proven, unsure.size)

    def _scan(self, rows: Int64Array) -> None:
        """Find the neighbours of some rows among all codes; what they have so far says what is hopeless."""
        k = self.neighbors.shape[1]
        unit = unit_rows(self.codes[rows])
        full = self.neighbors[rows, -1] >= 0
        kth_similarities = np.where(full, self.similarities[rows, -1] - ROUNDING, -np.inf).astype(np.float32)
        found = (np.full((rows.size, k), -1, np.int32), np.zeros((rows.size, k), np.float32))
        n_found = np.zeros(rows.size, np.int64)
        scales = (1.0 / self.lengths).astype(np.float32)
        for first in range(0, self.codes.shape[0], TILE):
            tile = slice(first, first + TILE)
            products = unit @ self.codes[tile].T
            _scan_tile(products, scales[tile], first, rows, self.codes, self.lengths, kth_similarities, *found, n_found)
        self.neighbors[rows], self.similarities[rows] = found

    def measured_recall(self, generator: np.random.Generator, n_threads: int) -> float:
        """Share of the true neighbours of some rows that the table holds."""
        n_rows, k = self.neighbors.shape
        checked = np.sort(generator.choice(n_rows, size=min(n_rows, RECALL_SAMPLE), replace=False)).astype(np.int32)
        search = ExactSearch(self.codes, self.lengths)
        truth = search.search(self.codes[checked], k, forbidden=list(checked[:, None]), n_threads=n_threads)
        pairs = zip(self.neighbors[checked], truth.neighbors, strict=True)
        return sum(np.intersect1d(found, true).size for found, true in pairs) / (checked.size * k)
