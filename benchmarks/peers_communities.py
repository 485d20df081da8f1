"""Communities by other libraries, and ours, behind one face: a graph object made outside the time, and a run.

Settings are each library's own defaults for modularity, but leidenalg's iterations (two is its default) are said, and
scikit-network is spared the membership matrices that nobody reads here.
"""

from __future__ import annotations

import importlib.util
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from communities_process import fresh

from graphret.communities import louvain, partition
from graphret.communities.louvain import N_STARTS
from graphret.communities.partition import METHODS as REGISTERED
from graphret.graph import Graph, to_igraph, to_networkx

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Library:
    """How a library wants its graph (not timed), and its seed and threads (not timed)."""

    package: str | None
    graph: Callable[[Graph], Any]
    before: Callable[[int, int], None] = lambda seed, threads: None  # noqa: ARG005


@dataclass(frozen=True)
class Method:
    """A run (timed): (graph object, seed, threads) -> whatever the library returns; and its labels (not timed).

    ``starts`` are those of a run of ours; each run of a peer is one.
    """

    title: str
    library: str
    threads: int
    run: Callable[[Any, int, int], Any]
    labels: Callable[[Any], Any]
    starts: int = 1


def _networkit_graph(graph: Graph) -> Any:
    import networkit

    rows = np.repeat(np.arange(graph.n_nodes), np.diff(graph.indptr))
    once = rows < graph.indices
    ends = (rows[once].astype(np.uint64), graph.indices[once].astype(np.uint64))
    made = networkit.GraphFromCoo((graph.weights[once].astype(np.float64), ends), n=graph.n_nodes, weighted=True)
    if (made.numberOfNodes(), made.numberOfEdges()) != (graph.n_nodes, graph.n_edges):
        raise SystemExit("networkit made another graph than it was given")
    return made


def _networkit_before(seed: int, threads: int) -> None:
    import networkit

    networkit.setSeed(seed, False)
    networkit.setNumberOfThreads(threads)


def _igraph_before(seed: int, threads: int) -> None:  # noqa: ARG001  every library has the same face
    import igraph

    igraph.set_random_number_generator(random.Random(seed))


def _sknetwork_graph(graph: Graph) -> Any:
    import scipy.sparse

    shape = (graph.n_nodes, graph.n_nodes)
    return scipy.sparse.csr_matrix((graph.weights.astype(np.float64), graph.indices, graph.indptr), shape=shape)


def _graspologic_graph(graph: Graph) -> Any:
    return graph.indptr.astype(np.int64), graph.indices.astype(np.int32), graph.weights.astype(np.float64)


LIBRARIES = {
    "graphret": Library(None, lambda graph: graph),
    "igraph": Library("igraph", to_igraph, _igraph_before),
    "leidenalg": Library("leidenalg", to_igraph),
    "networkit": Library("networkit", _networkit_graph, _networkit_before),
    "sknetwork": Library("sknetwork", _sknetwork_graph),
    "graspologic": Library("graspologic_native", _graspologic_graph),
    "networkx": Library("networkx", to_networkx),
}


def _graphret(n_starts: int) -> Callable[[Any, int, int], Any]:
    def run(graph: Graph, seed: int, threads: int) -> Any:
        return louvain(fresh(graph), seed=seed, n_starts=n_starts, n_threads=threads).labels

    return run


def _igraph(network: Any, seed: int, threads: int) -> Any:  # noqa: ARG001
    return network.community_multilevel(weights="weight").membership


def _leidenalg(n_iterations: int) -> Callable[[Any, int, int], Any]:
    def run(network: Any, seed: int, threads: int) -> Any:  # noqa: ARG001
        import leidenalg

        settings = {"weights": "weight", "n_iterations": n_iterations, "seed": seed}
        return leidenalg.find_partition(network, leidenalg.ModularityVertexPartition, **settings).membership

    return run


def _plm(refine: bool) -> Callable[[Any, int, int], Any]:
    def run(network: Any, seed: int, threads: int) -> Any:  # noqa: ARG001
        import networkit

        return networkit.community.PLM(network, refine=refine).run()

    return run


def _parallel_leiden(network: Any, seed: int, threads: int) -> Any:  # noqa: ARG001
    import networkit

    return networkit.community.ParallelLeiden(network).run()


