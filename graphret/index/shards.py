"""Several indexes that are asked as one."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from graphret.files import check_path
from graphret.index.askable import Askable
from graphret.index.opened import OpenedIndex
from graphret.index.opened_shards import OF_SHARDS, OpenedShards
from graphret.index.shard_reasons import ShardReasons

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graphret._types import Int32Array
    from graphret.data import ImageTable
    from graphret.encoders import Encoder
    from graphret.graph import Graph
    from graphret.index.hits import Hits
    from graphret.index.reasons import FoundReasons
    from graphret.neighbors.sharded_search import ShardedSearch
    from graphret.retrieval import Archive, Novelty

__all__ = ["ShardedIndex"]


class ShardedIndex(Askable):
    """Indexes that are asked as one archive, for films that no single machine holds or builds; made by `open`.

    Positions count the films of the first shard, then those of the second, and so on. Ids are those of the shards, and
    every id is in one shard only. Filters, excluded patients, groups and the p-value see all films. Hits of "nearest"
    with ``search="exact"`` are those of one index of all films, to the bit; "alpha_qe" as well. Other rankings need a
    graph, bits or labels of all films together, and are refused. A community lies in one shard: those of a shard are
    numbered behind those of the shards before it.

    Parameters
    ----------
    paths
        Folders of the indexes, in the order of the positions.
    encoder
        Their encoder where it is in memory already.

    Raises
    ------
    NotAnIndexError, DamagedIndexError, StoreError, EncoderError
        As `graphret.open`, for each.
    InvalidParameterError
        No path, or more films than positions (2**31 - 1).
    CodesError, EncoderError, DataError
        Shards whose codes cannot be compared, or that have a film of the same id.

    Examples
    --------
    >>> import tempfile, numpy as np, graphret
    >>> codes = np.random.default_rng(0).random((40, 8), dtype=np.float32)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name, rows in (("a", range(25)), ("b", range(25, 40))):
    ...         ids = [str(row) for row in rows]
    ...         made = graphret.build(codes[rows], out=f"{folder}/{name}", ids=ids, k=5, tune=False)
    ...     index = ShardedIndex([f"{folder}/a", f"{folder}/b"])
    ...     len(index), index.query(codes[30], k=1).positions.tolist()
    (40, [[30]])
    """

    def __init__(self, paths: Sequence[str | os.PathLike[str]], *, encoder: Encoder | None = None) -> None:
        self.paths = tuple(check_path("path", path).absolute() for path in paths)
        self._shards = OpenedShards([OpenedIndex(path, encoder) for path in self.paths])

    def __len__(self) -> int:
        return len(self._shards.film_ids)

    def __repr__(self) -> str:
        return f"ShardedIndex({[str(path) for path in self.paths]}, {len(self):,} films)"

    def __getstate__(self) -> dict[str, Any]:
        return {"paths": self.paths}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["paths"])  # type: ignore[misc]

    @property
    def _parts(self) -> OpenedShards:
        return self._shards

    @property
    def path(self) -> Path:
        """All folders in one text, for messages."""
        return Path(os.pathsep.join(map(str, self.paths)))

    @property
    def n_films(self) -> int:
        """Number of films."""
        return len(self)

    @property
    def generation(self) -> str:
        """Names of the generations that are open, with "+" between them."""
        return "+".join(shard.generation.name for shard in self._shards.shards)

    @property
    def manifest(self) -> dict[str, Any]:
        """What the manifests say together: generation, created (the latest), counts (sums), encoder."""
        manifests = [shard.generation.manifest for shard in self._shards.shards]
        counts = dict(manifests[0]["counts"])
        for name in ("films", "edges", "communities"):
            counts[name] = sum(manifest["counts"][name] for manifest in manifests)
        counts["patients"] = len(set(self.films.patients.tolist()))
        return {
            "generation": self.generation,
            "created": max(manifest["created"] for manifest in manifests),
            "counts": counts,
            "encoder": manifests[0]["encoder"],
        }

    @property
    def default_ranking(self) -> str:
        """The ranking of `query` when none is named: "nearest"."""
        return OF_SHARDS[0]

    @property
    def rankings(self) -> list[str]:
        """The rankings that shards can answer."""
        return list(OF_SHARDS)

    @property
    def films(self) -> ImageTable:
        """The films of all shards, in the order of the positions."""
        return self._shards.films

    @property
    def communities(self) -> Int32Array:
        """Community of every film, int32 (n,); each lies in one shard."""
        return self._shards.communities

    @property
    def graph(self) -> Graph:
        """There is none: raises `InvalidParameterError`."""
        return self._shards.graph

    @property
    def encoder(self) -> Encoder | None:
        """The encoder of the films; None for codes made elsewhere."""
        return self._shards.encoder

    @property
    def archive(self) -> Archive:
        """Codes, communities and search of all shards, as rankings take them."""
        return self._shards.stored

    @property
    def novelty(self) -> Novelty:
        """How near the films are to those of other patients, over all shards."""
        return self._shards.novelty

    def _answered(self, hits: Hits) -> Hits:
        found = cast("FoundReasons", hits._reasons)
        search = cast("ShardedSearch", found.archive.search)
        return replace(hits, _reasons=ShardReasons(self._shards, search, found))
