"""What an index opens: its generation, and whatever of it is read when it is first needed; dropped in one piece."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from graphret._errors import EncoderError
from graphret.index.generation import open_generation
from graphret.index.lookup import FilmLookup
from graphret.index.rankings import IndexRankings
from graphret.index.stored_archive import StoredArchive
from graphret.index.tuned import TunedRankings, read_tuning
from graphret.neighbors import ExactSearch, GraphSearch
from graphret.retrieval import Novelty

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from graphret.data import ImageTable
    from graphret.encoders import Encoder
    from graphret.graph import Graph
    from graphret.index.film_ids import FilmIds
    from graphret.neighbors import Search

__all__ = ["OpenedIndex"]


class OpenedIndex:
    """One generation of an index with the parts that were read of it, each once.

    Parameters
    ----------
    root
        Folder of the index.
    encoder
        Its encoder where that is in memory already.

    Raises
    ------
    NotAnIndexError, DamagedIndexError, StoreError
        As `open_generation` and `read_tuning`.
    EncoderError
        ``encoder`` is not the one that the index was built with.
    """

    def __init__(self, root: Path, encoder: Encoder | None = None) -> None:
        self.root = root
        self.generation = open_generation(root)
        self._given = encoder
        self._check_encoder()
        self.use_tuning(read_tuning(root, self.generation.manifest))

    def _check_encoder(self) -> None:
        stated, given = self.generation.manifest["encoder"], self._given
        if given is not None and (stated is None or stated["fingerprint"] != given.fingerprint):
            built = "codes made elsewhere" if stated is None else f"the encoder {stated['fingerprint'][:16]}..."
            raise EncoderError(
                f"{self.root} was built with {built}, not with {given.name} {given.fingerprint[:16]}...: "
                "open it without an encoder"
            )

    def use_tuning(self, record: dict[str, Any] | None) -> None:
        """Rank as a tuning says from now on; archives and rankings that held the one before are let go."""
        self.rankings = IndexRankings(TunedRankings(record), lambda: self.stored, lambda: self.films)

    @cached_property
    def films(self) -> ImageTable:
        """The table of the films."""
        return self.generation.read_films()

    @cached_property
    def film_ids(self) -> FilmIds:
        """The ids of the films alone: what hits need of the table."""
        return self.generation.read_ids()

    @cached_property
    def lookup(self) -> FilmLookup:
        """Which films hold a value."""
        return FilmLookup(lambda: self.films)

    @cached_property
    def graph(self) -> Graph:
        """The similarity graph."""
        return self.generation.read_graph()

    @cached_property
    def encoder(self) -> Encoder | None:
        """The encoder of the films, None for an index of codes made elsewhere."""
        return self.generation.read_encoder() if self._given is None else self._given

    @property
    def has_encoder(self) -> bool:
        """Whether films can be asked for."""
        return self.generation.manifest["encoder"] is not None

    @property
    def reads_colour(self) -> bool:
        """Whether films that are asked for keep their colours; known without the encoder."""
        about = self.generation.manifest["encoder"] or {}
        return bool(about.get("channels") == 3)

    @property
    def encoder_in_memory(self) -> Encoder | None:
        """The encoder, where it was given or has been loaded."""
        loaded: Encoder | None = self.__dict__.get("encoder", self._given)
        return loaded

    @cached_property
    def stored(self) -> StoredArchive:
        """The archive as it is stored: without findings, and without a metric."""
        generation = self.generation
        exact = ExactSearch(generation.codes, generation.lengths, generation.read_checksums())
        structure = generation.read_graph_search()
        search: Search = exact if structure is None else GraphSearch(exact, structure)
        return StoredArchive(
            lambda: self.graph,
            damage=generation.search_damage,
            codes=generation.codes,
            communities=generation.communities,
            search=search,
            k=generation.manifest["parameters"]["k"],
        )

    @cached_property
    def novelty(self) -> Novelty:
        """How near the films are to those of other patients; searched for where the index was built without it."""
        record = self.generation.manifest.get("novelty")
        if record is not None:
            return Novelty.from_record(record)
        return Novelty.of(self.stored.search, self.films.patients, self.films.splits)
