"""The core of every change of films: rows go, rows come, and everything that was made of them follows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from graphret.communities import Partition, modularity
from graphret.communities.local_moves import move_locally
from graphret.graph import Graph, similarity_graph
from graphret.graph.removed_nodes import graph_without
from graphret.index.build_stages import report
from graphret.index.changes.beside import beside
from graphret.index.changes.codes_file import write_codes
from graphret.index.changes.tables import joined_films
from graphret.index.contents import FILE_NAMES, Coded, Contents, Linked, flushed_entry, write_films, write_hashed
from graphret.index.layout import ALL_ARRAYS, ARRAYS, CHANGE_ARRAYS, ENCODER, GRAPH_SEARCH_ATTRIBUTES
from graphret.neighbors import ExactSearch, row_checksums
from graphret.neighbors.changed_rows import (
    list_lengths,
    refill_short_lists,
    short_lists,
    with_rows_added,
    with_rows_removed,
)
from graphret.neighbors.exact_search import row_lengths
from graphret.neighbors.graph_search_changes import changed_graph_search
from graphret.retrieval import Novelty

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    from numpy.typing import NDArray

    from graphret._types import Codes, Int64Array, Progress
    from graphret.data import ImageTable
    from graphret.index.changes.beside import Start
    from graphret.index.changes.change import Current
    from graphret.index.generation import Generation
    from graphret.neighbors import GraphSearchStructure, NeighborTable

__all__ = ["changed_contents"]

_UNCHANGED = frozenset({ENCODER, ALL_ARRAYS["search directions"]})
"""Files that a change of films leaves as they are."""


def changed_contents(
    current: Current,
    folder: Path,
    kept: Int64Array,
    new_codes: Codes,
    new_films: ImageTable | None,
    new_states: Int64Array,
    record: dict[str, Any],
    *,
    n_threads: int | None,
    progress: Progress | None,
) -> Contents:
    """Return the contents of an index that keeps some films and gets others, behind them.

    The threshold, the directions of graph search and the numbers of communities stay as they are.

    Parameters
    ----------
    current
        The generation that is changed.
    folder
        Of the new one, empty: the codes are written into it.
    kept
        int64, ascending positions of the films that stay.
    new_codes, new_films, new_states
        Films that come, at least none (then ``None`` for their table); the state of their files.
    record
        What the change adds to the record of changes.
    """
    generation, config = current.generation, current.config
    from_files = CHANGE_ARRAYS["neighbors"] in generation.files
    with beside(n_threads) as start:
        written = _Written(folder, start)
        codes = start(lambda: written.codes(generation, kept, new_codes))
        films_to_come = start(lambda: _films(current, kept, new_films))
        graph_checked = start(generation.check_graph_files)
        structure = start(lambda: generation.read_graph_search(for_queries=False))
        written.begin(lambda: write_films(folder, films_to_come()))
        lengths = np.concatenate([generation.lengths[kept], row_lengths(new_codes)])
        checksums = _checksums(generation, kept, new_codes)
        written.array("lengths", lengths)
        if checksums is not None:
            written.array("code checksums", checksums)

        def search() -> ExactSearch:
            return ExactSearch(codes()[0].view(np.ndarray), lengths)

        report(progress, "neighbors", 0)
        table = current.neighbors(n_threads, progress)
        table, only_removed = _changed_table(table, kept, len(new_codes), search, structure, config.k, n_threads)
        only_removed = only_removed and from_files  # a table that was made just now is not that of graph and links
        report(progress, "neighbors", 1)
        followed = start(lambda: written.links(_followed(structure(), search, kept, table, only_removed=only_removed)))
        written.array("neighbors", table.neighbors)
        written.array("neighbor similarities", table.similarities)
        graph_checked()
        threshold = generation.manifest["graph"]["threshold"]
        arrays = generation.arrays
        before = Graph(arrays["indptr"], arrays["indices"], arrays["weights"], threshold=threshold)
        if only_removed:
            graph = graph_without(before, kept, table, weights=config.edge_weights)
        else:
            graph = similarity_graph(table, threshold=threshold, weights=config.edge_weights)
        start(lambda: graph.fingerprint)
        for role in ("indptr", "indices", "weights"):
            written.array(role, getattr(graph, role))
        partition, next_number = _moved(current, kept, len(new_codes), before, graph)
        written.array("communities", partition.labels)
        report(progress, "communities", 1)
        films = films_to_come()
        novelty = Novelty.of(search(), films.patients, films.splits, table, seed=config.seed)
        width = min(config.k, len(films) - 1)
        return Contents(
            Coded(
                codes()[0],
                films,
                codes()[1],
                file_states=np.concatenate([current.states[kept], new_states]),
                lengths=lengths,
                checksums=checksums,
            ),
            Linked(table, graph, novelty),
            partition,
            followed(),
            config,
            changes={
                **current.record,
                **record,
                "next_community": next_number,
                "short_lists": int(np.count_nonzero(list_lengths(table) < width)),
            },
            parent=generation,
            unchanged=_UNCHANGED,
            written=written.entries(),
        )


def _films(current: Current, kept: Int64Array, new: ImageTable | None) -> ImageTable:
    stay = current.films.select(kept)
    return stay if new is None else joined_films(stay, new)


class _Written:
    """Files of the new generation that are written, flushed and hashed beside the work that goes on."""

    def __init__(self, folder: Path, start: Start) -> None:
        self._folder, self._start = folder, start
        self._writing: list[Callable[[], dict[str, dict[str, Any]]]] = []

    def codes(self, generation: Generation, kept: Int64Array, new_codes: Codes) -> tuple[Codes, str]:
        """Write the codes, and begin to flush them; see `write_codes`."""
        path = self._folder / ARRAYS["codes"]
        codes, sha256 = write_codes(generation, path, kept, new_codes)
        self.begin(lambda: {path.name: flushed_entry(path, sha256)})
        return codes, sha256

    def array(self, role: str, array: NDArray[Any]) -> None:
        """Begin the file of an array that is finished."""
        file = FILE_NAMES[role]
        self.begin(lambda: {file: write_hashed(self._folder / file, array)})

    def links(self, structure: GraphSearchStructure | None) -> GraphSearchStructure | None:
        """Begin the files of graph search that are others than before."""
        if structure is not None:
            for role, attribute in GRAPH_SEARCH_ATTRIBUTES.items():
                if ALL_ARRAYS[role] not in _UNCHANGED:
                    self.array(role, getattr(structure, attribute))
        return structure

    def begin(self, write: Callable[[], dict[str, dict[str, Any]]]) -> None:
        """Begin what writes files, and returns what a manifest says of each."""
        self._writing.append(self._start(write))

    def entries(self) -> dict[str, dict[str, Any]]:
        """Wait for all files; what a manifest says of each."""
        return {file: entry for entries in self._writing for file, entry in entries().items()}


def _changed_table(
    table: NeighborTable,
    kept: Int64Array,
    n_new: int,
    search: Callable[[], ExactSearch],
    structure: Callable[[], GraphSearchStructure | None],
    k: int,
    n_threads: int | None,
) -> tuple[NeighborTable, bool]:
    """Let the kNN table follow; returns it, and whether its lists have only lost films."""
    width = table.k
    if len(kept) < len(table.neighbors):
        table = with_rows_removed(table, kept)
    if n_new:
        known = structure()
        directions = None if known is None else known.directions
        table = with_rows_added(table, search(), k, directions=directions, n_threads=n_threads)
    elif width <= k and not len(short_lists(table, k)):
        return table, True
    return refill_short_lists(table, search(), k, n_threads=n_threads), False


def _followed(
    structure: GraphSearchStructure | None,
    search: Callable[[], ExactSearch],
    kept: Int64Array,
    table: NeighborTable,
    *,
    only_removed: bool,
) -> GraphSearchStructure | None:
    if structure is None:
        return None
    return changed_graph_search(structure, search, kept, table.neighbors, only_removed=only_removed)


def _checksums(generation: Generation, kept: Int64Array, new_codes: Codes) -> NDArray[np.uint64] | None:
    """Checksums of the codes; None where the index was built before there were any."""
    known = generation.arrays.get("code checksums")
    return None if known is None else np.concatenate([known[kept], row_checksums(new_codes)])


def _moved(current: Current, kept: Int64Array, n_new: int, before: Graph, graph: Graph) -> tuple[Partition, int]:
    """Let communities follow the graph; returns them, and the smallest number that none has had."""
    generation, config = current.generation, current.config
    moved = move_locally(
        graph,
        np.concatenate([generation.communities[kept], np.full(n_new, -1)]),
        _touched(before, kept, graph),
        current.record["next_community"],
        objective=config.objective,
        resolution=config.resolution,
    )
    quality = modularity(graph, moved.labels, objective=config.objective, resolution=config.resolution)
    reached = tuple(generation.manifest["communities"].get("start_qualities", ()))
    partition = Partition(moved.labels, quality, len(np.unique(moved.labels)), start_qualities=reached)
    return partition, moved.next_number


def _touched(before: Graph, kept: Int64Array, after: Graph) -> Int64Array:
    """Films that stayed and whose edges are others than before."""
    n_edges = np.diff(before.indptr)[kept] != np.diff(after.indptr)[: len(kept)]
    return np.flatnonzero(n_edges | (before.degrees[kept] != after.degrees[: len(kept)]))
