"""Checks of what a ranking hands over to be scored: lists, labels, and the films that a query could not get."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._errors import InvalidParameterError
from graphret._labels import read_labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graphret._types import BoolArray, Int64Array

__all__ = ["BLOCK", "check_allowed", "check_only_allowed", "check_ranked", "excluded_pairs", "label_pair"]

BLOCK = 1 << 22
"""Numbers held at once in the largest temporary array: 32 MB as int64."""


def label_pair(
    query_labels: Any, database_labels: Any, names: tuple[str, str] = ("query_labels", "database_labels")
) -> tuple[BoolArray, BoolArray]:
    """Return labels of any form (`read_labels`) as bool (q, L) and (n, L) with the same columns, or say what is wrong.

    Two matrices have their columns in one order. Labels with names are put together by name.
    """
    pair = [
        read_labels(given, parameter=name) for given, name in zip((query_labels, database_labels), names, strict=True)
    ]
    of_queries, of_films = pair
    if not len(of_films):
        raise InvalidParameterError(names[1], of_films.matrix.shape, "the labels of at least one film")
    for name, labels in zip(names, pair, strict=True):
        if (labels.matrix < 0).any():
            hint = "ImageTable.relevance() turns uncertain labels (-1) into positive ones"
            raise InvalidParameterError(name, "an uncertain label (-1)", "labels that are 1 or 0", hint)
    one_form = {labels.kind for labels in pair} in ({"matrix"}, {"numbers"}) or not {"matrix", "numbers"} & {
        labels.kind for labels in pair
    }
    if not one_form or (of_queries.kind == "matrix" and of_queries.matrix.shape[1] != of_films.matrix.shape[1]):
        raise InvalidParameterError(
            names[0],
            of_queries.matrix.shape,
            f"one column for each of the {of_films.matrix.shape[1]} labels of {names[1]}, or both in the same form",
            "put the labels of both in the same order",
        )
    together = dict.fromkeys([*of_films.names, *of_queries.names])
    places = {name: place for place, name in enumerate(together)}
    aligned = [np.zeros((len(labels), len(together)), dtype=np.bool_) for labels in pair]
    for out, labels in zip(aligned, pair, strict=True):
        out[:, [places[name] for name in labels.names]] = labels.matrix > 0
    return aligned[0], aligned[1]


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
