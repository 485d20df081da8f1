"""What a query gives: ids, similarities, communities, where each film comes from, and why it is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from graphret.index.hits_frame import lists_frame
from graphret.index.reasons import FoundReasons, short_decimal
from graphret.neighbors import SearchCounts
from graphret.retrieval import SOURCES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from graphret._types import BoolArray, Float32Array, Float64Array, Int32Array
    from graphret.index.film_ids import FilmIds
    from graphret.index.hits_html import Pictures
    from graphret.index.reasons import KeptReasons, Why
    from graphret.index.shard_reasons import ShardReasons
    from graphret.retrieval import Archive, QueryBatch, RankedLists, RankingChoice

__all__ = ["Hit", "Hits", "QueryHits"]

_SOURCE_NAMES = np.array(SOURCES)


@dataclass(frozen=True)
class Hit:
    """One film that a query got.

    Parameters
    ----------
    id
        Of the film.
    rank
        1 for the first.
    position
        Row of the film in ``index.films``.
    similarity
        Cosine to the query, rounded to 1e-6.
    score
        What the ranking sorted by.
    community
        Of the film.
    source
        "expansion" (region growing added it), "fill" (nearest of the rest), or "search" (any other ranking).
    """

    id: str
    rank: int
    position: int
    similarity: float
    score: float
    community: int
    source: str
    _list: QueryHits = field(repr=False, compare=False)

    @property
    def why(self) -> Why:
        """Step gain, edge to the query, and edges to the hits before it."""
        return self._list.reasons[self.rank - 1]

    def to_dict(self, *, why: bool = False) -> dict[str, Any]:
        """Return the hit as JSON values, on demand with the reasons."""
        values: dict[str, Any] = {
            "id": self.id,
            "rank": self.rank,
            "position": self.position,
            "similarity": self.similarity,
            "score": self.score,
            "community": self.community,
            "source": self.source,
        }
        if why:
            reason = self.why
            edges = [{"id": identity, "weight": weight} for identity, weight in reason.earlier]
            values["why"] = {"gain": reason.gain, "query_edge": reason.query_edge, "earlier": edges}
            if reason.terms:
                values["why"]["terms"] = dict(reason.terms)
        return values


class QueryHits(Sequence[Hit]):
    """The hits of one query, best first; shorter than k where fewer films came.

    Parameters
    ----------
    hits
        The hits of all queries.
    row
        Which query.
    """

    def __init__(self, hits: Hits, row: int) -> None:
        self._hits = hits
        self._row = row

    @property
    def query(self) -> str:
        """Id or path of the query, "" for an array."""
        return self._hits.queries[self._row]

    def __len__(self) -> int:
        return self._length

    @cached_property
    def _length(self) -> int:
        return int(np.count_nonzero(self._hits.positions[self._row] >= 0))

    @overload
    def __getitem__(self, place: int) -> Hit: ...
    @overload
    def __getitem__(self, place: slice) -> list[Hit]: ...
    def __getitem__(self, place: int | slice) -> Hit | list[Hit]:
        if isinstance(place, slice):
            return [self._hit(number) for number in range(*place.indices(len(self)))]
        if not -len(self) <= place < len(self):
            raise IndexError(f"hit {place}: the query has {len(self)} hits")
        return self._hit(place % len(self))

    def _hit(self, place: int) -> Hit:
        hits, row = self._hits, self._row
        return Hit(
            id=str(hits.ids[row, place]),
            rank=place + 1,
            position=int(hits.positions[row, place]),
            similarity=short_decimal(hits.similarities[row, place]),
            score=short_decimal(hits.scores[row, place]),
            community=int(hits.communities[row, place]),
            source=str(hits.sources[row, place]),
            _list=self,
        )

    def __repr__(self) -> str:
        shown = ", ".join(f"{hit.id} {hit.similarity:.3f}" for hit in self[:3])
        return f"<{len(self)} hits: {shown}{', ...' if len(self) > 3 else ''}>"

    @property
    def p_value(self) -> float:
        """Small where the archive has nothing similar to this query; see `Hits.p_values`."""
        return float(self._hits.p_values[self._row])

    @property
    def nothing_similar(self) -> bool:
        """Whether the archive has nothing similar; see `Hits.nothing_similar`."""
        return bool(self._hits.nothing_similar[self._row])

    def novelty(self) -> dict[str, Any]:
        """Return ``p_value`` and ``nothing_similar`` as JSON values."""
        return {
            "p_value": None if np.isnan(self.p_value) else self.p_value,
            "nothing_similar": self.nothing_similar,
        }

    def _repr_html_(self) -> str:
        pictures = self._hits.pictures
        return escape(repr(self)) if pictures is None else pictures.html_of(self, self._row)

    @cached_property
    def findings(self) -> dict[str, float]:
        """Findings that the query probably has with their probability, likeliest first.

        Empty but for a ranking that estimates them from the archive's labels.
        """
        return self._hits.estimated_findings(self._row)

    @cached_property
    def reasons(self) -> list[Why]:
        """Why of every hit, worked out at the first use."""
        return self._hits.explain(self._row)


@dataclass(frozen=True, eq=False, repr=False)
class Hits:
    """Ranked lists of all queries of one call, best first.

    Iterating gives one `QueryHits` a query; ``hits[0]`` is that of the first. Hits can be pickled: the copy has the
    reasons of every hit, and needs no index.

    Parameters
    ----------
    choice
        The ranking, with the options and the metric that it ranked with.
    queries
        Id or path of each query, "" for arrays.
    query_positions
        int32 (q,), row of ``index.films`` that the query is, by its id or path; -1 for any other.
    ids
        str (q, k), "" pads a short list at its end.
    positions
        int32 (q, k), rows of ``index.films``; -1 pads.
    similarities
        float32 (q, k), cosine to the query; 0 pads.
    scores
        float32 (q, k), what the ranking sorted by; 0 pads.
    sources
        str (q, k), "expansion", "fill" or "search"; "" pads.
    communities
        int32 (q, k); -1 pads.
    gains
        float64 (q, k), step gains; NaN where there was no step.
    counts
        What was looked at for each query: codes compared, films whose links were expanded, candidates scored again.
    group_by
        The column of which every value gave one film at most; None where films were not grouped.
    alarm_level
        Of `nothing_similar`.
    """

    choice: RankingChoice
    queries: list[str]
    query_positions: Int32Array
    ids: NDArray[np.str_]
    positions: Int32Array
    similarities: Float32Array
    scores: Float32Array
    sources: NDArray[np.str_]
    communities: Int32Array
    gains: Float64Array
    counts: SearchCounts
    group_by: str | None
    alarm_level: float
    _reasons: FoundReasons | ShardReasons | KeptReasons = field(repr=False)
    _pictures: Pictures | None = field(repr=False)
    _p_values: Callable[[], Float64Array] = field(repr=False)

    @classmethod
    def of(
        cls,
        choice: RankingChoice,
        queries: list[str],
        query_positions: Int32Array,
        archive: Archive,
        batch: QueryBatch,
        ranked: RankedLists,
        film_ids: FilmIds,
        pictures: Pictures,
        *,
        p_values: Callable[[], Float64Array],
        alarm_level: float,
        group_by: str | None,
    ) -> Hits:
        """Name the films of ranked lists; ``p_values`` is called when they are asked for."""
        there = ranked.positions >= 0
        films = np.where(there, ranked.positions, 0)
        return cls(
            choice=choice,
            queries=queries,
            query_positions=query_positions,
            ids=film_ids.take(ranked.positions),
            positions=ranked.positions,
            similarities=ranked.similarities,
            scores=ranked.scores,
            sources=_SOURCE_NAMES[ranked.sources],
            communities=np.where(there, archive.communities[films], np.int32(-1)),
            gains=ranked.gains,
            counts=_counted(batch, ranked),
            group_by=group_by,
            alarm_level=alarm_level,
            _reasons=FoundReasons(choice, archive, batch, ranked, film_ids),
            _pictures=pictures,
            _p_values=p_values,
        )

    @cached_property
    def p_values(self) -> Float64Array:
        """How usual the best similarity of each query is, float64 (q,): small where the archive has nothing similar.

        The share of the archive's films that are as far from every film of other patients as the query is from every
        film it may get; see `graphret.retrieval.Novelty`. It does not depend on the ranking, nor on ``where``. NaN for
        an archive of one patient.
        """
        return self._p_values()

    @property
    def nothing_similar(self) -> BoolArray:
        """Whether a query has nothing similar in the archive, bool (q,): its p-value is at most ``alarm_level``.

        Of queries that are like the archive's own films, a share of ``alarm_level`` is flagged at most.
        """
        flags: BoolArray = self.p_values <= self.alarm_level  # NaN is not
        return flags

    def __repr__(self) -> str:
        found = int((self.positions >= 0).sum())
        return f"<Hits: {found:,} films for {len(self):,} queries, ranking {self.choice}>"

    def _repr_html_(self) -> str:
        return escape(repr(self)) if self.pictures is None else self.pictures.html(self, repr(self))

    @property
    def pictures(self) -> Pictures | None:
        """What a notebook shows; None once they were pickled, without the archive."""
        return self._pictures

    def to_pandas(self) -> Any:
        """Return a pandas DataFrame, one row a hit: query (number), query_id, rank, id, position, similarity, ...

        Raises
        ------
        MissingDependencyError
            pandas is not installed.
        """
        names = ("ids", "positions", "similarities", "scores", "communities", "sources")
        return lists_frame(self.queries, {name: getattr(self, name) for name in names})

    @property
    def ranking(self) -> str:
        """Name of the ranking."""
        return self.choice.name

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know of how this archive was ranked."""
        notes = self._reasons.notes
        return notes if self.group_by is None else (*notes, f"one film of each {self.group_by} at most")

    @property
    def k(self) -> int:
        """Length of the lists, padding included."""
        return int(self.positions.shape[1])

    def __len__(self) -> int:
        return int(self.positions.shape[0])

    def __getitem__(self, row: int) -> QueryHits:
        if not -len(self) <= row < len(self):
            raise IndexError(f"query {row}: there are {len(self)} queries")
        return QueryHits(self, row % len(self))

    def __iter__(self) -> Iterator[QueryHits]:
        return (QueryHits(self, row) for row in range(len(self)))

    def explain(self, row: int) -> list[Why]:
        """Explain the list of one query, see `graphret.retrieval.explain`."""
        return self._reasons.explain(row)

    def estimated_findings(self, row: int) -> dict[str, float]:
        """Return the findings that the ranking expects of one query; see `QueryHits.findings`."""
        return self._reasons.estimated_findings(row)

    def __getstate__(self) -> dict[str, Any]:
        """Say what is pickled: the lists, with reasons and p-values worked out, and nothing of the archive."""
        worked_out = {"p_values": self.p_values, "_reasons": self._reasons.kept()}
        return {**self.__dict__, **worked_out, "_p_values": None, "_pictures": None}

    def to_dicts(self, *, why: bool = False) -> list[dict[str, Any]]:
        """Return one mapping a query, JSON values only: query, ranking, options, hits; on demand with the reasons.

        ``learned_metric`` says whether films were compared in a metric that the index learned from labels. With
        "notes" where there is more to know of how this archive was ranked.
        With "findings" where the ranking estimated those of the query from the archive's labels. "p_value" (None for an
        archive of one patient) and "nothing_similar" are those of `p_values`.
        """
        return [
            {
                "query": hits.query,
                **self.choice.to_dict(),
                **({"notes": list(self.notes)} if self.notes else {}),
                **({"findings": hits.findings} if hits.findings else {}),
                **hits.novelty(),
                "hits": [hit.to_dict(why=why) for hit in hits],
            }
            for hits in self
        ]


def _counted(batch: QueryBatch, ranked: RankedLists) -> SearchCounts:
    """Sum what the search for the neighbours looked at, and what the ranking did when it searched again."""
    if batch.counts is None:
        return SearchCounts.scanned(len(batch), 0) if ranked.counts is None else ranked.counts
    return batch.counts if ranked.counts is None else batch.counts + ranked.counts
