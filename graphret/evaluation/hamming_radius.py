"""Precision of the films within a Hamming radius: what a look-up in a table of bits returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._checks import check_integer
from graphret._errors import InvalidParameterError
from graphret.evaluation._inputs import check_allowed, excluded_pairs, label_pair
from graphret.hashing import HammingSearch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graphret._types import Float64Array, Int64Array

__all__ = ["RadiusCounts", "count_within_radius"]


@dataclass(frozen=True, eq=False)
class RadiusCounts:
    """Films within each radius of each query.

    Attributes
    ----------
    found, relevant
        int64 (q, n_bits + 1), films within radius 0 ... n_bits, and those of them that share a label with the query.
    """

    found: Int64Array
    relevant: Int64Array

    @property
    def precision(self) -> Float64Array:
        """float64 (n_bits + 1,), mean over all queries of the share that is relevant; a query without a film has 0."""
        return np.asarray((self.relevant / np.maximum(self.found, 1)).mean(axis=0))

    @property
    def precision_where_found(self) -> Float64Array:
        """float64 (n_bits + 1,), the same over the queries that have a film in the radius; NaN where none has."""
        n_answered = (self.found > 0).sum(axis=0)
        sums = (self.relevant / np.maximum(self.found, 1)).sum(axis=0)
        return np.where(n_answered > 0, sums / np.maximum(n_answered, 1), np.nan)

    @property
    def share_without_films(self) -> Float64Array:
        """float64 (n_bits + 1,), share of the queries that have no film in the radius."""
        return np.asarray((self.found == 0).mean(axis=0))


def count_within_radius(
    query_bits: Any,
    database_bits: Any,
    query_labels: Any,
    database_labels: Any,
    n_bits: int,
    *,
    excluded: Sequence[Any] | None = None,
    allowed: Any | None = None,
    n_threads: int | None = None,
) -> RadiusCounts:
    """Count the films within every Hamming radius of every query, and those that share a label with it.

    Parameters
    ----------
    query_bits, database_bits
        uint8 (q, bytes) and (n, bytes), packed codes.
    query_labels, database_labels
        Labels of any form, as of `evaluate_hamming`.
    n_bits
        Bits of a code, >= 1: the largest radius.
    excluded, allowed
        As of `evaluate_hamming`: rows that a query could not get, and bool (n,), the films that any query could get.
    n_threads
        Threads of the search; the result does not depend on it.

    Returns
    -------
    RadiusCounts

    Raises
    ------
    InvalidParameterError, CodesError
        As `evaluate_hamming` does; no query; codes that are longer or shorter than ``n_bits``.

    Notes
    -----
    O(q n (bytes / 8 + L)) time, O(n L) memory.

    Examples
    --------
    >>> from graphret.hashing import pack_bits
    >>> database = pack_bits([[1, 1], [1, -1], [-1, -1]])
    >>> labels = np.array([[1], [0], [1]], dtype=bool)
    >>> counts = count_within_radius(pack_bits([[-1, 1]]), database, labels[:1], labels, 2)
    >>> counts.found.tolist(), counts.relevant.tolist(), counts.precision.round(2).tolist()
    ([[0, 2, 3]], [[0, 2, 2]], [0.0, 1.0, 0.67])
    """
    n_bits = check_integer("n_bits", n_bits, 1)
    search = HammingSearch(database_bits)
    if search.n_bytes != -(-n_bits // 8):
        raise InvalidParameterError("n_bits", n_bits, f"the bits of codes of {search.n_bytes} bytes")
    of_queries, of_films = label_pair(query_labels, database_labels)
    n_queries = len(np.asarray(query_bits))
    if not n_queries:
        raise InvalidParameterError("query_bits", "0 codes", "at least one")
    for name, labels, number in (("query_labels", of_queries, n_queries), ("database_labels", of_films, len(search))):
        if len(labels) != number:
            raise InvalidParameterError(name, labels.shape, f"one row for each of {number} codes")
    searchable = check_allowed(allowed, len(search))
    pairs = excluded_pairs(excluded, n_queries, len(search))
    forbidden = np.split(pairs % len(search), np.searchsorted(pairs, np.arange(1, n_queries) * len(search)))
    found, relevant = np.zeros((2, n_queries, n_bits + 1), dtype=np.int64)
    for query in range(n_queries):
        kept = searchable.copy()
        kept[forbidden[query]] = False
        distances = search.distances(query_bits[query : query + 1], n_threads=n_threads)[0]
        shared = kept & of_films[:, of_queries[query]].any(axis=1)
        for out, films in ((found, kept), (relevant, shared)):
            out[query] = np.cumsum(np.bincount(distances[films], minlength=n_bits + 1))
    return RadiusCounts(found, relevant)
