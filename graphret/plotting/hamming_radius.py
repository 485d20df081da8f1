"""Precision within a Hamming radius, and how many queries have nothing there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._errors import InvalidParameterError
from graphret.evaluation import count_within_radius
from graphret.evaluation.queries import resolve_queries, rows_with_same
from graphret.figures import COLOURS, axes_of
from graphret.hashing import pack_bits
from graphret.index import as_index
from graphret.plotting.asked import said_of_queries
from graphret.plotting.drawn import Plot

if TYPE_CHECKING:
    from graphret._types import BoolArray, Progress

__all__ = ["hamming_radius"]


def hamming_radius(source: Any, *, split: str = "test", progress: Progress | None = None) -> Plot:
    """Precision of the films within radius 0 ... B of the bits (signs of the codes), and queries that have none."""
    index = as_index(source)
    encoder = index.encoder
    if encoder is not None and encoder.kind != "hash":
        raise InvalidParameterError(
            "source", f"codes of {encoder.name}, a dense encoder", "an index of a hash encoder, or of ready codes",
            "dense codes are compared by cosine, and their signs say nothing",
        )  # fmt: skip
    given = resolve_queries(index, split, progress)
    labelled: BoolArray = np.any(given.films.relevance(), axis=1)
    if not labelled.any():
        raise InvalidParameterError("split", split, "queries with a finding", "relevance is a shared finding")
    asked = given.select(labelled)
    excluded = [
        np.union1d(*same)
        for same in zip(
            rows_with_same(asked.films.ids, index.films.ids, asked.allowed),
            rows_with_same(asked.films.patients, index.films.patients, asked.allowed),
            strict=True,
        )
    ]
    codes = index.codes
    n_bits = codes.shape[1]
    counts = count_within_radius(
        pack_bits(asked.codes), pack_bits(codes), asked.films.relevance(), index.films.relevance(), n_bits,
        excluded=excluded, allowed=asked.allowed,
    )  # fmt: skip
    radii = range(n_bits + 1)
    figure, axes = axes_of()
    axes.plot(radii, counts.precision, color=COLOURS[0], marker="o", markersize=3, label="precision, 0 without a film")
    axes.plot(
        radii, counts.precision_where_found, color=COLOURS[2], marker="s", markersize=3,
        label="precision of queries with a film",
    )  # fmt: skip
    axes.plot(
        radii, counts.share_without_films, color=COLOURS[1], linestyle=":", label="share of queries without a film"
    )
    axes.set_xlabel(f"Hamming radius, of {n_bits} bits")
    axes.set_ylim(0, 1.02)
    axes.legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5))
    where_found = [None if np.isnan(value) else float(value) for value in counts.precision_where_found]
    rows = zip(
        radii, counts.precision.tolist(), where_found, counts.share_without_films.tolist(),
        counts.found.mean(axis=0).tolist(), strict=True,
    )  # fmt: skip
    notes = said_of_queries(asked)
    n_without = len(labelled) - int(labelled.sum())
    if n_without:
        notes.append(f"left out, no positive label: {n_without}")
    signs = np.asarray(codes) >= 0
    n_constant = int((signs.all(axis=0) | ~signs.any(axis=0)).sum())
    if n_constant:
        notes.append(f"{n_constant} of {n_bits} bits are the same for all films of the archive")
    columns = ("radius", "precision", "precision_where_found", "share_without_films", "mean_films")
    return Plot("hamming-radius", columns, tuple(rows), figure, tuple(notes))
