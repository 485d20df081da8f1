"""From what was asked to hits: by queries one by one, or by several examples together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret.index.examples import check_examples, combine, films_of_codes, joined, name_examples, nobody
from graphret.index.filters import PATIENTS_ARE_NAMED, SAME_PATIENT, allowed_films, forbidden_films, unknown_patients
from graphret.index.hits import Hits
from graphret.index.hits_html import Pictures
from graphret.index.query_input import Queries, encode_queries, read_queries
from graphret.neighbors import GraphSearch
from graphret.retrieval import QueryBatch, best_similarities, rank_one_per_group

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from graphret._errors import GraphretError
    from graphret._types import BoolArray, Codes, Float64Array, Int32Array, Int64Array
    from graphret.index.config import QueryConfig
    from graphret.index.opened import OpenedIndex
    from graphret.retrieval import Archive, Ranker, RankingChoice

__all__ = ["Asking"]


@dataclass(frozen=True, eq=False)
class Asking:
    """How films are asked for: everything of a call but the queries.

    Parameters
    ----------
    parts
        The opened index.
    config
        Plain values; its ranking is not read.
    ranking, options
        The ranking, see `Index.query`.
    where, exclude
        Filters.
    group_by
        A column of which every value gives one film at most.
    """

    parts: OpenedIndex
    config: QueryConfig
    ranking: str | RankingChoice | None = None
    options: Mapping[str, Any] | None = None
    where: Mapping[str, Any] | None = None
    exclude: str | Mapping[str, Any] | None = None
    group_by: str | None = None

    def ask(self, what: Any, patients: Any, on_problem: Callable[[str, GraphretError], None] | None = None) -> Hits:
        """Answer every query by itself; see `Index.query`."""
        choice = self._choice()  # before a film is decoded
        queries = self._read(what)
        allowed = allowed_films(self.parts.lookup, self.where)
        forbidden = forbidden_films(self.parts.lookup, queries, self.exclude, patients)
        self._groups()  # an unknown column, before a film is decoded
        kept, codes = self._encode(queries, on_problem)
        forbidden = None if forbidden is None else [forbidden[number] for number in kept]
        archive = self._archive(choice)
        batch = self._batch(archive, codes, self._width(choice, archive), allowed, forbidden)
        notes = self._patient_notes(patients, len(queries), "queries")
        return self._answer(choice, queries.take(kept), batch, notes, lambda: self._p_values(archive, batch))

    def ask_by_examples(self, positives: Any, negatives: Any, weight: float, patients: Any) -> Hits:
        """Answer one query that is made of examples; see `Index.query_examples`."""
        choice, lookup = self._choice(), self.parts.lookup
        none = negatives is None or (isinstance(negatives, Sequence | np.ndarray) and not len(negatives))
        like, unlike = self._read(positives), None if none else self._read(negatives)
        examples = joined(like, unlike)
        check_examples(like, unlike)
        allowed = allowed_films(lookup, self.where)
        apart = isinstance(self.exclude, str) and self.exclude == SAME_PATIENT
        own = forbidden_films(lookup, examples, self.exclude if apart else None, patients)
        of_all = None if apart else forbidden_films(lookup, nobody(examples), self.exclude, None)
        self._groups()
        _, codes = self._encode(examples)
        themselves = films_of_codes(self.parts.stored.search, codes, examples.known)
        out = np.unique(np.concatenate([*(own or []), *(of_all or []), themselves])).astype(np.int32)
        archive = self._archive(choice)
        query = combine(codes[: len(like)], codes[len(like) :], weight)
        batch = self._batch(archive, query[None], self._width(choice, archive), allowed, [out])

        def p_values() -> Float64Array:
            """One for the query: nothing is similar to it if nothing is to the best of its positive examples."""
            each = self._batch(archive, codes[: len(like)], 1, None, [out] * len(like))
            return np.array([self._p_values(archive, each).max()])

        notes = self._patient_notes(patients, len(examples), "examples")
        asked = replace(nobody(examples), names=[name_examples(like, unlike)])
        return self._answer(choice, asked, batch, notes, p_values)

    def _choice(self) -> RankingChoice:
        return self.parts.rankings.choose(self.ranking, self.options)

    def _archive(self, choice: RankingChoice) -> Archive:
        how = self.config
        return self.parts.rankings.archive_for(how.search, labels=choice.uses_labels, device=how.device)

    def _ranker(self, choice: RankingChoice) -> Ranker:
        return self.parts.rankings.ranker(self.config.search, choice, self.config.device)

    def _width(self, choice: RankingChoice, archive: Archive) -> int:
        """Neighbours to search for: as many as the ranking reads. A scan finds those that short lists need, too."""
        said = getattr(self._ranker(choice), "first_neighbors", None)
        first = self.config.k if said is None else int(said(self.config.k))
        return first if first == 0 or isinstance(archive.search, GraphSearch) else max(first, self.config.k)

    def _p_values(self, archive: Archive, batch: QueryBatch) -> Float64Array:
        return self.parts.novelty.p_values(best_similarities(archive, batch, self.config.n_threads))

    def _batch(
        self, archive: Archive, codes: Codes, k: int, allowed: BoolArray | None, forbidden: list[Int32Array] | None
    ) -> QueryBatch:
        if k == 0:
            return QueryBatch.unsearched(archive, codes, allowed=allowed, forbidden=forbidden)
        return QueryBatch.of(archive, codes, k, allowed=allowed, forbidden=forbidden, n_threads=self.config.n_threads)

    def _read(self, what: Any) -> Queries:
        parts = self.parts
        known = {"has_encoder": parts.has_encoder, "colour": parts.reads_colour}
        return read_queries(what, parts.stored.search, parts.lookup, **known)

    def _encode(
        self, queries: Queries, on_problem: Callable[[str, GraphretError], None] | None = None
    ) -> tuple[Int64Array, Codes]:
        """The queries that have a code, and their codes."""
        encoder = self.parts.encoder if queries.films else None
        if encoder is None:
            return np.arange(len(queries)), queries.codes
        return encode_queries(queries, encoder, self.config.decoding, self.config.n_threads, on_problem)

    def _groups(self) -> Int64Array | None:
        return None if self.group_by is None else self.parts.lookup.groups(self.group_by)

    def _patient_notes(self, patients: Any, n_asked: int, what: str) -> tuple[str, ...]:
        """Say for how many queries the patient's films could not be left out; never who the patient is."""
        unknown = unknown_patients(self.parts.lookup, patients)
        if not unknown:
            return ()
        of_whom = f"the patient given for {len(unknown):,} of {n_asked:,} {what}"
        return (f"no film of the index is of {of_whom}, so none was left out for that; {PATIENTS_ARE_NAMED}",)

    def _answer(
        self,
        choice: RankingChoice,
        queries: Queries,
        batch: QueryBatch,
        notes: tuple[str, ...],
        p_values: Callable[[], Float64Array],
    ) -> Hits:
        config, ranker, groups = self.config, self._ranker(choice), self._groups()
        archive = self._archive(choice)
        how: dict[str, Any] = {"fill": config.fill, "n_threads": config.n_threads}
        if groups is None:
            ranked = ranker.rank(batch, config.k, **how)
        else:
            ranked = rank_one_per_group(ranker, archive, batch, config.k, groups, **how)
        ranked = replace(ranked, notes=(*ranked.notes, *notes))
        found = (archive, batch, ranked, self.parts.film_ids)
        pictures = Pictures(lambda: self.parts.films, queries, config.decoding)
        return Hits.of(
            choice,
            queries.names,
            queries.known,
            *found,
            pictures,
            p_values=p_values,
            alarm_level=config.alarm_level,
            group_by=self.group_by,
        )
