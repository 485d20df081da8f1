"""Shards with one graph and one division into communities: asked as an index of all their films."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from graphret.files import digest
from graphret.index.front import Front, films_hash, open_front
from graphret.index.index import Index
from graphret.index.opened import OpenedIndex
from graphret.index.opened_shards import OpenedShards
from graphret.index.store import BUILD
from graphret.index.tuned import read_tuning
from graphret.index.verifying import temporary_names, verify_index
from graphret.retrieval import Novelty

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from graphret._types import Int32Array, Progress
    from graphret.encoders import Encoder
    from graphret.graph import Graph

__all__ = ["JoinedIndex", "JoinedShards"]


class JoinedShards(OpenedShards):
    """Shards that were joined, read as an `OpenedIndex` is.

    Parameters
    ----------
    front
        What was made of them together.
    shards
        In its order.

    Raises
    ------
    StaleFrontError
        Films or codes of a shard have changed.
    """

    def __init__(self, front: Front, shards: Sequence[OpenedIndex]) -> None:
        front.check(shards)
        # labels and patients may have changed since: then it is another generation, with the same graph
        changed = digest([shard.generation.name for shard in shards])[:8]
        manifest = {**front.manifest, "generation": f"{front.name}-{changed}"}
        self.generation = replace(front, manifest=manifest)
        self.root = front.folder.parent
        super().__init__(shards)

    @classmethod
    def open(cls, root: Path, encoder: Encoder | None = None) -> JoinedShards:
        """Open a front and its shards."""
        front = open_front(root)
        return cls(front, [OpenedIndex(path, encoder) for path in front.shards])

    def _take_rankings(self) -> None:
        self.use_tuning(read_tuning(self.root, self.generation.manifest))

    @property
    def k(self) -> int:
        """Nearest films of a query that rankings may count on: the k that all shards were joined with."""
        return int(self.generation.manifest["parameters"]["k"])

    @cached_property
    def communities(self) -> Int32Array:
        """Community of every film, int32 (n,)."""
        return self.generation.communities

    @cached_property
    def graph(self) -> Graph:
        """The similarity graph of the films of all shards."""
        return self.generation.read_graph()

    @cached_property
    def novelty(self) -> Novelty:
        """How near the films are to those of other patients; searched for where patients may have changed since."""
        manifest = self.generation.manifest
        if manifest["films_sha256"] == films_hash(self.shards):
            return Novelty.from_record(manifest["novelty"])
        return super().novelty


class JoinedIndex(Index):
    """An `Index` over shards that were joined by `join_shards`; made by `open` and `join_shards`.

    It answers as one index of all films does that was built with the same parameters: every ranking, filter and
    tuning. Positions count the films of the first shard, then those of the second, and so on. With ``search="exact"``
    hits are the same to the bit; over links each shard has its own recall. Codes stay in the shards: what reads all
    of them ("hamming", whitening, a learned metric, ``codes``) copies them into memory.

    It is changed by changing its shards, and joining them again: `add`, `remove`, `rebuild` and the like raise
    `NotAnIndexError`.

    Raises
    ------
    StaleFrontError
        Films or codes of a shard have changed since the shards were joined.
    NotAnIndexError, DamagedIndexError, StoreError
        As `graphret.open`, also for each shard.
    """

    def _open(self, encoder: Encoder | None = None) -> JoinedShards:
        return JoinedShards.open(self.path, encoder)

    @property
    def _joined(self) -> JoinedShards:
        return cast("JoinedShards", self._parts)

    @property
    def shards(self) -> list[Path]:
        """Folders of the shards, in the order of the positions."""
        return [shard.root for shard in self._joined.shards]

    def verify(self, progress: Progress | None = None, *, deep: bool = False) -> dict[str, Any]:
        """Read every byte of graph, communities and all shards; see `Index.verify`.

        Returns
        -------
        dict
            As of an index, counted over the shards; with ``deep`` the edges that are scored again are those of the
            shards' own graphs.

        Raises
        ------
        DamagedIndexError
            The first file that is not what was written.
        """
        opened, front = self._joined, open_front(self.path)
        for file in front.files:
            front.files.check(file)
        front.read_graph()
        found = [verify_index(shard.root, shard.generation, deep=deep, progress=progress) for shard in opened.shards]
        own = {
            "generation": self.generation,
            "parent": None,
            "n_files": len(front.files) + 1 + sum(one["n_files"] for one in found),
            "n_bytes": sum(file.n_bytes for file in front.files.values()) + sum(one["n_bytes"] for one in found),
            "others": [other for one in found for other in one["others"]],
            "unused": [*temporary_names(self.path), *(name for one in found for name in one["unused"])],
            "unfinished": (self.path / BUILD).exists() or any(one["unfinished"] for one in found),
        }
        return own | ({"edges_checked": sum(one["edges_checked"] for one in found)} if deep else {})
