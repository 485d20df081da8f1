"""An index, opened: its films, codes, graph and communities, and the queries to them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret.data.film_html import film_row
from graphret.index.askable import Askable
from graphret.index.changeable import ChangeableIndex
from graphret.index.drift import describe_drift
from graphret.index.graph_file import export_graph
from graphret.index.tuned import forget_tuning, read_tuning, record_tuning, with_tuning
from graphret.index.verifying import verify_index

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from graphret._types import Codes, Int32Array, Progress
    from graphret.data import ImageTable
    from graphret.encoders import Encoder
    from graphret.graph import Graph
    from graphret.index.generation import Generation
    from graphret.retrieval import Archive, Novelty

__all__ = ["Index"]

_SHOWN = 8  # communities in a notebook, the largest ones


class Index(ChangeableIndex, Askable):
    """Films of an archive, with codes, graph and communities, ready for queries; made by `build` and `open`.

    Queries may come from many threads at once. An index can be pickled at any time: the copy opens the folder again,
    by its absolute path, with the generation that is current then.
    """

    def __len__(self) -> int:
        return self._generation.n_films

    def __repr__(self) -> str:
        if self._opened is None:
            return f"Index({str(self.path)!r}, closed)"
        counts = self.manifest["counts"]
        return (
            f"Index({str(self.path)!r}, {counts['films']:,} films, {counts['edges']:,} edges, "
            f"{counts['communities']:,} communities)"
        )

    def _repr_html_(self) -> str:
        if self._opened is None:
            return film_row(repr(self), ())
        _, first = np.unique(self.communities, return_index=True)
        figures = [self.films.figure(row, f"community {place}") for place, row in enumerate(first[:_SHOWN].tolist())]
        return film_row(repr(self), figures)

    @property
    def _generation(self) -> Generation:
        return self._parts.generation

    @property
    def codes(self) -> Codes:
        """Codes of the films, float32 (n, d), memory-mapped, read-only, compared with their checksums."""
        return self._parts.stored.search.read_codes()

    @property
    def n_films(self) -> int:
        """Number of films."""
        return len(self)

    @property
    def generation(self) -> str:
        """Name of the generation that is open, as "gen-000001"; every change writes a new one."""
        return self._generation.name

    @property
    def communities(self) -> Int32Array:
        """Community of every film, int32 (n,), read-only; after a build 0 is the largest, changes keep numbers."""
        return self._generation.communities

    @property
    def manifest(self) -> dict[str, Any]:
        """What ``manifest.json`` says; see docs/index_format.md."""
        return self._generation.manifest

    @property
    def source(self) -> dict[str, Any]:
        """Where the films came from: ``spec``, ``root`` ("" when made in memory), ``splits`` (films of each)."""
        return dict(self.manifest["source"])

    @property
    def default_ranking(self) -> str:
        """The ranking of `query` when none is named: the one that the index was tuned to, or else "nearest"."""
        return self._parts.rankings.tuned.default_ranking

    @property
    def tuning(self) -> dict[str, Any] | None:
        """What `graphret tune` recorded: ranking, options, criterion, every trial; None for an index not tuned."""
        return self._parts.rankings.tuned.record

    def record_tuning(self, tuning: Mapping[str, Any]) -> None:
        """Keep a tuning (`Tuning.to_dict`) with the index: `query` then uses its ranking and options.

        A tuning of a ranking that reads labels is kept apart: `query` uses its options where that ranking is named, and
        `default_ranking` stays as it was.

        Raises
        ------
        IndexLockedError, StoreError
            Another process writes the index, or its folder cannot be written to.
        """
        record_tuning(self.path, self.manifest, with_tuning(self.tuning, tuning))
        self._parts.use_tuning(read_tuning(self.path, self.manifest))

    def forget_tuning(self) -> None:
        """Remove the tuning, so that `query` uses "nearest" again; raises as `record_tuning`."""
        forget_tuning(self.path)
        self._parts.use_tuning(None)

    @property
    def films(self) -> ImageTable:
        """The films, in the order of the codes; ``problems`` are those that were left out."""
        return self._parts.films

    @property
    def graph(self) -> Graph:
        """The similarity graph; its files are hashed at the first use."""
        return self._parts.graph

    @property
    def encoder(self) -> Encoder | None:
        """The encoder of the films, loaded at the first use; None for an index of codes made elsewhere."""
        return self._parts.encoder

    @property
    def archive(self) -> Archive:
        """Codes, graph, communities and search, as rankings take them."""
        return self._parts.rankings.archive

    @property
    def labelled_archive(self) -> Archive:
        """The archive with the findings of its films, for rankings that read them; without, where there are none."""
        return self._parts.rankings.archive_for("auto", labels=True)

    @property
    def novelty(self) -> Novelty:
        """How near the films are to those of other patients: what ``Hits.p_values`` compares with."""
        return self._parts.novelty

    def info(self) -> dict[str, Any]:
        """Return what an index is made of, as JSON values: counts, parameters, hashes, sizes."""
        manifest = self.manifest
        kept = ("generation", "parent", "created", "graphret_version", "schema_version")
        parts = ("counts", "parameters", "source", "encoder", "codes", "graph", "communities")
        return {
            "path": str(self.path),
            **{name: manifest[name] for name in (*kept, *parts)},
            "ranking": self._parts.rankings.tuned.default(),
            "search": self._generation.search_in_use,
            "drift": describe_drift(manifest),
            "n_bytes": sum(entry["bytes"] for entry in manifest["files"].values()),
        }

    def verify(self, progress: Progress | None = None, *, deep: bool = False) -> dict[str, Any]:
        """Read every byte of the index and compare it with its checksum; ``deep`` also scores edges again.

        Returns
        -------
        dict
            generation, parent, n_files, n_bytes, others, unused, unfinished, edges_checked; see
            `verifying.verify_index`.

        Raises
        ------
        DamagedIndexError
            The first file that is not what was written.
        """
        return verify_index(self.path, self._generation, deep=deep, progress=progress)

    def export_graph(self, path: str | os.PathLike[str]) -> None:
        """Write the graph as GraphML; nodes carry id, community, patient, view and one attribute a label.

        Raises
        ------
        InvalidParameterError
            The name of the file ends in neither ``.graphml`` nor ``.xml``.
        """
        export_graph(Path(path), self.graph, self.films, self.communities)
