"""The edges of a query to the films of the graph (Haq et al. 2021, Eq. 9)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from graphret._types import Float64Array, Int32Array
    from graphret.retrieval.protocol import Archive, QueryBatch

__all__ = ["QueryEdges", "query_edges"]


@dataclass(frozen=True, eq=False)
class QueryEdges:
    """Edges of every query, best first.

    Parameters
    ----------
    nodes
        int32 (q, e), films; -1 where there is no edge.
    weights
        float64 (q, e), 0 where there is none.
    cosines
        float64 (q, e), 0 where there is no edge; equal to the weights unless the graph is binary.
    """

    nodes: Int32Array
    weights: Float64Array
    cosines: Float64Array


def query_edges(archive: Archive, queries: QueryBatch, n_edges: int) -> QueryEdges:
    """Link every query to its ``n_edges`` nearest allowed films as the graph does (Haq et al. 2021, Eq. 9).

    A neighbour gets an edge when its cosine is positive and passes the threshold of the graph; a query whose
    neighbours all fail the threshold keeps its best one. The weight is the cosine, or 1 where every weight of the
    graph is 1 (binary). O(q n_edges).
    """
    nodes = queries.neighbors[:, :n_edges].copy()
    cosines = queries.similarities[:, :n_edges]
    positive = (nodes >= 0) & (cosines > 0)
    kept = positive
    if archive.graph.threshold is not None:
        kept = positive & (cosines >= np.float32(archive.graph.threshold))
        best_edge_only = ~kept.any(axis=1)
        kept[best_edge_only, :1] = positive[best_edge_only, :1]
    nodes[~kept] = -1
    values = np.where(kept, cosines, 0).astype(np.float64)
    return QueryEdges(nodes, kept.astype(np.float64) if archive.is_binary else values, values)
