"""The table of nearest neighbours that the graph, and every query, is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graphret._types import Float32Array, Int32Array

__all__ = ["NeighborTable"]


@dataclass(frozen=True, eq=False)
class NeighborTable:
    """Nearest neighbours of every row by cosine: best first, ties by smaller id.

    Parameters
    ----------
    neighbors
        int32 (n, k), ids; -1 pads a row that has fewer.
    similarities
        float32 (n, k), cosines rounded to 1e-6; 0 where padded.
    method
        "exact" or "approximate": how it was found.
    recall
        Share of true neighbours found, measured on a sample of rows; 1.0 for "exact".
    n_proven
        Rows whose neighbours were proven by bounds; 0 for "approximate".
    n_scanned
        Rows that were compared with every code, because bounds left a doubt.
    """

    neighbors: Int32Array
    similarities: Float32Array
    method: str = field(default="exact")
    recall: float = field(default=1.0)
    n_proven: int = field(default=0)
    n_scanned: int = field(default=0)

    @property
    def k(self) -> int:
        """Columns of the table."""
        return int(self.neighbors.shape[1])
