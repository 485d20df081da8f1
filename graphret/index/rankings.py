"""The rankings of an index: what a choice means here, and the archive that it ranks; each is prepared once."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from graphret.retrieval import Findings, RankingChoice

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping
    from typing import Any

    from graphret.data import ImageTable
    from graphret.index.stored_archive import StoredArchive
    from graphret.index.tuned import TunedRankings
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
        self._archives: dict[tuple[str, bool], Archive] = {}
        self._rankers: dict[tuple[str, Hashable], Ranker] = {}

    @cached_property
    def archive(self) -> StoredArchive:
        """The films, with the metric of the tuning, without findings."""
        return self._read_archive().with_parts(metric=self.tuned.metric)

    def choose(self, ranking: str | RankingChoice | None, options: Mapping[str, Any] | None = None) -> RankingChoice:
        """Say what a ranking is here, with its options and its metric; see `Index.choose`."""
        if ranking is None and options is not None:
            ranking = self.tuned.default_ranking
        choice = self.tuned.resolve(None if ranking is None else RankingChoice.of(ranking, options))
        self.ranker("auto", choice)  # which checks the values of the options
        return choice

    def archive_for(self, search: str, *, labels: bool) -> Archive:
        """The archive with the search that a query asks for, and with findings only for a ranking that reads them."""
        found = self._archives.get((search, labels))
        if found is None:
            found = self.archive.searched_by(search)
            films = self._read_films() if labels else None
            if films is not None and films.label_names:
                found = found.with_parts(findings=Findings(films.labels, films.label_names, films.patients))
            self._archives[search, labels] = found
        return found

    def ranker(self, search: str, choice: RankingChoice) -> Ranker:
        """Rankings are kept: some prepare themselves for the archive at their first use."""
        key = (search, choice.key)
        if key not in self._rankers:
            self._rankers[key] = choice.ranker(self.archive_for(search, labels=choice.uses_labels))
        return self._rankers[key]
