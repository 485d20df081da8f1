"""Plain nearest neighbours by cosine."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from graphret._checks import check_integer
from graphret.retrieval.protocol import RankedLists, source_code

if TYPE_CHECKING:
    from graphret.retrieval.protocol import Archive, QueryBatch

__all__ = ["Nearest"]


class Nearest:
    """Ranking "nearest": films by cosine to the query, ties by smaller position; the score is the cosine.

    Exact. It has no options.

    Parameters
    ----------
    archive
        The films.

    Examples
    --------
    >>> from graphret.retrieval import Archive, QueryBatch
    >>> archive = Archive.from_codes([[1, 0], [1, 0.1], [0, 1], [0.1, 1]], k=1)
    >>> Nearest(archive).rank(QueryBatch.of(archive, [1, 0], 3), 3).positions.tolist()
    [[0, 1, 3]]
    """

    name: ClassVar[str] = "nearest"

    def __init__(self, archive: Archive) -> None:
        self.archive = archive

    def rank(
        self,
        queries: QueryBatch,
        k: int,
        *,
        fill: bool = True,  # noqa: ARG002 - the lists are complete without it
        n_threads: int | None = None,
    ) -> RankedLists:
        """Rank the k nearest allowed films; see `Ranker.rank`. O(q k): the batch holds the neighbours already."""
        k = check_integer("k", k, 1, "ask for at least one film")
        queries = queries.at_least(self.archive, k, n_threads)
        ranked = RankedLists.empty(len(queries), k)
        width = min(k, queries.neighbors.shape[1])
        ranked.positions[:, :width] = queries.neighbors[:, :width]
        ranked.similarities[:, :width] = queries.similarities[:, :width]
        ranked.scores[:] = ranked.similarities
        ranked.sources[ranked.positions >= 0] = source_code("search")
        return ranked
