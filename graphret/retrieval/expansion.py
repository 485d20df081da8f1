"""Alpha query expansion: search again with the query moved towards its nearest films."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from graphret._checks import check_integer, check_number
from graphret.neighbors.exact_search import row_lengths
from graphret.retrieval.protocol import RankedLists, source_code

if TYPE_CHECKING:
    from graphret._types import Codes
    from graphret.retrieval.protocol import Archive, QueryBatch

__all__ = ["AlphaQueryExpansion", "expanded_queries"]


class AlphaQueryExpansion:
    """Ranking "alpha_qe": nearest films of the expanded query (Radenovic, Tolias, Chum, TPAMI 2019, section 3.4).

    ``q' = q + sum_i s_i^alpha x_i`` over the n nearest allowed films of the query, with unit codes q and x_i and
    ``s_i = max(cos(q, x_i), 0)``; then a search with q'. The score is the cosine to q'; the similarity stays the
    cosine to the query itself. Ties of the score go to the smaller position.

    Parameters
    ----------
    archive
        The films.
    n
        Films that the query moves towards, >= 1.
    alpha
        Exponent of their weights, >= 0; 0 is average query expansion, a large one leaves the query where it is.

    Raises
    ------
    InvalidParameterError
        An option outside its range.

    Notes
    -----
    A second search.

    Examples
    --------
    >>> from graphret.retrieval import Archive, QueryBatch
    >>> archive = Archive.from_codes([[1, 0], [1, 0.1], [0, 1], [0.1, 1]], k=1)
    >>> AlphaQueryExpansion(archive, n=2).rank(QueryBatch.of(archive, [1, 0], 3), 3).positions.tolist()
    [[0, 1, 3]]
    """

    name: ClassVar[str] = "alpha_qe"

    def __init__(self, archive: Archive, *, n: int = 10, alpha: float = 3.0) -> None:
        self.archive = archive
        self.n = check_integer("n", n, 1, "films that the query moves towards")
        self.alpha = check_number("alpha", alpha, at_least=0.0)

    def first_neighbors(self, k: int) -> int:  # noqa: ARG002 - a list for a smaller k begins that for a larger
        """Nearest films of a query that are read: those that it is moved towards, whatever k is."""
        return self.n

    def rank(
        self,
        queries: QueryBatch,
        k: int,
        *,
        fill: bool = True,  # noqa: ARG002 - the lists are complete without it
        n_threads: int | None = None,
    ) -> RankedLists:
        """Rank the k nearest allowed films of the expanded queries; see `Ranker.rank`."""
        k = check_integer("k", k, 1, "ask for at least one film")
        queries = queries.at_least(self.archive, self.n, n_threads)
        ranked = RankedLists.empty(len(queries), k)
        found = self.archive.search.search(
            expanded_queries(self.archive, queries, self.n, self.alpha),
            k,
            allowed=queries.allowed,
            forbidden=queries.forbidden,
            n_threads=n_threads,
        )
        ranked.positions[:, : found.k] = found.neighbors
        ranked.scores[:, : found.k] = found.similarities
        ranked.similarities[:] = self.archive.search.similarities(queries.codes, ranked.positions, n_threads=n_threads)
        ranked.sources[ranked.positions >= 0] = source_code("search")
        return replace(ranked, counts=found.counts)


def expanded_queries(archive: Archive, queries: QueryBatch, n: int, alpha: float) -> Codes:
    """Move every query towards its n nearest films, weighted by cosine^alpha; float32 (q, d), O(q n d)."""
    lengths = archive.search.lengths
    out = np.empty(queries.codes.shape, dtype=np.float64)
    np.divide(queries.codes, row_lengths(queries.codes)[:, None], out=out)
    # One query at a time, summed row by row: a product over the batch would round by the size of the batch.
    for row in range(len(queries)):
        nearest = queries.neighbors[row, :n]
        nearest = nearest[nearest >= 0]
        cosines = queries.similarities[row, : nearest.size].astype(np.float64)
        weights = np.where(cosines > 0, np.maximum(cosines, 0) ** alpha, 0) / lengths[nearest]
        out[row] += (archive.search.read_codes(nearest) * weights[:, None]).sum(axis=0)
    return out.astype(np.float32)
