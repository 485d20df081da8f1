"""Why a film of a shard is where it is: its edges are those of its own shard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from graphret.index.reasons import FoundReasons, KeptReasons
from graphret.retrieval import QueryBatch, RankedLists

if TYPE_CHECKING:
    from graphret.index.opened_shards import OpenedShards
    from graphret.index.reasons import Why
    from graphret.neighbors.sharded_search import ShardedSearch

__all__ = ["NOTE", "ShardReasons"]

NOTE = "communities and edges are those of each shard: none joins films of two shards"


@dataclass(frozen=True, eq=False)
class ShardReasons:
    """Reasons of hits of several shards, worked out when somebody asks.

    Parameters
    ----------
    opened
        The shards.
    search
        How they were searched.
    found
        What was asked and found over all of them.
    """

    opened: OpenedShards
    search: ShardedSearch
    found: FoundReasons

    @property
    def notes(self) -> tuple[str, ...]:
        """What the ranking says, and whose the edges are."""
        return (*self.found.notes, NOTE)

    def explain(self, row: int) -> list[Why]:
        """Explain the list of one query: each shard explains its own films, as if it had been asked alone.

        A film then has its edge to the query if it is among the nearest of its shard, and its edges to the films of the
        same shard that stand before it. Each shard is searched once more.
        """
        search, batch = self.search, self.found.batch.only(row)
        films = self.found.ranked.positions[row]
        films = films[films >= 0]
        home = search.shard_of(films)
        reasons: dict[int, Why] = {}
        for number in np.unique(home).tolist():
            places = np.flatnonzero(home == number)
            shard = self.opened.shards[number]
            archive = shard.stored.with_parts(search=search.shards[number])
            allowed, forbidden = search.part_of(number, batch.allowed, batch.forbidden)
            asked = QueryBatch.of(archive, batch.codes, archive.k, allowed=allowed, forbidden=forbidden, n_threads=1)
            ranked = RankedLists.empty(1, len(places))
            ranked.positions[0] = films[places] - search.starts[number]
            alone = FoundReasons(self.found.choice, archive, asked, ranked, shard.film_ids).explain(0)
            reasons |= dict(zip(places.tolist(), alone, strict=True))
        return [reasons[place] for place in range(len(films))]

    def estimated_findings(self, row: int) -> dict[str, float]:
        """None: rankings of shards read no labels."""
        return self.found.estimated_findings(row)

    def kept(self) -> KeptReasons:
        """Work all of it out."""
        rows = range(len(self.found.ranked))
        return KeptReasons(self.notes, [self.explain(row) for row in rows], [{} for _ in rows])
