"""Why a film is in a list: the step that added it, and its edges to the query and to the films before it."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from graphret._checks import check_integer
from graphret.retrieval.edges import query_edges
from graphret.retrieval.protocol import SOURCES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from graphret._types import Float64Array, Int32Array
    from graphret.retrieval.protocol import Archive, QueryBatch, RankedLists

__all__ = ["Reason", "explain"]


@dataclass(frozen=True, eq=False)
class Reason:
    """Why one film stands where it stands.

    Parameters
    ----------
    step
        Place in the list, from 1: for region growing the step that added the film.
    position
        The film.
    community
        Its community.
    source
        One of ``SOURCES``.
    gain
        Gain in weighted modularity of the step (Eq. 14); ``None`` where the ranking has no steps.
    query_edge
        Weight of its edge to the query, 0.0 for none.
    earlier
        int32 (e,), films before it in the list that it is linked to, in the order of the list.
    earlier_weights
        float64 (e,), weights of those edges.
    terms
        What the score is the sum of, by name; empty for a ranking that does not take it apart.
    """

    step: int
    position: int
    community: int
    source: str
    gain: float | None
    query_edge: float
    earlier: Int32Array
    earlier_weights: Float64Array
    terms: Mapping[str, float] = field(default_factory=dict)


def explain(
    archive: Archive, queries: QueryBatch, ranked: RankedLists, row: int, *, edges: int | None = None
) -> list[Reason]:
    """Explain the list of one query, of any ranking.

    Parameters
    ----------
    archive, queries, ranked
        What was ranked, and the result.
    row
        The query, 0 to q - 1.
    edges
        Edges of the query, where the ranking was given another number than the default ``archive.k``.

    Returns
    -------
    list of Reason
        One for every film of the list, without padding. O(k log d) for k films of degree d, and O(k^2) in the result.

    Examples
    --------
    >>> from graphret.retrieval import Archive, QueryBatch, create_ranking
    >>> archive = Archive.from_codes([[1, 0], [1, 0.1], [0, 1], [0.1, 1]], k=1)
    >>> queries = QueryBatch.of(archive, [1, 0], 2)
    >>> second = explain(archive, queries, create_ranking("region_growing", archive).rank(queries, 2), 0)[1]
    >>> second.position, second.community, second.query_edge, second.earlier.tolist()
    (1, 0, 0.0, [0])
    """
    n_edges = archive.k if edges is None else check_integer("edges", edges, 1, "edges of the query")
    linked = query_edges(archive, queries.only(row).at_least(archive, n_edges), n_edges)
    to_query = dict(zip(linked.nodes[0].tolist(), linked.weights[0].tolist(), strict=True))
    films = ranked.positions[row][ranked.positions[row] >= 0]
    reasons = []
    edges_of = _edges_to_earlier(archive, films)
    for place, (film, (earlier, weights)) in enumerate(zip(films.tolist(), edges_of, strict=True)):
        gain = float(ranked.gains[row, place])
        reasons.append(
            Reason(
                step=place + 1,
                position=film,
                community=int(archive.communities[film]),
                source=SOURCES[ranked.sources[row, place]],
                gain=None if np.isnan(gain) else gain,
                query_edge=to_query.get(film, 0.0),
                earlier=earlier,
                earlier_weights=weights,
                terms={name: float(values[row, place]) for name, values in ranked.terms.items()},
            )
        )
    return reasons


def _edges_to_earlier(archive: Archive, films: Int32Array) -> list[tuple[Int32Array, Float64Array]]:
    """Edges of every film to those before it: their films in the order of the list, and the weights."""
    graph, n_films = archive.graph, len(films)
    starts, ends = graph.indptr[films], graph.indptr[films.astype(np.int64) + 1]
    degrees = ends - starts
    if not degrees.sum():
        return [(films[:0], np.empty(0))] * n_films
    owners = np.repeat(np.arange(n_films), degrees)
    edges = np.arange(len(owners)) + np.repeat(starts - np.cumsum(degrees) + degrees, degrees)
    neighbors = graph.indices[edges]
    order = np.argsort(films)
    at = np.minimum(np.searchsorted(films, neighbors, sorter=order), n_films - 1)
    others = order[at]
    kept = (films[others] == neighbors) & (others < owners)
    owners, others, edges = owners[kept], others[kept], edges[kept]
    by_place = np.lexsort((others, owners))
    ends_of = np.searchsorted(owners[by_place], np.arange(n_films), side="right")
    found, weights = films[others[by_place]], graph.weights[edges[by_place]].astype(np.float64)
    return [(found[low:high], weights[low:high]) for low, high in pairwise([0, *ends_of.tolist()])]
