"""What a ranking gives all queries of an evaluation, and how long it takes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret.evaluation.judging import Answers

if TYPE_CHECKING:
    from graphret._types import Progress
    from graphret.evaluation.queries import QuerySet
    from graphret.index import Index
    from graphret.retrieval import RankingChoice

__all__ = ["ask_all"]

_BATCH, _DEVICE_BATCH = 64, 1024
"""Queries that are asked together; a device forms the products of many as fast as those of few."""


def ask_all(
    index: Index,
    asked: QuerySet,
    depth: int,
    ranking: RankingChoice,
    exclude_by: dict[str, list[str]],
    device: str | None,
    progress: Progress | None,
) -> Answers:
    """Run all queries in batches."""
    size = _BATCH if device is None else _DEVICE_BATCH
    how: dict[str, Any] = {"ranking": ranking, "where": asked.where, "fill": True, "device": device}
    n_queries = len(asked.films)
    positions = np.full((n_queries, depth), -1, dtype=np.int32)
    similarities = np.full((n_queries, depth), np.nan, dtype=np.float32)
    seconds: list[float] = []
    n_filled = 0
    notes: dict[str, None] = {}
    for start in range(0, n_queries, size):
        batch = slice(start, min(start + size, n_queries))
        exclude = {column: values[batch] for column, values in exclude_by.items()} or None
        began = time.perf_counter()
        # a list: an array of as many codes as a code has values could be one film
        hits = index.query(list(asked.codes[batch]), depth, exclude=exclude, **how)
        seconds.append((time.perf_counter() - began) / (batch.stop - start))
        width = hits.positions.shape[1]
        positions[batch, :width] = hits.positions
        similarities[batch, :width] = hits.similarities
        n_filled += int((hits.sources == "fill").sum())
        notes |= dict.fromkeys(hits.notes)
        if progress is not None:
            progress(f"rank by {ranking}", batch.stop, n_queries)
    fill_share = n_filled / max(1, int((positions >= 0).sum()))
    return Answers(positions, similarities, 1000 * float(np.median(seconds)), fill_share, tuple(notes))
