"""Queries of a plot and their hits, where films without a finding count too (`evaluate` leaves those out)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._checks import check_integer

if TYPE_CHECKING:
    from graphret._types import Int32Array, Progress
    from graphret.evaluation.queries import QuerySet
    from graphret.index import Index
    from graphret.retrieval import RankingChoice

__all__ = ["ask_queries", "said_of_queries"]

_BATCH = 64


def ask_queries(
    index: Index, queries: QuerySet, ranking: Any, k: int, progress: Progress | None
) -> tuple[Int32Array, RankingChoice]:
    """Return the first k hits of every query, int32 (q, k), -1 pads, none of its own patient; and the ranking."""
    check_integer("k", k, 1)
    choice = index.choose(ranking)
    positions = np.full((len(queries.films), k), -1, dtype=np.int32)
    for start in range(0, len(positions), _BATCH):
        rows = slice(start, min(start + _BATCH, len(positions)))
        own = {"id": queries.films.ids[rows].tolist(), "patient": queries.films.patients[rows].tolist()}
        # a list: an array of as many codes as a code has values could be one film
        hits = index.query(list(queries.codes[rows]), k, ranking=choice, where=queries.where, exclude=own)
        positions[rows, : hits.positions.shape[1]] = hits.positions
        if progress is not None:
            progress(f"rank by {choice}", rows.stop, len(positions))
    return positions, choice


def said_of_queries(queries: QuerySet) -> list[str]:
    """What a reader should know of the queries."""
    said = [f"{len(queries.films)} queries: {queries.origin}"]
    if queries.problems:
        said.append(f"left out, no code or not readable: {len(queries.problems)}")
    if queries.transductive:
        said.append("the queries are films of the archive, and part of its graph")
    return said
