"""Films are withdrawn: their rows, edges and codes go, and the archive stays searchable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._errors import DataError
from graphret.data.thumbnail_store import ThumbnailStore, thumbnail_folder
from graphret.index.changes.change import Change, Current, changing, positions_of, rows_but
from graphret.index.changes.rows import changed_contents
from graphret.index.store import KEEP

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from graphret._types import Int64Array, Progress
    from graphret.index.contents import Contents

__all__ = ["contents_without", "remove_films"]


def remove_films(
    path: str | os.PathLike[str],
    ids: Any,
    *,
    keep: int = KEEP,
    n_threads: int | None = None,
    progress: Progress | None = None,
) -> Change:
    """Remove films from the current generation of an index; see `Index.remove`."""
    with changing(path, "remove", keep) as current:
        gone = positions_of(current, ids)
        if not len(gone):
            return Change("remove", current.generation.name, {"removed": 0})
        generation = current.publish(
            lambda folder: contents_without(current, gone, folder, n_threads=n_threads, progress=progress)
        )
        ThumbnailStore(thumbnail_folder(current.root), 0).remove(current.films.paths[gone].tolist())
        return Change("remove", generation, {"removed": len(gone)})


def contents_without(
    current: Current, gone: Int64Array, folder: Path, *, n_threads: int | None, progress: Progress | None
) -> Contents:
    """Return the contents of the index without some films, for the folder of a new generation.

    Raises
    ------
    DataError
        None would be left.
    """
    n_films, dimensions = current.generation.codes.shape
    if len(gone) == n_films:
        raise DataError("all films of the index would be removed: an index has at least one, remove its folder instead")
    return changed_contents(
        current,
        folder,
        rows_but(n_films, gone),
        np.empty((0, dimensions), np.float32),
        None,
        np.empty((0, 2), np.int64),
        {"removed": current.record["removed"] + len(gone)},
        n_threads=n_threads,
        progress=progress,
    )
