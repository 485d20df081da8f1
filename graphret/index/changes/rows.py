"""The core of every change of films: rows go, rows come, and everything that was made of them follows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from graphret.communities import Partition, modularity
from graphret.communities.local_moves import move_locally
from graphret.files import make_folder, map_array, write_rows
from graphret.graph import similarity_graph
from graphret.index.build_stages import report
from graphret.index.changes.tables import joined_films
from graphret.index.contents import Coded, Contents, Linked
from graphret.index.layout import ALL_ARRAYS, ARRAYS, ENCODER
from graphret.index.source import codes_hash
from graphret.neighbors import ExactSearch
from graphret.neighbors.changed_rows import list_lengths, refill_short_lists, with_rows_added, with_rows_removed
from graphret.neighbors.exact_search import row_lengths
from graphret.neighbors.graph_search_changes import changed_graph_search
from graphret.retrieval import Novelty

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from graphret._types import Codes, Int64Array, Progress
    from graphret.data import ImageTable
    from graphret.graph import Graph
    from graphret.index.changes.change import Current

__all__ = ["changed_contents"]

_BLOCK = 16_384


def changed_contents(
    current: Current,
    kept: Int64Array,
    new_codes: Codes,
    new_films: ImageTable,
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
    kept
        int64, ascending positions of the films that stay.
    new_codes, new_films, new_states
        Films that come, at least none; the state of their files.
    record
        What the change adds to the record of changes.
    """
    generation, config = current.generation, current.config
    table = current.neighbors(n_threads, progress)
    current.check_hash(ARRAYS["codes"], ARRAYS["lengths"])
    before, structure = generation.read_graph(), generation.read_graph_search()
    codes = _write_codes(current, kept, new_codes)
    lengths = np.concatenate([generation.lengths[kept], row_lengths(new_codes)])
    search = ExactSearch(codes.view(np.ndarray), lengths)
    films = joined_films(current.films.select(kept), new_films)

    report(progress, "neighbors", 0)
    table = with_rows_removed(table, kept)
    table = with_rows_added(table, search, config.k, n_threads=n_threads)
    table = refill_short_lists(table, search, config.k, n_threads=n_threads)
    report(progress, "neighbors", 1)
    threshold = generation.manifest["graph"]["threshold"]
    graph = similarity_graph(table, threshold=threshold, weights=config.edge_weights)
    novelty = Novelty.of(search, films.patients, films.splits, table, seed=config.seed)
    if structure is not None:
        structure = changed_graph_search(structure, search, kept, table.neighbors)

    labels = np.concatenate([generation.communities[kept], np.full(len(new_codes), -1)])
    moved = move_locally(
        graph,
        labels,
        _touched(before, kept, graph),
        current.record["next_community"],
        objective=config.objective,
        resolution=config.resolution,
    )
    quality = modularity(graph, moved.labels, objective=config.objective, resolution=config.resolution)
    reached = tuple(generation.manifest["communities"].get("start_qualities", ()))
    partition = Partition(moved.labels, quality, len(np.unique(moved.labels)), start_qualities=reached)
    report(progress, "communities", 1)
    width = min(config.k, len(films) - 1)
    states = np.concatenate([current.states[kept], new_states])
    return Contents(
        Coded(codes, films, codes_hash(codes), current.work / ARRAYS["codes"], states, lengths),
        Linked(table, graph, novelty),
        partition,
        structure,
        config,
        changes={
            **current.record,
            **record,
            "next_community": moved.next_number,
            "short_lists": int(np.count_nonzero(list_lengths(table) < width)),
        },
        parent=generation,
        unchanged=frozenset({ENCODER, ALL_ARRAYS["search directions"]}),
    )


def _write_codes(current: Current, kept: Int64Array, new_codes: Codes) -> Codes:
    """Write the codes to a file that the generation then has, a block in memory at a time."""
    codes = current.generation.codes
    file = make_folder(current.work) / ARRAYS["codes"]

    def parts() -> Iterator[Codes]:
        for first in range(0, len(kept), _BLOCK):
            yield codes[kept[first : first + _BLOCK]]
        yield new_codes

    write_rows(file, (len(kept) + len(new_codes), codes.shape[1]), np.dtype(np.float32), parts())
    return map_array(file)


def _touched(before: Graph, kept: Int64Array, after: Graph) -> Int64Array:
    """Films that stayed and whose edges are others than before."""
    n_edges = np.diff(before.indptr)[kept] != np.diff(after.indptr)[: len(kept)]
    return np.flatnonzero(n_edges | (before.degrees[kept] != after.degrees[: len(kept)]))
