"""The rankings of an index: what a choice means here, and the archive that it ranks; each is prepared once."""

from __future__ import annotations

import threading
from functools import cached_property
from typing import TYPE_CHECKING

from graphret.neighbors.device_search import check_search_device, search_on
from graphret.retrieval import Findings, RankingChoice

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping
    from typing import Any

    from graphret.data import ImageTable
    from graphret.index.stored_archive import StoredArchive
    from graphret.index.tuned import TunedRankings
    from graphret.neighbors import Search
    from graphret.retrieval import Archive, Ranker

__all__ = ["IndexRankings"]


class IndexRankings:
    """Rankings of one archive under one tuning.

    Parameters
    ----------
    tuned
        What the index was tuned to.
    read_archive
        Gives the films as they are stored; called at the first question.
    read_films
        Gives the table of the films; called when a ranking first reads findings.
    """

    def __init__(
        self, tuned: TunedRankings, read_archive: Callable[[], StoredArchive], read_films: Callable[[], ImageTable]
    ) -> None:
        self.tuned, self._read_archive, self._read_films = tuned, read_archive, read_films
        self._archives: dict[tuple[str, str | None, bool], Archive] = {}
        self._rankers: dict[tuple[int, Hashable], Ranker] = {}
        self._searches: dict[str, Search] = {}
        self._choices: dict[str | None, RankingChoice] = {}
        self._lock = threading.Lock()

    @cached_property
    def archive(self) -> StoredArchive:
        """The films, with the metric of the tuning, without findings."""
        return self._read_archive().with_parts(metric=self.tuned.metric)

    def choose(self, ranking: str | RankingChoice | None, options: Mapping[str, Any] | None = None) -> RankingChoice:
        """Say what a ranking is here, with its options and its metric; see `Index.choose`."""
        plain = ranking if options is None and not isinstance(ranking, RankingChoice) else ""
        if plain in self._choices:
            return self._choices[plain]
        if ranking is None and options is not None:
            ranking = self.tuned.default_ranking
        choice = self.tuned.resolve(None if ranking is None else RankingChoice.of(ranking, options))
        self.ranker("auto", choice)  # which checks the values of the options
        if plain != "":
            self._choices[plain] = choice
        return choice

    def archive_for(self, search: str, *, labels: bool, device: str | None = None) -> Archive:
        """The archive with the search that a query asks for, and with findings only for a ranking that reads them.

        With a device every search is exact, on that device.
        """
        on, search = check_search_device(device), search if device is None else "exact"
        found = self._archives.get((search, on, labels))
        if found is None:
            found = self.archive.searched_by(search)
            if on is not None:
                found = found.with_parts(search=self._search_on(on, found.search))
            films = self._read_films() if labels else None
            if films is not None and films.label_names:
                found = found.with_parts(findings=Findings(films.labels, films.label_names, films.patients))
            self._archives[search, on, labels] = found
        return found

    def _search_on(self, device: str, search: Search) -> Search:
        """One search for each device, whoever asks first: it holds a copy of the codes there."""
        with self._lock:
            if device not in self._searches:
                self._searches[device] = search_on(search, device)
            return self._searches[device]

    def ranker(self, search: str, choice: RankingChoice, device: str | None = None) -> Ranker:
        """Rankings are kept: some prepare themselves for the archive at their first use."""
        archive = self.archive_for(search, labels=choice.uses_labels, device=device)
        key = (id(archive), choice.key)  # archives are kept as well
        if key not in self._rankers:
            self._rankers[key] = choice.ranker(archive)
        return self._rankers[key]
