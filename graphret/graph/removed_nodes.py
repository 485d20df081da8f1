"""A similarity graph whose nodes go, made from the graph that is there: most rows only lose entries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from graphret.graph._kernels import LEAST_WEIGHT, _mark_passing
from graphret.graph.similarity_graph import Graph, similarity_graph
from graphret.neighbors.csr_changes import rows_without

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from graphret._types import Int64Array
    from graphret.neighbors.neighbor_table import NeighborTable

__all__ = ["graph_without"]


def graph_without(graph: Graph, kept: Int64Array, table: NeighborTable, *, weights: str = "cosine") -> Graph:
    """Return the similarity graph of a table that has only lost rows, as `similarity_graph` makes it of the table.

    An edge between nodes that stay is there as before. A node that has lost all edges that passed the threshold keeps
    its best neighbour of those that stay.

    Parameters
    ----------
    graph
        Of the table before, with its threshold and the same ``weights``.
    kept
        int64, ascending positions of the nodes that stay.
    table
        The table now (`with_rows_removed`): no list was searched for again.
    weights
        "cosine" or "binary". The graph is made of the table where weights do not say which edges passed (binary ones,
        or a threshold that is not above the least weight), and where an index of ``graph`` is no node.

    Notes
    -----
    O(n + m) for m edges, in one pass; `similarity_graph` needs several, two of them in random order.

    Examples
    --------
    >>> from graphret.neighbors import nearest_neighbors
    >>> from graphret.neighbors.changed_rows import with_rows_removed
    >>> table = nearest_neighbors(np.random.default_rng(0).random((40, 3), dtype=np.float32), 3)
    >>> graph, left = similarity_graph(table), np.arange(30)
    >>> found = graph_without(graph, left, with_rows_removed(table, left))
    >>> found.fingerprint == similarity_graph(with_rows_removed(table, left), threshold=graph.threshold).fingerprint
    True
    """
    threshold = graph.threshold
    if weights != "cosine" or threshold is None or np.float32(threshold) <= np.float32(LEAST_WEIGHT):
        return similarity_graph(table, threshold=threshold, weights=weights)
    rows = rows_without(graph.indptr, graph.indices, kept, graph.weights)
    if rows is None:
        return similarity_graph(table, threshold=threshold, weights=weights)
    indptr, indices, values = rows
    passing = np.zeros(len(kept), np.bool_)
    _mark_passing(indptr, values, np.float32(threshold), passing)
    alone = np.flatnonzero(~passing & (table.neighbors[:, :1] >= 0).any(axis=1))
    found = Graph(indptr, indices, values, threshold=threshold, n_best_edge_only=len(alone))
    return _with_best_edges(found, alone, table)


def _with_best_edges(graph: Graph, nodes: Int64Array, table: NeighborTable) -> Graph:
    """Give nodes an edge to their best neighbour where they have none; few, so that the rest is copied as it is."""
    best = table.neighbors[nodes, 0] if len(nodes) else np.empty(0, np.int32)
    missing = [
        place
        for place, (node, other) in enumerate(zip(nodes.tolist(), best.tolist(), strict=True))
        if other not in graph.indices[graph.indptr[node] : graph.indptr[node + 1]]
    ]
    if not missing:
        return graph
    one, other = nodes[missing], best[missing].astype(np.int64)
    value = np.maximum(table.similarities[one, 0], np.float32(LEAST_WEIGHT))
    pairs = np.stack([np.concatenate([one, other]), np.concatenate([other, one])])
    pairs, firsts = np.unique(pairs, axis=1, return_index=True)  # two nodes may be each other's best
    rows, columns = pairs
    places = [
        graph.indptr[row] + np.searchsorted(graph.indices[graph.indptr[row] : graph.indptr[row + 1]], column)
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
    ]
    more = np.bincount(rows, minlength=graph.n_nodes)
    return Graph(
        graph.indptr + np.concatenate([[0], np.cumsum(more)]),
        _inserted(graph.indices, places, columns.astype(np.int32)),
        _inserted(graph.weights, places, np.concatenate([value, value])[firsts]),
        threshold=graph.threshold,
        n_best_edge_only=graph.n_best_edge_only,
    )


def _inserted(array: NDArray[Any], places: list[int], values: NDArray[Any]) -> NDArray[Any]:
    """Put few values before the entries at ascending places, as `numpy.insert`, which looks at every entry."""
    parts = np.split(array, places)
    pairs = zip(parts[1:], values[:, None], strict=True)
    return np.concatenate([parts[0], *(piece for part, value in pairs for piece in (value, part))])
