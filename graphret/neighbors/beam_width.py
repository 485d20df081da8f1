"""How wide a graph search has to be: films of the archive are asked for as if it did not have them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from graphret.neighbors.neighbor_table import SearchCounts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from graphret._types import Codes, Int32Array, Int64Array
    from graphret.neighbors.exact_search import ExactSearch
    from graphret.neighbors.graph_search import GraphSearch

__all__ = ["Beam", "HeldOut", "measure_beam", "narrowest_beam", "shares_found"]

PRECISION = 32
"""A beam is at most this part of itself wider than it has to be."""
LINK_COST, COMPARISON_COST, LINE_COST, VALUE_COST = 4.0, 4.0, 22.0, 0.5
"""Nanoseconds of a core for a link that is expanded, a short product, 64 bytes of a short code that come from memory,
and a value of a stored code that is scored; only their ratio matters."""
LINE_BYTES = 64


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Films that are asked for: their codes, their rows, and their true neighbours without themselves."""

    queries: Codes
    rows: Int64Array
    truth: Int32Array

    @classmethod
    def of(cls, exact: ExactSearch, rows: Int64Array, k: int, n_threads: int | None) -> HeldOut:
        """Find the true neighbours of films by comparing them with every code."""
        queries = np.ascontiguousarray(exact.codes[rows])
        truth = exact.search(queries, k, forbidden=list(rows[:, None].astype(np.int32)), n_threads=n_threads)
        return cls(queries, rows, truth.neighbors)

    def every(self, step: int) -> HeldOut:
        """Return a part of them, spread over all."""
        return HeldOut(np.ascontiguousarray(self.queries[::step]), self.rows[::step], self.truth[::step])


@dataclass(frozen=True)
class Beam:
    """A width of graph search, the recall that was measured with it its standard error, and the cost of a query."""

    width: int
    recall: float
    error: float
    cost: float


def narrowest_beam(
    search: GraphSearch,
    films: HeldOut,
    recall: float,
    *,
    most: int,
    first: int | None = None,
    confidence: float = 0.0,
    n_threads: int | None = None,
) -> Beam | None:
    """Find the narrowest beam with enough recall.

    Parameters
    ----------
    search
        The search; its own beam does not matter.
    films
        Those that are asked for.
    recall
        Share of their neighbours that has to be found.
    most
        The widest beam that may come.
    first
        A beam that may be near; ``None`` for as many as there are neighbours.
    confidence
        Standard errors that the mean recall has to lie above ``recall``.
    n_threads
        The result does not depend on it.

    Returns
    -------
    Beam or None
        Within 1/32 of the narrowest; None where ``most`` is too narrow.
    """
    k = films.truth.shape[1]

    too_narrow = k - 1
    best = measure_beam(search, films, min(most, first or k), n_threads)
    while best.recall - confidence * best.error < recall:
        too_narrow = best.width
        if too_narrow >= most:
            return None
        best = measure_beam(search, films, min(most, 2 * best.width), n_threads)
    while best.width - too_narrow > max(1, best.width // PRECISION):
        middle = measure_beam(search, films, (too_narrow + best.width) // 2, n_threads)
        if middle.recall - confidence * middle.error >= recall:
            best = middle
        else:
            too_narrow = middle.width
    return best


def measure_beam(search: GraphSearch, films: HeldOut, width: int, n_threads: int | None = None) -> Beam:
    """Ask for the films with a beam of this width, each as if the archive did not have it."""
    k, nothing = films.truth.shape[1], [()] * len(films.rows)
    found = search.traverse(films.queries, k, forbidden=nothing, absent=films.rows, beam=width, n_threads=n_threads)
    shares = shares_found(found.neighbors, films.truth)
    cost = _cost(search, found.counts or SearchCounts.scanned(len(films.rows), search.codes.shape[0]))
    return Beam(width, float(shares.mean()), float(shares.std() / np.sqrt(len(shares))), cost)


def _cost(search: GraphSearch, counts: SearchCounts) -> float:
    """Nanoseconds that a query takes, about: from what was counted, so that the choice is the same on every machine."""
    n_films, width = search.structure.short.shape
    links = counts.visited.mean() * len(search.structure.indices) / n_films
    comparison = COMPARISON_COST + LINE_COST * -(-width // LINE_BYTES)
    rescored = counts.rescored.mean() * search.codes.shape[1]
    return float(LINK_COST * links + comparison * counts.compared.mean() + VALUE_COST * rescored)


def shares_found(found: Int32Array, truth: Int32Array) -> NDArray[np.float64]:
    """Share of the true neighbours of every row that were found, float64 (q,).

    Examples
    --------
    >>> shares_found(np.array([[2, 9]]), np.array([[1, 2]])).tolist()
    [0.5]
    """
    true = truth >= 0
    hits = (truth[:, :, None] == found[:, None, :]).any(axis=2) & true
    shares: NDArray[np.float64] = hits.sum(axis=1) / np.maximum(true.sum(axis=1), 1)
    return shares
