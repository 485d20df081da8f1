"""Lists with one film of each group (a patient, say): the first of every group in the order of the ranking."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._checks import check_integer
from graphret._errors import InvalidParameterError
from graphret.neighbors import SearchCounts
from graphret.retrieval.protocol import RankedLists

if TYPE_CHECKING:
    from graphret._types import Int64Array
    from graphret.retrieval.protocol import Archive, QueryBatch, Ranker

__all__ = ["rank_one_per_group"]

_GROWTH = 4
"""Times longer lists are asked for where a list holds too few groups."""
_ENTRIES = 1 << 22
"""Entries of the lists that are held at once."""


def rank_one_per_group(
    ranker: Ranker,
    archive: Archive,
    queries: QueryBatch,
    k: int,
    groups: Any,
    *,
    fill: bool = True,
    n_threads: int | None = None,
) -> RankedLists:
    """Rank at most k films of k different groups for every query.

    Of every group comes the film that stands first in the whole list of the ranking, and films keep the order of that
    list, with their scores. Longer lists are asked for until k groups are found, or all that the query may get.

    Parameters
    ----------
    ranker
        Any ranking.
    archive
        Its films.
    queries
        From `QueryBatch.of`.
    k
        Columns of the result, >= 1.
    groups
        int (n,), group of every film; equal numbers are one group.
    fill, n_threads
        As for `Ranker.rank`; the nearest remaining films come before the groups are formed.

    Returns
    -------
    RankedLists
        As `Ranker.rank`.

    Raises
    ------
    InvalidParameterError
        k < 1, or not one whole number a film.

    Notes
    -----
    The list of a query does not depend on the other queries. At worst, where one group holds nearly all films, the
    whole archive is ranked.

    Examples
    --------
    >>> from graphret.retrieval import Archive, QueryBatch, create_ranking
    >>> archive = Archive.from_codes([[1, 0], [1, 0.1], [0, 1], [0.1, 1]], k=1)
    >>> nearest, queries = create_ranking("nearest", archive), QueryBatch.of(archive, [1, 0], 2)
    >>> rank_one_per_group(nearest, archive, queries, 2, [7, 7, 8, 8]).positions.tolist()
    [[0, 3]]
    """
    k = check_integer("k", k, 1, "ask for at least one film")
    numbers = _check_groups(groups, archive.n_films)
    n_possible = np.minimum(_groups_of_queries(queries, numbers), k)
    out: RankedLists | None = None
    counts = SearchCounts.scanned(len(queries), 0)
    pending, size = np.arange(len(queries)), max(k, queries.neighbors.shape[1])
    while pending.size:
        size = min(size, archive.n_films)
        waiting = []
        n_rows = max(1, _ENTRIES // size)
        for first in range(0, pending.size, n_rows):
            rows = pending[first : first + n_rows]
            ranked = ranker.rank(queries.take(rows), size, fill=fill, n_threads=n_threads)
            places = _first_places(numbers, ranked, k)
            complete = (places >= 0).sum(axis=1) >= n_possible[rows]
            complete |= (ranked.positions[:, -1] < 0) | (size == archive.n_films)
            out = _empty_like(ranked, len(queries), k) if out is None else out
            _keep(out, rows[complete], ranked, np.flatnonzero(complete), places[complete])
            if ranked.counts is not None:
                for total, more in zip(_fields(counts), _fields(ranked.counts), strict=True):
                    total[rows] += more
            waiting.append(rows[~complete])
        pending, size = np.concatenate(waiting), size * _GROWTH
    return ranker.rank(queries, k, fill=fill) if out is None else replace(out, counts=counts)


def _check_groups(groups: Any, n_films: int) -> Int64Array:
    """Groups numbered from 0 without gaps."""
    array = np.asarray(groups)
    if array.shape != (n_films,) or array.dtype.kind not in "iu":
        raise InvalidParameterError("groups", f"{array.dtype} {array.shape}", f"whole numbers ({n_films},), one a film")
    return np.unique(array, return_inverse=True)[1].astype(np.int64)


def _groups_of_queries(queries: QueryBatch, groups: Int64Array) -> Int64Array:
    """How many groups have a film that each query may get."""
    mask = np.ones(groups.size, np.bool_) if queries.allowed is None else queries.allowed
    sizes = np.bincount(groups[mask], minlength=int(groups.max(initial=-1)) + 1)
    n_groups = np.full(len(queries), np.count_nonzero(sizes), dtype=np.int64)
    for row, films in enumerate(queries.forbidden or ()):
        gone = np.unique(films)
        of, counts = np.unique(groups[gone[mask[gone]]], return_counts=True)
        n_groups[row] -= np.count_nonzero(sizes[of] == counts)
    return n_groups


def _empty_like(ranked: RankedLists, n_queries: int, k: int) -> RankedLists:
    """Lists of all queries that are all padding, with the terms and notes of the ranking."""
    out = RankedLists.empty(n_queries, k, tuple(ranked.terms), ranked.notes)
    if ranked.findings is None:
        return out
    return replace(out, findings=np.zeros((n_queries, ranked.findings.shape[1])))


def _first_places(groups: Int64Array, ranked: RankedLists, k: int) -> Int64Array:
    """Places (q, k) of the first film of each group, in their order; -1 pads."""
    places = np.full((len(ranked), k), -1, dtype=np.int64)
    for row, films in enumerate(ranked.positions):
        first = np.sort(np.unique(groups[films[films >= 0]], return_index=True)[1])[:k]
        places[row, : first.size] = first
    return places


def _keep(out: RankedLists, to: Int64Array, ranked: RankedLists, rows: Int64Array, places: Int64Array) -> None:
    """Copy the films at some places of some lists; what pads the lists of ``out`` stays where there is none."""
    there = places >= 0
    arrays = [(getattr(out, name), getattr(ranked, name)) for name in _ARRAYS]
    arrays += [(out.terms[name], values) for name, values in ranked.terms.items()]
    for target, values in arrays:
        target[to] = np.where(there, np.take_along_axis(values[rows], np.where(there, places, 0), axis=1), target[to])
    if out.findings is not None and ranked.findings is not None:
        out.findings[to] = ranked.findings[rows]


_ARRAYS = ("positions", "similarities", "scores", "sources", "gains")


def _fields(counts: SearchCounts) -> tuple[Int64Array, Int64Array, Int64Array]:
    return counts.compared, counts.visited, counts.rescored
