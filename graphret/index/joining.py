"""From shards to one graph and one division of all their films; a killed join goes on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret.cluster import check_engine, open_engine
from graphret.files import check_path, map_array, write_rows
from graphret.index.build import claimed
from graphret.index.build_stages import check_backends, divide_films, link_films, report
from graphret.index.config import BuildConfig
from graphret.index.contents import Coded, Contents
from graphret.index.front import check_front_target, write_front
from graphret.index.joined import JoinedIndex
from graphret.index.opened import OpenedIndex
from graphret.index.opened_shards import OpenedShards
from graphret.index.source import codes_hash

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from graphret._types import Codes, Progress

__all__ = ["join_shards"]

_ROWS = 16_384


def join_shards(
    paths: Sequence[str | os.PathLike[str]],
    *,
    out: str | os.PathLike[str],
    config: BuildConfig | None = None,
    engine: str = "local",
    address: str | None = None,
    storage: str | None = None,
    resume: bool = True,
    progress: Progress | None = None,
    **overrides: Any,
) -> JoinedIndex:
    """Find neighbours, graph and communities of the films of several indexes together, and open them as one.

    What is kept in ``out`` is the graph, the communities, and which films they are of; codes and films stay in the
    shards, which are not written to. The stages are those of `build`, so graph and communities are those of one index
    of all films. While they run, ``out/.build`` holds the codes of all shards in one file.

    Parameters
    ----------
    paths
        Folders of the indexes, in the order of the positions. Encoder and length of the codes are the same, and every
        id is in one of them only.
    out
        Folder: new, empty, or one in which shards were joined before; readers keep what they have opened.
    config
        Parameters of the graph and of the communities; the defaults of `build` when not given, whatever the shards
        were built with.
    engine, address, storage, resume
        As for `build`.
    progress
        Called as ``progress(stage, done, total)`` with the stages "neighbors", "graph", "communities", "write".
    **overrides
        Single parameters of `BuildConfig`: ``k=50``, ``max_memory=...``, ...

    Returns
    -------
    JoinedIndex
        Opened.

    Raises
    ------
    NotAnIndexError, DamagedIndexError, StoreError
        As `graphret.open`, for each.
    CodesError, EncoderError, DataError
        Shards whose codes cannot be compared, or that have a film of the same id.
    InvalidParameterError
        No path, a wrong parameter, or ``out`` holds something else.
    IndexLockedError
        Another process writes to ``out``.

    Notes
    -----
    Time and memory are those of the stages of `build` behind the codes, see `nearest_neighbors` and ``max_memory``.

    Examples
    --------
    >>> import tempfile, numpy as np, graphret
    >>> codes = np.random.default_rng(0).random((40, 8), dtype=np.float32)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name, rows in (("a", range(25)), ("b", range(25, 40))):
    ...         ids = [str(row) for row in rows]
    ...         made = graphret.build(codes[rows], out=f"{folder}/{name}", ids=ids, k=5, tune=False)
    ...     index = join_shards([f"{folder}/a", f"{folder}/b"], out=f"{folder}/front", k=5)
    ...     len(index), index.query("30", k=3, ranking="region_growing").positions.shape
    (40, (1, 3))
    """
    config = replace(BuildConfig.of(config, overrides), search="exact")  # each shard has its own links
    root = check_path("out", out)
    shards = OpenedShards([OpenedIndex(check_path("path", path).absolute()) for path in paths])
    check_front_target(root)
    check_engine(engine, address, storage)
    check_backends(config)
    with (
        claimed(root, resume=resume) as stages,
        open_engine(engine, stages.folder, address=address, storage=storage, n_threads=config.n_threads) as workers,
    ):
        codes = _gathered(shards, stages.folder / "codes.npy")
        coded = Coded(codes, shards.films, codes_hash(codes))
        linked = link_films(coded, stages, config, workers, progress)
        partition = divide_films(coded, linked.graph, stages, config, progress)
        report(progress, "write", 0)
        write_front(root, Contents(coded, linked, partition, None, config), shards.shards, work=stages.folder)
        workers.forget()
        report(progress, "write", 1)
    return JoinedIndex(root)


def _gathered(shards: OpenedShards, path: Path) -> Codes:
    """Write the codes of all shards into one file, and map it: the stages read them as one array."""
    search = shards.stored.search

    def parts() -> Iterator[Codes]:
        for first in range(0, len(shards.film_ids), _ROWS):
            yield search.read_codes(np.arange(first, min(first + _ROWS, len(shards.film_ids))))

    write_rows(path, search.codes.shape, np.dtype(np.float32), parts())
    return map_array(path)
