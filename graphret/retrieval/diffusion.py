"""Diffusion: films ranked by a random walk with restart that starts at the query's neighbours."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from graphret._checks import check_integer, check_number
from graphret._threads import borrow_threads
from graphret.retrieval._diffusion_kernels import _diffuse
from graphret.retrieval.edges import query_edges
from graphret.retrieval.fill import fill_nearest
from graphret.retrieval.protocol import RankedLists, source_code

if TYPE_CHECKING:
    from graphret._types import Float32Array
    from graphret.retrieval.protocol import Archive, QueryBatch

__all__ = ["Diffusion"]


class Diffusion:
    """Ranking "diffusion": films by ``f = (1 - alpha) (I - alpha S)^-1 y`` (Iscen et al., CVPR 2017, Eq. 3-5).

    ``S = D^-1/2 W D^-1/2``, with the stored weights raised to gamma as W, and D its row sums. y holds the query's
    edges to its nearest allowed films, raised to gamma. The system is solved by conjugate gradients on the
    neighbourhood of the query: its edges' films, then hop by hop those linked to them, at most ``n_local`` films,
    of a hop that does not fit those that receive most from the hop before. Rows and columns of S outside the
    neighbourhood are left out; its degrees are those of the whole graph. Scores are rounded to 1e-9 of the largest;
    ties go to the smaller position. Films that are not allowed conduct, and are never returned.

    Parameters
    ----------
    archive
        The films.
    alpha
        Share that walks on in each step, 0 < alpha < 1; nearer to 1 reaches further.
    gamma
        Exponent of the weights, >= 0.
    n_iterations
        Steps of conjugate gradients, >= 1; they stop earlier at a relative residual of 1e-10.
    n_local
        Films of a neighbourhood, >= 1.
    edges
        Edges of a query. ``None``: ``archive.k``, the k of the graph.

    Raises
    ------
    InvalidParameterError
        An option outside its range.

    Notes
    -----
    O(E) once for S; per query O(n_iterations e) for e edges inside the neighbourhood.

    Examples
    --------
    >>> from graphret.retrieval import Archive, QueryBatch
    >>> archive = Archive.from_codes([[1, 0], [1, 0.1], [0, 1], [0.1, 1]], k=1)
    >>> ranked = Diffusion(archive).rank(QueryBatch.of(archive, [1, 0], 3), 3)
    >>> ranked.positions.tolist(), ranked.sources.tolist()
    ([[0, 1, 3]], [[3, 3, 2]])
    """

    name: ClassVar[str] = "diffusion"

    def __init__(
        self,
        archive: Archive,
        *,
        alpha: float = 0.9,
        gamma: float = 3.0,
        n_iterations: int = 20,
        n_local: int = 2000,
        edges: int | None = None,
    ) -> None:
        self.archive = archive
        self.alpha = check_number("alpha", alpha, above=0.0, below=1.0)
        self.gamma = check_number("gamma", gamma, at_least=0.0)
        self.n_iterations = check_integer("n_iterations", n_iterations, 1)
        self.n_local = check_integer("n_local", n_local, 1)
        self.edges = archive.k if edges is None else check_integer("edges", edges, 1, "edges of a query")

    @cached_property
    def transition(self) -> Float32Array:
        """Entries of S in the order of ``graph.indices``, float32 (2 E,), computed at the first use."""
        graph = self.archive.graph
        values = graph.weights.astype(np.float64) ** self.gamma
        rows = np.repeat(np.arange(graph.n_nodes), np.diff(graph.indptr))
        # without an edge the sums would be integers
        degrees = np.bincount(rows, weights=values, minlength=graph.n_nodes).astype(np.float64, copy=False)
        scales = np.divide(1.0, np.sqrt(degrees), out=np.zeros_like(degrees), where=degrees > 0)
        entries: Float32Array = (values * (scales[rows] * scales[graph.indices])).astype(np.float32)
        return entries

    def first_neighbors(self, k: int) -> int:  # noqa: ARG002 - a list for a smaller k begins that for a larger
        """Nearest films of a query that are read: those that it gets an edge to, whatever k is."""
        return self.edges

    def rank(self, queries: QueryBatch, k: int, *, fill: bool = True, n_threads: int | None = None) -> RankedLists:
        """Rank at most k films that the diffusion reaches; see `Ranker.rank`."""
        k = check_integer("k", k, 1, "ask for at least one film")
        queries = queries.at_least(self.archive, self.edges, n_threads)
        edges = query_edges(self.archive, queries, self.edges)
        graph = self.archive.graph
        ranked = RankedLists.empty(len(queries), k)
        transition = self.transition
        with borrow_threads(n_threads, at_most=len(queries)) as n_workers:
            _diffuse(
                graph.indptr,
                graph.indices,
                transition,
                edges.nodes,
                edges.weights**self.gamma,
                self.alpha,
                self.n_iterations,
                min(self.n_local, graph.n_nodes),
                *queries.eligibility(self.archive),
                max(1, min(n_workers, len(queries))),
                ranked.positions,
                ranked.scores,
            )
        ranked.sources[ranked.positions >= 0] = source_code("search")
        counts = fill_nearest(self.archive, queries, ranked, n_threads) if fill else None
        ranked.similarities[:] = self.archive.search.similarities(queries.codes, ranked.positions, n_threads=n_threads)
        return ranked if counts is None else replace(ranked, counts=counts)
