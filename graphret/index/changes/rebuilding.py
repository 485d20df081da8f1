"""The archive is built again as a whole from its codes; communities keep the numbers of those that they continue."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret.cluster import Engine
from graphret.communities import louvain
from graphret.communities.matching import match_communities
from graphret.files import Stages
from graphret.index.build_stages import divide_films, keep_neighbors, link_films, prepare_search
from graphret.index.changes.change import Change, Current, changing
from graphret.index.changes.unchanged import coded_as_it_is
from graphret.index.config import BuildConfig
from graphret.index.contents import Contents
from graphret.index.drift import fresh_record
from graphret.index.layout import ARRAYS, CHANGE_ARRAYS, CODE_CHECKSUMS, ENCODER, FILMS, PROBLEMS
from graphret.index.neighbor_files import read_neighbors
from graphret.index.store import KEEP
from graphret.neighbors import ExactSearch
from graphret.neighbors.changed_rows import list_lengths, refill_short_lists

if TYPE_CHECKING:
    import os

    from graphret._types import Int32Array, Progress
    from graphret.communities import Partition
    from graphret.graph import Graph
    from graphret.neighbors import NeighborTable

__all__ = ["rebuild"]

WORTH = 0.001
"""Modularity that a partition made afresh must be better by than one that goes on from the communities that are known:
for less, nobody wants to learn new communities."""
SHOWN = 100
"""Splits and merges that the manifest lists, at most."""


def rebuild(
    path: str | os.PathLike[str], overrides: dict[str, Any], *, keep: int = KEEP, progress: Progress | None = None
) -> Change:
    """Build the current generation again as a whole; see `Index.rebuild`."""
    with changing(path, "rebuild", keep) as current:
        generation = current.generation
        config = BuildConfig.of(current.config, overrides)
        current.check_hash(ARRAYS["codes"], ARRAYS["lengths"])
        stages = Stages(current.work)
        coded = coded_as_it_is(current)
        known_table = _known_neighbors(current, config)
        if known_table is not None:
            keep_neighbors(known_table, coded, stages, config)
        linked = link_films(coded, stages, config, Engine.local(stages.folder), progress)
        structure = prepare_search(coded, linked, stages, config, progress)
        known = generation.communities
        found = _divided(linked.graph, known, divide_films(coded, linked.graph, stages, config, progress), config)
        matched = match_communities(known, found.labels, current.record["next_community"])
        partition = replace(found, labels=matched.labels)
        renumbered = {
            "films_that_kept_their_community": matched.n_kept,
            "n_splits": len(matched.splits),
            "n_merges": len(matched.merges),
            "splits": {str(number): parts for number, parts in list(matched.splits.items())[:SHOWN]},
            "merges": {str(number): parts for number, parts in list(matched.merges.items())[:SHOWN]},
        }
        changes = {
            **fresh_record(len(current.films), linked.graph, partition),
            "films_ever": current.record["films_ever"],
            "next_community": matched.next_number,
            "renumbered": renumbered,
        }
        files = {
            ARRAYS["codes"],
            ARRAYS["lengths"],
            CODE_CHECKSUMS["code checksums"],
            CHANGE_ARRAYS["film files"],
            FILMS,
            PROBLEMS,
            ENCODER,
        }
        contents = Contents(
            coded,
            linked,
            partition,
            structure,
            config,
            changes=changes,
            parent=generation,
            unchanged=frozenset(files),
        )
        name = current.publish(lambda _: contents)
        counts = {"films": len(current.films), "communities": partition.n_communities}
        return Change("rebuild", name, counts, details=renumbered)


def _known_neighbors(current: Current, config: BuildConfig) -> NeighborTable | None:
    """Complete the kNN table that the index keeps, which changes have left exact; None where it must be made anew.

    It must be where it was approximate, or another search or more neighbours are asked for.
    """
    table, before = read_neighbors(current.generation), current.config
    n_films = current.generation.n_films
    same_search = (config.method, config.backend) == (before.method, before.backend)
    if table is None or table.method != "exact" or not same_search or table.k < min(config.k, n_films - 1):
        return None
    search = ExactSearch(current.generation.codes.view(np.ndarray), current.generation.lengths.view(np.ndarray))
    known = refill_short_lists(table, search, config.k, may_lack=0, n_threads=config.n_threads)
    n_scanned = int(np.count_nonzero(list_lengths(table) < known.k))
    return replace(known, n_proven=n_films - n_scanned, n_scanned=n_scanned)


def _divided(graph: Graph, known: Int32Array, afresh: Partition, config: BuildConfig) -> Partition:
    """Choose between a partition made afresh and one that starts from the known communities."""
    if config.communities != "louvain":
        return afresh
    warm = louvain(
        graph,
        objective=config.objective,
        resolution=config.resolution,
        seed=config.seed,
        n_starts=1,
        initial=known,
        n_threads=config.n_threads,
    )
    chosen = warm if warm.quality >= afresh.quality - WORTH else afresh
    return replace(chosen, start_qualities=afresh.start_qualities)
