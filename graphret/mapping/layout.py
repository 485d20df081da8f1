"""Positions of all films of an archive on a map, from the graph and its communities alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from graphret._errors import InvalidParameterError
from graphret.mapping.discs import community_discs
from graphret.mapping.films import places_in_discs

if TYPE_CHECKING:
    from graphret._types import Float32Array, Int32Array
    from graphret.graph import Graph

__all__ = ["LAYOUT", "map_films"]

LAYOUT = 1
"""Version of the layout: raised when a change of code moves a film."""


def map_films(graph: Graph, labels: Int32Array, *, n_threads: int | None = None) -> Float32Array:
    """Lay the films of a graph out on a plane: every community a disc of area by its films, films inside.

    Parameters
    ----------
    graph
        n nodes.
    labels
        int32 (n,), communities by size, 0 the largest, as `Partition.labels`.
    n_threads
        ``None`` for all processors; the map does not depend on it.

    Returns
    -------
    float32 (n, 2)
        x and y in [0, 1], one scale for both. The same graph and labels give the same map.

    Raises
    ------
    InvalidParameterError
        Not one label of at least 0 a node.

    Notes
    -----
    O(edges + n log n + m^1.5) for m communities. Discs do not overlap.

    Examples
    --------
    >>> import scipy.sparse
    >>> from graphret.graph import Graph
    >>> pairs = Graph.from_scipy(scipy.sparse.csr_array(np.kron(np.eye(2), 1 - np.eye(2))))
    >>> map_films(pairs, np.array([0, 0, 1, 1], dtype=np.int32)).shape
    (4, 2)
    """
    labels = np.asarray(labels)
    if labels.shape != (graph.n_nodes,) or labels.dtype.kind not in "iu" or (labels.size and labels.min() < 0):
        raise InvalidParameterError("labels", labels, f"{graph.n_nodes} whole numbers >= 0, one of each node")
    if not labels.size:
        return np.zeros((0, 2), np.float32)
    labels = labels.astype(np.int32, copy=False)
    discs = community_discs(graph, labels, int(labels.max()) + 1)
    places = places_in_discs(graph, labels, discs, n_threads)
    low = (discs.centers - discs.radii[:, None]).min(axis=0)
    high = (discs.centers + discs.radii[:, None]).max(axis=0)
    side = float((high - low).max())
    scaled: Float32Array = np.clip((places - (low + high) / 2) / side + 0.5, 0, 1).astype(np.float32)
    return scaled
