"""Region growing: the retrieval of the papers' engine (Haq et al. 2021, section 2.5, Algorithm 2, Eq. 9-15)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from graphret._checks import check_integer
from graphret._errors import InvalidParameterError
from graphret._threads import borrow_threads
from graphret.communities.modularity import check_labels
from graphret.retrieval._candidate_kernels import TOLERANCE
from graphret.retrieval._kernels import _community_totals, _grow_regions
from graphret.retrieval.edges import QueryEdges, query_edges
from graphret.retrieval.fill import fill_nearest
from graphret.retrieval.protocol import RankedLists, source_code

if TYPE_CHECKING:
    from graphret._types import BoolArray, Float64Array, Int32Array, Int64Array
    from graphret.graph import Graph
    from graphret.retrieval.protocol import Archive, QueryBatch

__all__ = ["CommunityTotals", "RegionGrowing", "community_totals", "region_growing"]


def region_growing(graph: Graph, labels: Any, neighbors: Any, similarities: Any, k: int) -> Int32Array:
    """Grow the region of one query by weighted modularity (Haq et al. 2021, section 2.5, Algorithm 2, Eq. 9-15).

    The query joins the graph with its edges, in a community of its own: R = {query}. With ``f(u) = lambda_u q_u``,
    ``q = l / L' - (d / 2L')^2``, ``lambda = 1 + 2 l / (n (n - 1))`` (1 when n < 2), ``L' = L + d_q`` and d_q the sum
    of the query's edge weights, two steps alternate:

    1. Of all unused communities, with an edge to R or without, take the one with the largest positive gain
       ``f(R + c) - f(R) - f(c)`` (Eq. 10-13), where ``l_{R+c} = l_R + l_c + w(R, c)`` and ``d_{R+c} = d_R + d_c``.
       l_c and d_c are those of the stored graph, without the query's edges. l_R is the weight inside R with the
       query's edges; d_R is d_q plus the stored degrees of the added nodes; n counts nodes, the query among those
       of R. Ties: the community whose best neighbour of the query has the higher cosine (none is lower than any),
       then the smaller label.
    2. G_s is the subgraph induced by R and c, with total weight |E_s| and degrees of its own, the query's edges
       counted. R grows while G_s stays: each time by the node j of c with the largest gain of Eq. 14-15, positive or
       not (lambda_R = 1 while |R| = 1; ``lambda_{j->R} = 1 + 2 (l_R + l_ext) / (|R| (|R| + 1))``; |R| counts the
       query). Ties: higher cosine to the query (a node without an edge to it is lower than any), then smaller id.
       When c has no node left, step 1 takes the next community.

    It stops at k nodes, when no community is left, or when no community has a positive gain. Gains are compared in
    float64 after scaling by L' or |E_s|; gains closer than 1e-12 of the terms that they are the difference of are
    equal, and a community's gain below that is not positive. Haq et al.'s Algorithm 2 adds a community that fits into
    k whole and in no stated order (lines 10-11); here its nodes come in the order of their gain, so that the list for
    a smaller k begins the one for a larger.

    Parameters
    ----------
    graph
        n nodes.
    labels
        Integers (n,), community of every node.
    neighbors
        Ids (m,), different, the films that the query has an edge to; -1 is skipped.
    similarities
        (m,), their cosines, already past the threshold: the weights of the query's edges. Those <= 0 give none.
    k
        At least 1.

    Returns
    -------
    int32 (at most k,)
        Ids in order of addition; it may be shorter than k, and is not filled up.

    Raises
    ------
    InvalidParameterError
        k < 1, labels of another length, neighbours twice, outside the graph or without a finite similarity.

    Notes
    -----
    O(n log n + E) to sum the communities, which `RegionGrowing` does once for all queries. Then, with C communities,
    O(C) for each community tried and O(t) for each node added, where t counts the nodes with an edge to R; nodes of c
    without one need no look, since their gain falls with their degree in G_s (Eq. 14) and they are kept sorted by it.

    Examples
    --------
    >>> import numpy as np, scipy.sparse
    >>> from graphret.graph import Graph
    >>> triangles = Graph.from_scipy(scipy.sparse.block_diag([np.ones((3, 3)) - np.eye(3)] * 2))
    >>> region_growing(triangles, [0, 0, 0, 1, 1, 1], [4, 5], [0.9, 0.8], 3).tolist()
    [4, 5, 3]
    """
    k = check_integer("k", k, 1, "ask for at least one film")
    nodes, weights = _check_neighbors(neighbors, similarities, graph.n_nodes)
    edges = QueryEdges(nodes[None], weights[None], weights[None])
    everything = (np.empty(0, np.bool_), np.zeros(2, np.int64), np.empty(0, np.int32))
    grown, _ = _grow(community_totals(graph, labels), edges, everything, k, n_workers=1)
    added: Int32Array = grown[0, grown[0] >= 0]
    return added


@dataclass(frozen=True, eq=False)
class CommunityTotals:
    """What region growing knows of a graph and its communities before any query comes.

    Parameters
    ----------
    graph
        n nodes.
    labels
        int32 (n,), communities numbered 0..C-1 in the order of the labels given.
    degrees, inside
        float64 (n,), weight of a node's edges, and of those inside its community.
    members, starts
        int32 (n,) and int64 (C + 1,): nodes of each community by ``inside``, then id.
    community_inside, community_degrees
        float64 (C,), l and d of the communities.
    """

    graph: Graph
    labels: Int32Array
    degrees: Float64Array
    inside: Float64Array
    members: Int32Array
    starts: Int64Array
    community_inside: Float64Array
    community_degrees: Float64Array

    @property
    def total_weight(self) -> float:
        """L: weight of all edges, each once."""
        return float(self.community_degrees.sum()) / 2.0


def community_totals(graph: Graph, labels: Any) -> CommunityTotals:
    """Sum degrees and weights over the communities, and sort their nodes; O(n log n + E) time, O(n) memory.

    Raises
    ------
    InvalidParameterError
        Labels of another length, or not integers.
    """
    numbers = check_labels(labels, graph.n_nodes).astype(np.int32)
    n_communities = int(numbers.max(initial=-1)) + 1
    degrees, inside = np.empty(graph.n_nodes), np.empty(graph.n_nodes)
    community_inside, community_degrees = np.zeros(n_communities), np.zeros(n_communities)
    _community_totals(
        graph.indptr, graph.indices, graph.weights, numbers, degrees, inside, community_inside, community_degrees
    )
    starts = np.concatenate([[0], np.cumsum(np.bincount(numbers, minlength=n_communities))]).astype(np.int64)
    members = _members_by_degree(numbers, inside)
    return CommunityTotals(graph, numbers, degrees, inside, members, starts, community_inside, community_degrees)


class RegionGrowing:
    """Ranking "region_growing": the order in which `region_growing` adds films, then the nearest remaining ones.

    A film that is not allowed for a query gets no edge to it and is never added, but still counts in the totals of
    its community and in G_s. The score is minus the place in the list.

    Parameters
    ----------
    archive
        The films.
    edges
        Edges of a query: to its nearest allowed films, as `query_edges` makes them. ``None``: ``archive.k``, the k of
        the graph.

    Raises
    ------
    InvalidParameterError
        edges < 1.

    Examples
    --------
    >>> from graphret.retrieval import Archive, QueryBatch
    >>> archive = Archive.from_codes([[1, 0], [1, 0.1], [0, 1], [0.1, 1]], k=1)
    >>> ranked = RegionGrowing(archive).rank(QueryBatch.of(archive, [1, 0], 3), 3)
    >>> ranked.positions.tolist(), ranked.sources.tolist()
    ([[0, 1, 3]], [[1, 1, 2]])
    """

    name: ClassVar[str] = "region_growing"

    def __init__(self, archive: Archive, *, edges: int | None = None) -> None:
        self.archive = archive
        self.edges = archive.k if edges is None else check_integer("edges", edges, 1, "edges of a query")

    @cached_property
    def totals(self) -> CommunityTotals:
        """Totals of the communities, summed at the first use."""
        return community_totals(self.archive.graph, self.archive.communities)

    def first_neighbors(self, k: int) -> int:  # noqa: ARG002 - so that the list for a smaller k begins that for a larger
        """Nearest films of a query that a list of k begins with: its edges, whatever k is."""
        return self.edges

    def rank(self, queries: QueryBatch, k: int, *, fill: bool = True, n_threads: int | None = None) -> RankedLists:
        """Rank at most k films for every query; see `Ranker.rank`. ``gains`` hold Eq. 14 of every addition."""
        k = check_integer("k", k, 1, "ask for at least one film")
        queries = queries.at_least(self.archive, self.edges, n_threads)
        edges = query_edges(self.archive, queries, self.edges)
        ranked = RankedLists.empty(len(queries), k)
        with borrow_threads(n_threads, at_most=len(queries)) as n_workers:
            positions, gains = _grow(self.totals, edges, queries.eligibility(self.archive), k, n_workers)
        ranked.positions[:], ranked.gains[:] = positions, gains
        ranked.sources[positions >= 0] = source_code("expansion")
        counts = fill_nearest(self.archive, queries, ranked, n_threads) if fill else None
        ranked.similarities[:] = self.archive.search.similarities(queries.codes, ranked.positions, n_threads=n_threads)
        ranked.scores[:] = np.where(ranked.positions >= 0, -np.arange(1, k + 1), 0)
        return ranked if counts is None else replace(ranked, counts=counts)


def _grow(
    totals: CommunityTotals,
    edges: QueryEdges,
    eligibility: tuple[BoolArray, Int64Array, Int32Array],
    k: int,
    n_workers: int,
) -> tuple[Int32Array, Float64Array]:
    """Ids (q, k) in order of addition, -1 pads, and the gains (q, k), NaN pads."""
    n_queries = edges.nodes.shape[0]
    nodes, gains = np.empty((n_queries, k), dtype=np.int32), np.empty((n_queries, k))
    graph = totals.graph
    _grow_regions(
        graph.indptr,
        graph.indices,
        graph.weights,
        totals.labels,
        totals.degrees,
        totals.inside,
        totals.members,
        totals.starts,
        totals.community_inside,
        totals.community_degrees,
        totals.total_weight,
        edges.nodes,
        edges.weights,
        edges.cosines,
        *eligibility,
        max(1, min(n_workers, n_queries)),
        nodes,
        gains,
    )
    return nodes, gains


def _members_by_degree(labels: Int32Array, inside: Float64Array) -> Int32Array:
    """Nodes by community, weight inside it, id; weights that differ by rounding only are equal."""
    order = np.lexsort((inside, labels))
    values, communities = inside[order], labels[order]
    rises = (np.diff(communities) > 0) | (np.diff(values) > TOLERANCE * values[1:])
    group = np.concatenate([[0], np.cumsum(rises)])
    members: Int32Array = order[np.lexsort((order, group))].astype(np.int32)
    return members


def _check_neighbors(neighbors: Any, similarities: Any, n_nodes: int) -> tuple[Int32Array, Float64Array]:
    nodes = np.asarray(neighbors).reshape(-1)
    weights = np.asarray(similarities, dtype=np.float64).reshape(-1)
    if nodes.size and nodes.dtype.kind not in "iu":
        raise InvalidParameterError("neighbors", str(nodes.dtype), "integer ids (m,)")
    if nodes.size != weights.size:
        raise InvalidParameterError("similarities", f"{weights.size} values", f"{nodes.size}, one per neighbour")
    nodes, weights = nodes[nodes != -1].astype(np.int64), weights[nodes != -1]
    wrong = nodes[(nodes < 0) | (nodes >= n_nodes)]
    if wrong.size:
        raise InvalidParameterError("neighbors", int(wrong[0]), f"ids from 0 to {n_nodes - 1}, or -1 to skip")
    if np.unique(nodes).size != nodes.size:
        values, counts = np.unique(nodes, return_counts=True)
        raise InvalidParameterError("neighbors", int(values[counts > 1][0]), "each id once")
    if not np.isfinite(weights).all():
        raise InvalidParameterError("similarities", "NaN or infinity", "finite cosines")
    return nodes.astype(np.int32), weights
