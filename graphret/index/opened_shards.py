"""What several indexes give when they are asked as one: one table, one search, and no graph across them."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from graphret._errors import DataError, EncoderError, InvalidParameterError
from graphret._notes import note_once
from graphret.files import digest
from graphret.index.changes.tables import joined_films
from graphret.index.derived import derived_array
from graphret.index.opened import OpenedIndex
from graphret.index.rankings import IndexRankings
from graphret.index.stored_archive import StoredArchive
from graphret.index.tuned import TunedRankings
from graphret.neighbors.sharded_search import ShardedSearch
from graphret.retrieval import TUNED, Novelty, RankingChoice
from graphret.retrieval.novelty import SAMPLE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from graphret._types import Int32Array
    from graphret.data import ImageTable
    from graphret.encoders import Encoder
    from graphret.graph import Graph
    from graphret.index.film_ids import FilmIds

__all__ = ["OF_SHARDS", "OpenedShards"]

OF_SHARDS = ("nearest", "alpha_qe")
"""Rankings that need codes and nearest films only. All others read a graph, bits or labels of the whole archive."""
logger = logging.getLogger(__name__)


class OpenedShards(OpenedIndex):
    """Indexes that are asked as one; read as an `OpenedIndex` is, each part once.

    Parameters
    ----------
    shards
        At least one, in the order of the positions.

    Raises
    ------
    InvalidParameterError
        No shard, or more films than positions.
    CodesError, EncoderError
        Shards of several code lengths, or encoders.
    DataError
        An id that two shards have.
    """

    def __init__(self, shards: Sequence[OpenedIndex]) -> None:
        self.shards = list(shards)
        self._given = None
        self.search_by("auto")  # which refuses what does not fit together
        self._check_encoders()
        self.film_ids = self._joined_ids()
        self._take_rankings()

    def _take_rankings(self) -> None:
        self.rankings = ShardRankings(TunedRankings(None), lambda: self.stored, lambda: self.films)
        tuned = [str(shard.root) for shard in self.shards if shard.rankings.tuned.record is not None]
        if tuned:
            note_once(logger, f"shards are asked with {OF_SHARDS[0]!r}: {tuned[0]} was tuned, which holds for it alone")

    def search_by(self, search: str) -> ShardedSearch:
        """Search each shard as a query asks: "auto", "exact" or "graph"."""
        return ShardedSearch([shard.rankings.archive_for(search, labels=False).search for shard in self.shards])

    def _check_encoders(self) -> None:
        made = [_encoder_of(shard) for shard in self.shards]
        for shard, fingerprint in zip(self.shards, made, strict=True):
            if fingerprint != made[0]:
                raise EncoderError(
                    f"{shard.root} was built with {fingerprint}, {self.shards[0].root} with {made[0]}: their codes "
                    "cannot be compared, so they are no shards of one index"
                )

    def _joined_ids(self) -> FilmIds:
        from graphret.index.film_ids import FilmIds

        homes: dict[str, int] = {}
        for number, shard in enumerate(self.shards):
            for name in shard.film_ids.take(np.arange(len(shard.film_ids), dtype=np.int32)).tolist():
                if name in homes:
                    raise DataError(
                        f"the film {name!r} is in {self.shards[homes[name]].root} and in {shard.root}: every id is in "
                        "one shard only; remove it from one of them"
                    )
                homes[name] = number
        return FilmIds.of(homes)

    @property
    def has_encoder(self) -> bool:
        """Whether films can be asked for."""
        return self.shards[0].generation.manifest["encoder"] is not None

    @property
    def reads_colour(self) -> bool:
        """Whether films that are asked for keep their colours."""
        return self.shards[0].reads_colour

    @cached_property
    def films(self) -> ImageTable:
        """The films of all shards; a label that a shard does not know is no finding of its films."""
        return _joined([shard.films for shard in self.shards])

    @cached_property
    def graph(self) -> Graph:
        """There is none.

        Raises
        ------
        InvalidParameterError
            Always.
        """
        raise InvalidParameterError(
            "index", f"{len(self.shards)} shards", "one index",
            "shards have no edges between films of different shards: `graphret join-shards` finds them",
        )  # fmt: skip

    @cached_property
    def encoder(self) -> Encoder | None:
        """The encoder of the films, which is the same for all shards."""
        return self.shards[0].encoder

    @property
    def k(self) -> int:
        """Nearest films of a query that rankings may count on."""
        return max(shard.stored.k for shard in self.shards)

    @cached_property
    def communities(self) -> Int32Array:
        """Community of every film, int32 (n,): those of a shard are numbered behind those of the shards before it."""
        parts, first = [], 0
        for shard in self.shards:
            parts.append(shard.generation.communities + np.int32(first))
            first += int(shard.generation.communities.max()) + 1
        joined = np.concatenate(parts).astype(np.int32)
        joined.flags.writeable = False
        return joined

    @cached_property
    def stored(self) -> ShardedArchive:
        """Codes and communities of all shards; asked for its graph, it says that there is none."""
        return ShardedArchive(self)

    @cached_property
    def novelty(self) -> Novelty:
        """How near the films are to those of other patients, over all shards: what one index of them would know.

        Searched for once, O(m n d) for a sample of m <= 2,000 films, and kept in the folder ``derived`` of the first
        shard.
        """
        films = self.films
        search = self.search_by("exact")
        seed = self.shards[0].generation.manifest["parameters"]["seed"]
        key = digest([shard.generation.manifest["files"] for shard in self.shards], seed)

        def measure() -> np.ndarray[Any, Any]:
            found = Novelty.of(search, films.patients, films.splits, seed=seed).similarities
            return np.concatenate([found, np.full(SAMPLE - len(found), np.nan, np.float32)])

        kept = derived_array(self.shards[0].root, "novelty", key, measure, shape=(SAMPLE,), dtype="float32")
        return Novelty(kept[~np.isnan(kept)])


class ShardedArchive(StoredArchive):
    """The archive of several indexes, as rankings take it.

    Parameters
    ----------
    parts
        What was opened.
    **others
        Fields of `Archive` that are to be other ones.
    """

    def __init__(self, parts: OpenedShards, **others: Any) -> None:
        search = others.pop("search", None) or parts.search_by("auto")
        own = {"codes": search.codes, "communities": parts.communities, "search": search, "k": parts.k}
        super().__init__(lambda: parts.graph, **{**own, "findings": None, "metric": None, **others})
        object.__setattr__(self, "_opened", parts)  # the class is frozen
        object.__setattr__(self, "_others", others)

    def with_parts(self, **parts: Any) -> ShardedArchive:
        """Return the same films with other parts."""
        made: ShardedArchive = ShardedArchive(self._opened, **{"search": self.search, **self._others, **parts})
        return made

    def searched_by(self, search: str) -> ShardedArchive:
        """Return the same films with each shard searched as a query asks: "auto", "exact" or "graph".

        Raises
        ------
        InvalidParameterError
            "graph", where a shard has no links to follow.
        DamagedIndexError
            "graph", where they are damaged.
        """
        if search == "auto":
            return self
        return self.with_parts(search=self._opened.search_by(search))

    _opened: OpenedShards
    _others: dict[str, Any]


class ShardRankings(IndexRankings):
    """The rankings that shards can answer."""

    def choose(self, ranking: str | RankingChoice | None, options: Mapping[str, Any] | None = None) -> RankingChoice:
        """Say what a ranking is here, with its options.

        Raises
        ------
        InvalidParameterError
            As `Index.choose`; or a ranking that needs the whole archive in one index.
        """
        asked = OF_SHARDS[0] if ranking is None else RankingChoice.of(ranking, options).name
        if asked not in {*OF_SHARDS, TUNED}:
            raise InvalidParameterError(
                "ranking", asked, f"one of {', '.join(OF_SHARDS)} for shards",
                "it reads what no shard has alone (graph, bits, labels): `graphret join-shards` makes it of all",
            )  # fmt: skip
        return super().choose(ranking, options)


def _encoder_of(shard: OpenedIndex) -> str:
    about = shard.generation.manifest["encoder"]
    return "codes made elsewhere" if about is None else f"the encoder {about['name']} {about['fingerprint'][:16]}..."


def _joined(tables: list[ImageTable]) -> ImageTable:
    """Join tables two by two, so that no film is copied more than log2 of their number."""
    names = tuple(dict.fromkeys(name for table in tables for name in table.label_names))
    tables = [_with_labels(table, names) for table in tables]
    while len(tables) > 1:
        pairs = zip(tables[::2], tables[1::2], strict=False)
        tables = [joined_films(*pair) for pair in pairs] + tables[len(tables) // 2 * 2 :]
    return tables[0]


def _with_labels(table: ImageTable, names: tuple[str, ...]) -> ImageTable:
    if table.label_names == names:
        return table
    labels = np.zeros((len(table), len(names)), np.int8)
    for place, name in enumerate(table.label_names):
        labels[:, names.index(name)] = table.labels[:, place]
    return replace(table, labels=labels, label_names=names)
