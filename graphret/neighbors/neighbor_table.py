"""The table of nearest neighbours that the graph, and every query, is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from graphret._types import Float32Array, Int32Array, Int64Array

__all__ = ["NeighborTable", "SearchCounts"]


@dataclass(frozen=True, eq=False)
class SearchCounts:
    """What a search looked at for each query.

    Parameters
    ----------
    compared
        int64 (q,), codes that the query was compared with, short ones too; a code that came twice counts twice.
    visited
        int64 (q,), films whose links were expanded; 0 where the archive was scanned.
    rescored
        int64 (q,), candidates of graph search that were scored again from their stored codes.
    """

    compared: Int64Array
    visited: Int64Array
    rescored: Int64Array

    def __add__(self, other: SearchCounts) -> SearchCounts:
        return SearchCounts(
            self.compared + other.compared, self.visited + other.visited, self.rescored + other.rescored
        )

    @classmethod
    def scanned(cls, n_queries: int, n_films: int) -> SearchCounts:
        """Return the counts of queries that were compared with all films.

        Examples
        --------
        >>> SearchCounts.scanned(2, 9).compared.tolist()
        [9, 9]
        """
        nothing = np.zeros(n_queries, dtype=np.int64)
        return cls(nothing + n_films, nothing, nothing)


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
    counts
        Of a search for queries: what it looked at.
    """

    neighbors: Int32Array
    similarities: Float32Array
    method: str = field(default="exact")
    recall: float = field(default=1.0)
    n_proven: int = field(default=0)
    n_scanned: int = field(default=0)
    counts: SearchCounts | None = field(default=None)

    @property
    def k(self) -> int:
        """Columns of the table."""
        return int(self.neighbors.shape[1])