def _sknetwork(kind: str) -> Callable[[Any, int, int], Any]:
    def run(matrix: Any, seed: int, threads: int) -> Any:  # noqa: ARG001
        from sknetwork import clustering

        method = getattr(clustering, kind)(random_state=seed, return_probs=False, return_aggregate=False)
        return method.fit(matrix)

    return run


def _graspologic(arrays: Any, seed: int, threads: int) -> Any:  # noqa: ARG001
    import graspologic_native

    return graspologic_native.leiden_csr(*arrays, n_nodes=len(arrays[0]) - 1, seed=seed)


def _graspologic_labels(found: Any) -> np.ndarray:
    of_node = found[1]
    return np.array([of_node[node] for node in range(len(of_node))])


def _networkx(network: Any, seed: int, threads: int) -> Any:  # noqa: ARG001
    import networkx as nx

    return nx.community.louvain_communities(network, seed=seed)


def _networkx_labels(communities: Any) -> np.ndarray:
    labels = np.empty(sum(map(len, communities)), dtype=np.int64)
    for number, members in enumerate(communities):
        labels[[*members]] = number
    return labels


def _networkit_labels(algorithm: Any) -> Any:
    return algorithm.getPartition().getVector()


def _fitted_labels(method: Any) -> Any:
    return method.labels_


PEERS = {
    "igraph": Method("igraph `community_multilevel`", "igraph", 1, _igraph, np.asarray),
    "leidenalg": Method("leidenalg, 2 iterations", "leidenalg", 1, _leidenalg(2), np.asarray),
    "leidenalg-10": Method("leidenalg, 10 iterations", "leidenalg", 1, _leidenalg(10), np.asarray),
    "networkit-plm": Method("NetworKit PLM", "networkit", 1, _plm(False), _networkit_labels),
    "networkit-plm-2": Method("NetworKit PLM", "networkit", 2, _plm(False), _networkit_labels),
    "networkit-plm-refined": Method("NetworKit PLM, refined", "networkit", 1, _plm(True), _networkit_labels),
    "networkit-plm-refined-2": Method("NetworKit PLM, refined", "networkit", 2, _plm(True), _networkit_labels),
    "networkit-leiden": Method("NetworKit ParallelLeiden", "networkit", 1, _parallel_leiden, _networkit_labels),
    "networkit-leiden-2": Method("NetworKit ParallelLeiden", "networkit", 2, _parallel_leiden, _networkit_labels),
    "sknetwork-louvain": Method("scikit-network Louvain", "sknetwork", 1, _sknetwork("Louvain"), _fitted_labels),
    "sknetwork-leiden": Method("scikit-network Leiden", "sknetwork", 1, _sknetwork("Leiden"), _fitted_labels),
    "graspologic-leiden": Method("graspologic-native Leiden", "graspologic", 1, _graspologic, _graspologic_labels),
    "networkx": Method("networkx `louvain_communities`", "networkx", 1, _networkx, _networkx_labels),
}


def ours(parallel: str | None) -> dict[str, Method]:
    """Our methods: one start on one thread, the default starts on two, and the parallel variant, if there is one."""
    title = f"**graphret** `louvain`, {N_STARTS} starts"
    found = {
        "graphret": Method("**graphret** `louvain`, one start", "graphret", 1, _graphret(1), np.asarray),
        "graphret-starts": Method(title, "graphret", 2, _graphret(N_STARTS), np.asarray, N_STARTS),
    }
    if parallel is None:
        return found

    def run(graph: Graph, seed: int, threads: int) -> Any:
        return partition(fresh(graph), method=parallel, seed=seed, n_threads=threads).labels

    return found | {"graphret-parallel": Method(f"**graphret** `{parallel}`", "graphret", 2, run, np.asarray)}


def parallel_method() -> str | None:
    """The first registered method whose name begins with "parallel"."""
    return next((name for name in sorted(REGISTERED) if name.startswith("parallel")), None)


def installed(method: Method) -> bool:
    """Whether the library of a method can be imported."""
    package = LIBRARIES[method.library].package
    return package is None or importlib.util.find_spec(package) is not None
