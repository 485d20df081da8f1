"""Communities by name: our Louvain, or Leiden and multilevel of others for comparison."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphret._errors import InvalidParameterError, MissingDependencyError, UnknownNameError
from graphret.communities.louvain import N_STARTS, Partition, canonical_labels, louvain
from graphret.communities.modularity import check_objective, modularity
from graphret.graph import Graph, to_igraph

__all__ = ["METHODS", "partition"]

METHODS = ("igraph", "leiden", "louvain")


def partition(
    graph: Graph,
    *,
    method: str = "louvain",
    objective: str = "modularity",
    resolution: float = 1.0,
    seed: int = 0,
    n_starts: int = N_STARTS,
    n_threads: int | None = 1,
) -> Partition:
    """Divide a graph into communities by a named method.

    Parameters
    ----------
    graph
        n nodes, m edges.
    method
        "louvain" (ours); "leiden" (leidenalg) and "igraph" (``community_multilevel``) need the extra ``compare``
        and know only the objective "modularity".
    objective, resolution, seed, n_starts, n_threads
        As in `louvain`; the other methods start once, on one thread.

    Returns
    -------
    Partition
        Numbered and scored as by `louvain`.

    Raises
    ------
    UnknownNameError
        Unknown method or objective.
    InvalidParameterError
        An objective that the method does not have.
    MissingDependencyError
        The extra is not installed.

    Examples
    --------
    >>> import numpy as np, scipy.sparse
    >>> from graphret.graph import Graph
    >>> triangles = scipy.sparse.block_diag([np.ones((3, 3)) - np.eye(3)] * 2)
    >>> partition(Graph.from_scipy(triangles), method="louvain").n_communities
    2
    """
    if method not in METHODS:
        raise UnknownNameError("method", method, METHODS)
    if method == "louvain":
        return louvain(
            graph, objective=objective, resolution=resolution, seed=seed, n_starts=n_starts, n_threads=n_threads
        )
    check_objective(objective, resolution)
    if objective != "modularity":
        raise InvalidParameterError("objective", objective, "'modularity'", f"method={method!r} has no other")
    membership = _leiden(graph, resolution, seed) if method == "leiden" else _multilevel(graph, resolution, seed)
    labels = canonical_labels(np.asarray(membership, dtype=np.int64))
    quality = modularity(graph, labels, resolution=resolution)
    return Partition(labels, quality, int(labels.max(initial=-1)) + 1, start_qualities=(quality,))


def _leiden(graph: Graph, resolution: float, seed: int) -> list[int]:
    try:
        import leidenalg
    except ImportError as error:
        raise MissingDependencyError("leidenalg", "compare", "method='leiden'") from error
    found: Any = leidenalg.find_partition(
        to_igraph(graph),
        leidenalg.RBConfigurationVertexPartition,
        weights="weight",
        resolution_parameter=resolution,
        seed=seed,
    )
    return list(found.membership)


def _multilevel(graph: Graph, resolution: float, seed: int) -> list[int]:
    network = to_igraph(graph)
    import random

    import igraph

    # igraph draws from a generator of its own that only a Python object can replace
    igraph.set_random_number_generator(random.Random(seed))
    try:
        return list(network.community_multilevel(weights="weight", resolution=resolution).membership)
    finally:
        igraph.set_random_number_generator(random)
