"""Checks of what a ranking hands over to be scored: lists, labels, and the films that a query could not get."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._errors import InvalidParameterError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graphret._types import BoolArray, Int64Array

__all__ = ["BLOCK", "check_allowed", "check_labels", "check_only_allowed", "check_ranked", "excluded_pairs"]

BLOCK = 1 << 22
"""Numbers held at once in the largest temporary array: 32 MB as int64."""


def check_labels(name: str, labels: Any) -> BoolArray:
    """Return labels as bool (n, L), or say what they should be."""
    array = np.asarray(labels)
    if array.ndim != 2:
        raise InvalidParameterError(name, array.shape, "a boolean array (films, labels)")
    if name == "database_labels" and not len(array):
        raise InvalidParameterError(name, array.shape, "the labels of at least one film")
    if array.dtype != np.bool_:
        if array.dtype.kind not in "iu" or not np.isin(array, (0, 1)).all():
            raise InvalidParameterError(
                name,
                array.dtype.name,
                "booleans",
                "ImageTable.relevance() turns uncertain labels (-1) into positive ones",
            )
        array = array.astype(np.bool_)
    return array


def check_ranked(ranked: Any, n_queries: int, n_films: int, k: int) -> Int64Array:
    """Return ranked lists as int64, at least k wide (a shorter list is padded), or say what is wrong."""
    lists = np.asarray(ranked)
    if lists.ndim != 2 or lists.shape[0] != n_queries:
        raise InvalidParameterError("ranked", lists.shape, f"an integer array ({n_queries}, K), one row per query")
    if lists.dtype.kind not in "iu":
        raise InvalidParameterError("ranked", lists.dtype.name, "integers: rows of the database, -1 for a pad")
    lists = lists.astype(np.int64, copy=False)
    if lists.shape[1] < k:
        lists = np.pad(lists, ((0, 0), (0, k - lists.shape[1])), constant_values=-1)
    for start in range(0, n_queries, max(1, BLOCK // lists.shape[1])):
        _check_rows(lists[start : start + max(1, BLOCK // lists.shape[1])], start, n_films)
    return lists


def _check_rows(lists: Int64Array, start: int, n_films: int) -> None:
    outside = np.argwhere((lists < -1) | (lists >= n_films))
    if outside.size:
        row, column = outside[0]
        raise InvalidParameterError(
            "ranked",
            int(lists[row, column]),
            f"rows 0 ... {n_films - 1} of the database, or -1 for a pad",
            f"query {start + row}, rank {column + 1}",
        )
    late = np.argwhere((lists[:, :-1] < 0) & (lists[:, 1:] >= 0))
    if late.size:
        row, column = late[0]
        raise InvalidParameterError(
            "ranked",
            lists[row].tolist(),
            "pads (-1) only after the last hit",
            f"query {start + row} has one at rank {column + 1}",
        )
    ordered = np.sort(lists, axis=1)
    twice = np.argwhere((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0))
    if twice.size:
        row, column = twice[0]
        raise InvalidParameterError(
            "ranked",
            int(ordered[row, column]),
            "every film at most once in a list",
            f"query {start + row} has it twice; a repeated hit would be counted twice",
        )


def check_allowed(allowed: Any | None, n_films: int) -> BoolArray:
    """Return the mask of films that may be found, bool (n,); all of them for None."""
    if allowed is None:
        return np.ones(n_films, dtype=np.bool_)
    mask = np.asarray(allowed)
    if mask.dtype != np.bool_ or mask.shape != (n_films,):
        raise InvalidParameterError("allowed", f"{mask.dtype} {mask.shape}", f"a boolean mask of {n_films} films")
    return mask


def excluded_pairs(excluded: Sequence[Any] | None, n_queries: int, n_films: int) -> Int64Array:
    """Return the excluded pairs as ``query * n_films + film``, sorted, each once."""
    if excluded is None:
        return np.empty(0, dtype=np.int64)
    if len(excluded) != n_queries:
        raise InvalidParameterError(
            "excluded", f"{len(excluded)} lists", f"one list of rows for each of {n_queries} queries"
        )
    if not n_queries:
        return np.empty(0, dtype=np.int64)
    lists = [np.asarray(rows, dtype=np.int64 if len(rows) == 0 else None).ravel() for rows in excluded]
    films = np.concatenate(lists)
    if films.dtype.kind not in "iu" or (films.size and (films.min() < 0 or films.max() >= n_films)):
        raise InvalidParameterError("excluded", films[:5].tolist(), f"rows 0 ... {n_films - 1} of the database")
    queries = np.repeat(np.arange(n_queries), [len(rows) for rows in lists])
    return np.unique(queries * n_films + films.astype(np.int64))


def check_only_allowed(lists: Int64Array, searchable: BoolArray, forbidden: Int64Array) -> None:
    """Refuse a ranking that returned what it was told to leave out: its scores would be too good."""
    n_films = len(searchable)
    wrong = (lists >= 0) & ~searchable[lists]
    if forbidden.size:
        pairs = np.arange(len(lists))[:, None] * n_films + lists
        wrong |= (lists >= 0) & np.isin(pairs, forbidden)
    found = np.argwhere(wrong)
    if found.size:
        row, column = found[0]
        raise InvalidParameterError(
            "ranked",
            int(lists[row, column]),
            "only films that the query was allowed to get",
            f"query {row} has an excluded film at rank {column + 1}: pass the same exclusion to the ranking",
        )
