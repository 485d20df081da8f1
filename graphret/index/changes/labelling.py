"""Labels are corrected, without touching codes, graph or communities."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._errors import InvalidParameterError
from graphret._labels import read_labels
from graphret.index.changes.change import Change, changing, positions_of
from graphret.index.changes.unchanged import as_it_is
from graphret.index.store import KEEP

if TYPE_CHECKING:
    import os

    from graphret._labels import Labels
    from graphret.data import ImageTable

__all__ = ["update_labels"]

logger = logging.getLogger(__name__)


def update_labels(
    path: str | os.PathLike[str],
    ids: Any,
    labels: Any,
    label_names: Any = None,
    *,
    add_labels: bool = False,
    keep: int = KEEP,
) -> Change:
    """Give films of the current generation other labels; see `Index.update_labels`."""
    with changing(path, "update-labels", keep) as current:
        films = current.films
        rows = positions_of(current, ids)
        given = _read(labels, label_names, films)
        if len(given) != len(rows):
            raise InvalidParameterError("labels", f"{len(given)} rows", f"{len(rows)} rows, one for every id")
        unknown = [name for name in given.names if name not in films.label_names]
        if unknown and not add_labels:
            known = ", ".join(films.label_names[:10]) or "none"
            hint = "add_labels=True gives the index a new label, which no other film has then"
            raise InvalidParameterError("labels", unknown[0], f"labels of the index ({known})", hint)
        names = (*films.label_names, *unknown)
        matrix = np.zeros((len(films), len(names)), np.int8)
        matrix[:, : len(films.label_names)] = films.labels
        if given.kind in {"names", "numbers"}:  # a film without a name has not that finding
            matrix[rows] = 0
        said = np.ones(given.matrix.shape, np.bool_) if given.unsaid is None else ~given.unsaid
        for place, name in enumerate(given.names):
            matrix[rows[said[:, place]], names.index(name)] = given.matrix[said[:, place], place]
        before = np.zeros_like(matrix)
        before[:, : len(films.label_names)] = films.labels
        n_changed = int((matrix != before).any(axis=1).sum())
        counts = {"relabelled": n_changed, "as_before": len(rows) - n_changed}
        details = {"empty_cells": int((~said).sum())}
        if details["empty_cells"]:
            logger.info("%d cells are empty: these labels stay as they were", details["empty_cells"])
        if not n_changed and not unknown:
            return Change("update-labels", current.generation.name, counts, details=details)
        relabelled = replace(films, labels=matrix, label_names=names)
        record = {"relabelled": current.record["relabelled"] + n_changed}
        name = current.publish(lambda _: as_it_is(current, films=relabelled, record=record))
        return Change("update-labels", name, counts, details=details)


def _read(labels: Any, label_names: Any, films: ImageTable) -> Labels:
    """Read labels of any form; the columns of a matrix without names are those of the index."""
    read = read_labels(labels, label_names)
    if label_names is None and read.kind == "matrix":
        if read.matrix.shape[1] != len(films.label_names):
            allowed = f"{len(films.label_names)} columns, those of the index, or label_names"
            raise InvalidParameterError("labels", f"{read.matrix.shape[1]} columns", allowed)
        return read.named(films.label_names)[0]
    if label_names is None and read.kind == "numbers" and films.label_names:
        return read.named(films.label_names)[0]
    return read
