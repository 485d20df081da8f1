"""The stages of a build behind the codes: neighbours, graph, search, communities; each is kept until all are done."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._errors import InvalidParameterError
from graphret.communities import Partition, partition
from graphret.files import Stage, Stages, digest
from graphret.graph import Graph, similarity_graph
from graphret.index.build_memory import BuildMemory
from graphret.index.contents import Linked
from graphret.neighbors import ExactSearch, GraphSearchStructure, NeighborTable, build_graph_search, nearest_neighbors
from graphret.retrieval import Novelty

if TYPE_CHECKING:
    from graphret._types import Progress
    from graphret.cluster import Engine
    from graphret.index.config import BuildConfig
    from graphret.index.contents import Coded

__all__ = ["check_backends", "divide_films", "keep_neighbors", "link_films", "prepare_search", "report"]


def check_backends(config: BuildConfig) -> None:
    """Run both libraries on three nodes: one that is missing is reported before hours of encoding, not after."""
    tiny = nearest_neighbors(np.eye(3, dtype=np.float32) + 0.1, 2, backend=config.backend, method=config.method)
    partition(similarity_graph(tiny), method=config.communities)


def link_films(coded: Coded, stages: Stages, config: BuildConfig, engine: Engine, progress: Progress | None) -> Linked:
    """Find the neighbours and make the graph of them.

    Raises
    ------
    InvalidParameterError
        ``max_memory`` is too small for a stage, this one or a later one; or a backend was named where blocks lie in
        storage.
    """
    fits = _memory(coded, config)
    key = _neighbors_key(coded, config)
    found = stages.load("neighbors", key)
    if found is None:
        join = None
        if engine.is_cluster or fits.stored:
            _refuse_backend(config)
            join = engine.join(coded.sha256)
        table = nearest_neighbors(
            coded.codes,
            config.k,
            backend=config.backend,
            method=config.method,
            seed=config.seed,
            n_threads=config.n_threads,
            join=join,
            progress=progress,
        )
        found = keep_neighbors(table, coded, stages, config)
        if join is not None:
            join.forget()
    report(progress, "graph", 0)
    table = NeighborTable(found.arrays["neighbors"], found.arrays["similarities"], **found.record)
    graph = similarity_graph(table, threshold=config.threshold, weights=config.edge_weights)
    report(progress, "graph", 1)
    novelty = Novelty.of(ExactSearch(coded.codes), coded.films.patients, coded.films.splits, table, seed=config.seed)
    return Linked(table, graph, novelty)


def keep_neighbors(table: NeighborTable, coded: Coded, stages: Stages, config: BuildConfig) -> Stage:
    """Keep a kNN table as the finished stage of the search for neighbours."""
    search = {name: getattr(table, name) for name in ("method", "recall", "n_proven", "n_scanned")}
    found = Stage(search, {"neighbors": table.neighbors, "similarities": table.similarities})
    stages.save("neighbors", _neighbors_key(coded, config), *found)
    return found


def _refuse_backend(config: BuildConfig) -> None:
    """Blocks in storage are joined by processors: another backend that was named is not passed over in silence."""
    if config.backend != "auto":
        hint = "neighbours that workers find, or that max_memory keeps on disk, are joined by processors"
        raise InvalidParameterError("backend", config.backend, "'auto'", hint)


def _memory(coded: Coded, config: BuildConfig) -> BuildMemory:
    """How the stages fit into the memory that they may take."""
    n_films, n_dimensions = coded.codes.shape
    return BuildMemory.of(n_films, n_dimensions, config).within(config.max_memory)


def _neighbors_key(coded: Coded, config: BuildConfig) -> str:
    return digest("neighbors", coded.sha256, config.k, config.method, config.backend, config.seed)


def prepare_search(
    coded: Coded, linked: Linked, stages: Stages, config: BuildConfig, progress: Progress | None
) -> GraphSearchStructure | None:
    """Make what graph search needs, or None where queries shall scan the codes."""
    if config.search == "exact":
        return None
    report(progress, "search", 0)
    key = digest("search", _neighbors_key(coded, config), config.search, config.search_recall)
    found = stages.load("search", key)
    if found is None:
        structure = build_graph_search(
            ExactSearch(coded.codes),
            linked.table.neighbors,
            config.k,
            recall=config.search_recall,
            always=config.search == "graph",
            seed=config.seed,
            n_threads=config.n_threads,
        )
        found = Stage({}, {})
        for entry in () if structure is None else fields(structure):
            value = getattr(structure, entry.name)
            (found.arrays if isinstance(value, np.ndarray) else found.record)[entry.name] = value
        stages.save("search", key, *found)
    report(progress, "search", 1)
    values: dict[str, Any] = found.arrays | found.record
    return GraphSearchStructure(**values) if values else None


def divide_films(
    coded: Coded, graph: Graph, stages: Stages, config: BuildConfig, progress: Progress | None
) -> Partition:
    """Divide the graph into communities; as many starts at once as memory allows."""
    report(progress, "communities", 0)
    settings = {
        "method": config.communities,
        "objective": config.objective,
        "resolution": config.resolution,
        "seed": config.seed,
        "n_starts": config.n_starts,
    }
    key = digest("communities", graph.fingerprint, settings)
    found = stages.load("communities", key)
    if found is None:
        n_threads = config.n_threads if config.max_memory is None else _memory(coded, config).starts_at_once
        made = partition(graph, **settings, n_threads=n_threads)  # type: ignore[arg-type]
        about = {name: getattr(made, name) for name in ("quality", "n_communities", "start_qualities")}
        stages.save("communities", key, about, {"labels": made.labels})
    else:
        reached = tuple(found.record.pop("start_qualities"))
        made = Partition(found.arrays["labels"], **found.record, start_qualities=reached)
    report(progress, "communities", 1)
    return made


def report(progress: Progress | None, stage: str, done: int) -> None:
    """Say that a stage begins (0) or is done (1)."""
    if progress is not None:
        progress(stage, done, 1)
