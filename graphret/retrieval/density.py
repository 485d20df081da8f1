"""How densely the films lie around every film, read from the stored graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from graphret._types import Float64Array, Int32Array
    from graphret.graph import Graph

__all__ = ["density_ranks", "local_density"]


def local_density(graph: Graph, n_edges: int = 20) -> Float64Array:
    """Average the weights of every film's ``n_edges`` strongest edges.

    An edge that is missing counts as the threshold T of the graph, which its cosine did not pass, or as 0 where there
    was no threshold.

    Parameters
    ----------
    graph
        n nodes.
    n_edges
        Edges of a film that count, >= 1.

    Returns
    -------
    numpy.ndarray
        float64 (n,). O(E log n) time, O(E / 16) memory beside it.

    Examples
    --------
    >>> import numpy as np, scipy.sparse
    >>> from graphret.graph import Graph
    >>> path = Graph.from_scipy(scipy.sparse.csr_array(np.array([[0, 0.5, 0], [0.5, 0, 0.9], [0, 0.9, 0]])))
    >>> local_density(path, 2).round(2).tolist()
    [0.25, 0.7, 0.45]
    """
    missing = 0.0 if graph.threshold is None else graph.threshold
    out = np.empty(graph.n_nodes)
    for nodes, edges in graph.row_blocks():
        n_of = np.diff(graph.indptr[nodes.start : nodes.stop + 1])
        rows = np.repeat(np.arange(n_of.size), n_of)
        weights = graph.weights[edges].astype(np.float64)
        order = np.lexsort((-weights, rows))
        rank = np.arange(rows.size) - np.repeat(np.cumsum(n_of) - n_of, n_of)
        strongest = order[rank < n_edges]
        sums = np.bincount(rows[strongest], weights=weights[strongest], minlength=n_of.size)
        out[nodes] = (sums + missing * np.maximum(n_edges - n_of, 0)) / n_edges
    return out


def density_ranks(density: Float64Array, groups: Int32Array | None = None) -> Float64Array:
    """Turn densities into ranks of mean 0 and variance about 1, among all films or among those of the same group.

    ``sqrt(3) (2 (r - 1/2) / n - 1)`` for the r-th smallest of n, ties sharing their mean rank: evenly spread between
    -1.73 and 1.73, whatever the densities are. O(n log n).

    Parameters
    ----------
    density
        float64 (n,).
    groups
        int32 (n,), for example communities; ``None``: one group.

    Examples
    --------
    >>> density_ranks(np.array([0.2, 0.9, 0.4, 0.4])).round(2).tolist()
    [-1.3, 1.3, 0.0, 0.0]
    >>> density_ranks(np.array([0.2, 0.9, 0.4, 0.4]), np.array([0, 1, 1, 1], np.int32)).round(2).tolist()
    [0.0, 1.15, -0.58, -0.58]
    """
    numbers = np.zeros(density.size, np.int32) if groups is None else groups
    order = np.lexsort((density, numbers))
    group, value = numbers[order], density[order]
    new_group = np.concatenate([[True], np.diff(group) != 0])[: density.size]
    new_value = new_group | np.concatenate([[True], np.diff(value) != 0])[: density.size]
    first_of_group, first_of_value = np.flatnonzero(new_group), np.flatnonzero(new_value)
    n_group = np.diff(np.append(first_of_group, density.size))
    n_value = np.diff(np.append(first_of_value, density.size))
    place = np.arange(density.size) - np.repeat(first_of_group, n_group)
    middle = np.repeat(place[first_of_value] + n_value / 2.0, n_value)
    out = np.empty(density.size)
    out[order] = np.sqrt(3.0) * (2.0 * middle / np.repeat(n_group, n_group) - 1.0)
    return out
