"""The map of an index: where every film lies, made once and kept beside the index."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphret.files import digest
from graphret.index import as_index
from graphret.index.derived import derived_array
from graphret.mapping.layout import LAYOUT, map_films

if TYPE_CHECKING:
    from os import PathLike

    from graphret._types import Float32Array
    from graphret.index import Index

__all__ = ["archive_map"]


def archive_map(index: Index | str | PathLike[str], *, n_threads: int | None = None) -> Float32Array:
    """Return the place of every film on the map of an archive: communities are discs, like films lie together.

    The map is made from the similarity graph and the communities when it is first asked for, and kept in the folder
    ``derived`` of the index. That file is no part of the index: it is made again when it is missing or not as it was.

    Parameters
    ----------
    index
        The archive, or its folder.
    n_threads
        ``None`` for all processors; the map does not depend on it.

    Returns
    -------
    float32 (n, 2)
        x and y in [0, 1], in the order of the films. The same index gives the same map.

    Raises
    ------
    NotAnIndexError, DamagedIndexError, StoreError
        As `graphret.open`.

    Notes
    -----
    O(edges + n log n), see `map_films`.

    Examples
    --------
    >>> import graphret, numpy as np, tempfile
    >>> codes = np.random.default_rng(0).normal(size=(200, 16)).astype(np.float32)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     index = graphret.build(codes, out=f"{folder}/index", k=10)
    ...     archive_map(index).shape
    (200, 2)
    """
    index = as_index(index)
    manifest = index.manifest
    return derived_array(
        index.path,
        "map",
        digest("map", LAYOUT, manifest["graph"]["sha256"], manifest["communities"]["sha256"]),
        lambda: map_films(index.graph, index.communities, n_threads=n_threads),
        shape=(len(index), 2),
        dtype="float32",
    )
