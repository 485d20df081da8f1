"""What every ranking takes and gives: an archive, a batch of queries, ranked lists."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

import numpy as np

from graphret._checks import check_codes, check_integer
from graphret._errors import CodesError, InvalidParameterError
from graphret._labels import read_labels
from graphret.communities import louvain
from graphret.graph import similarity_graph
from graphret.neighbors import ExactSearch, nearest_neighbors
from graphret.neighbors.device_search import search_alike
from graphret.retrieval._forbidden import check_forbidden
from graphret.retrieval.findings import Findings
from graphret.retrieval.learned_metric import padded
from graphret.retrieval.ranked_lists import SOURCES, RankedLists, source_code

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from graphret._types import BoolArray, Codes, Float32Array, Int32Array, Int64Array
    from graphret.graph import Graph
    from graphret.neighbors import Search, SearchCounts
    from graphret.retrieval.learned_metric import LearnedMetric

__all__ = ["SOURCES", "Archive", "QueryBatch", "RankedLists", "Ranker", "source_code"]

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Archive:
    """What a ranking knows of the films: their codes, the graph of them, its communities, and search.

    Parameters
    ----------
    codes
        float32 (n, d), as stored; may be memory-mapped.
    graph
        Similarity graph of the n films.
    communities
        int32 (n,), community of every film.
    search
        Search over ``codes``.
    k
        Neighbours per film that the graph was made of: the number of edges that a query gets.
    findings
        What the films' reports say, for rankings whose ``uses_labels`` is true; no other ranking reads it.
    metric
        Learned from the films' labels when the archive was tuned, for rankings that are asked to use it.

    Raises
    ------
    CodesError, InvalidParameterError
        Codes, graph, communities and findings are not of the same films, or k < 1.

    Examples
    --------
    >>> Archive.from_codes([[1, 0], [1, 0.1], [0, 1], [0.1, 1]], k=1).n_films
    4
    """

    codes: Codes
    graph: Graph
    communities: Int32Array
    search: Search
    k: int = field(default=50)
    findings: Findings | None = None
    metric: LearnedMetric | None = None

    def __post_init__(self) -> None:
        check_integer("k", self.k, 1, "the k that the graph was built with")
        if self.codes.ndim != 2 or self.codes.shape[0] != self.graph.n_nodes:
            raise CodesError(f"codes have shape {self.codes.shape}, the graph has {self.graph.n_nodes} nodes")
        if self.communities.shape != (self.n_films,):
            shape = f"({self.n_films},)"
            raise InvalidParameterError(
                "communities", self.communities.shape, f"shape {shape}", "one community per film"
            )
        if self.findings is not None and len(self.findings) != self.graph.n_nodes:
            allowed = f"those of {self.graph.n_nodes} films"
            raise InvalidParameterError("findings", f"those of {len(self.findings)} films", allowed)

    @classmethod
    def from_codes(
        cls, codes: Any, k: int = 50, *, labels: Any = None, label_names: Any = None, patients: Any = None, **parts: Any
    ) -> Archive:
        """Make everything of an archive from its codes: exact neighbours, graph, communities, exact search.

        Parameters
        ----------
        codes
            float32 (n, d), n >= 2.
        k
            Neighbours of a film in the graph, >= 1.
        labels, label_names, patients
            For rankings that read labels: labels of the n films in any form that `graphret.build` takes, their names,
            and whom each film belongs to; kept as ``findings``.
        **parts
            Further fields of the archive.

        Returns
        -------
        Archive
            With the automatic threshold and Louvain's communities, as `graphret.build` makes them by default.

        Raises
        ------
        CodesError, InvalidParameterError
            As `Archive`, `graphret.neighbors.nearest_neighbors`.

        Examples
        --------
        >>> Archive.from_codes([[1, 0], [1, 0.1], [0, 1], [0.1, 1]], k=1).communities.tolist()
        [0, 0, 1, 1]
        """
        checked = check_codes(codes)
        if labels is not None:
            read = read_labels(labels, label_names)
            parts["findings"] = Findings(read.matrix, read.names, patients)
        graph = similarity_graph(nearest_neighbors(checked, k, method="exact"))
        return cls(checked, graph, louvain(graph).labels, ExactSearch(checked), k, **parts)

    @property
    def n_films(self) -> int:
        """Number of films."""
        return int(self.codes.shape[0])

    def with_parts(self, **parts: Any) -> Archive:
        """Return the same films with another search, other findings, ...: the fields that are named."""
        return replace(self, **parts)

    @cached_property
    def _prepared(self) -> dict[Any, Any]:
        return {}

    def prepared(self, key: tuple[Any, ...], make: Callable[[], T]) -> T:
        """Return what rankings prepare once for all films: made at the first call, shared by all rankers."""
        if key not in self._prepared:
            self._prepared[key] = make()
        value: T = self._prepared[key]
        return value

    def with_metric(self, metric: LearnedMetric, vectors: Codes | None = None) -> Archive:
        """Return the same archive with another metric, and with its vectors where they are known.

        What rankings prepare for all films is shared with this archive: it does not depend on the metric.
        """
        other = self.with_parts(metric=metric)
        other.__dict__["_prepared"] = self._prepared
        if vectors is not None:
            other.__dict__["learned_space"] = other._in_space(vectors)
        return other

    @cached_property
    def learned_space(self) -> Archive:
        """The films in the learned metric: their vectors in the place of codes, and a search over these; O(n d m)."""
        if self.metric is None:
            raise InvalidParameterError("metric", None, "a learned metric: this archive has none")
        return self._in_space(self.metric.project(self.search.read_codes()))

    def _in_space(self, vectors: Codes) -> Archive:
        vectors = padded(vectors)
        return self.with_parts(codes=vectors, search=search_alike(self.search, vectors), metric=None)

    @cached_property
    def is_binary(self) -> bool:
        """Whether every weight of the graph is 1: queries then get edges of weight 1 too."""
        return bool((self.graph.weights == 1).all())


@dataclass(frozen=True, eq=False)
class QueryBatch:
    """Queries with their nearest allowed films, and the films that each of them may not get.

    Parameters
    ----------
    codes
        float32 (q, d), any scale.
    neighbors
        int32 (q, m), nearest allowed films, best first, -1 pads.
    similarities
        float32 (q, m), their cosines, 0 where padded.
    allowed
        bool (n,), the films that may come; ``None`` for all.
    forbidden
        For each query an int32 array of films that may not come; ``None`` for no such films.
    counts
        What the search for the neighbours looked at, where it was counted.
    """

    codes: Codes
    neighbors: Int32Array
    similarities: Float32Array
    allowed: BoolArray | None = None
    forbidden: Sequence[Int32Array] | None = None
    counts: SearchCounts | None = None

    def __len__(self) -> int:
        return int(self.codes.shape[0])

    @classmethod
    def of(
        cls,
        archive: Archive,
        codes: Any,
        k: int,
        *,
        allowed: BoolArray | None = None,
        forbidden: Sequence[Int32Array] | None = None,
        n_threads: int | None = None,
    ) -> QueryBatch:
        """Find the nearest allowed films of every query: max(k, archive.k) of them, so that any ranking has enough.

        Parameters
        ----------
        archive
            The films.
        codes
            float32 (q, d), any scale; one code (d,) makes a batch of one.
        k
            Length of the lists that will be asked for, >= 1.
        allowed
            bool (n,): only these films may come.
        forbidden
            For each query the positions of films that may not come (same patient, the query itself).
        n_threads
            Threads of the search; the result does not depend on it.

        Raises
        ------
        CodesError
            Codes of another length, NaN, zeros; a mask of another length.
        InvalidParameterError
            k < 1; not one list of forbidden films per query, or positions outside the archive.

        Notes
        -----
        Time as `Archive.search` takes.

        Examples
        --------
        >>> archive = Archive.from_codes([[1, 0], [1, 0.1], [0, 1], [0.1, 1]], k=1)
        >>> QueryBatch.of(archive, [1, 0], 2, forbidden=[[0]]).neighbors.tolist()
        [[1, 3]]
        """
        check_integer("k", k, 1, "ask for at least one film")
        asked = cls.unsearched(archive, codes, allowed=allowed, forbidden=forbidden)
        return asked.at_least(archive, max(k, archive.k), n_threads)

    @classmethod
    def unsearched(
        cls, archive: Archive, codes: Any, *, allowed: BoolArray | None = None, forbidden: Any = None
    ) -> QueryBatch:
        """Make a batch that holds no neighbours yet, for a ranking that searches by itself; see `of`.

        Examples
        --------
        >>> archive = Archive.from_codes([[1, 0], [1, 0.1], [0, 1], [0.1, 1]], k=1)
        >>> asked = QueryBatch.unsearched(archive, [1, 0], forbidden=[[0]])
        >>> asked.neighbors.shape, asked.at_least(archive, 2).neighbors.tolist()
        ((1, 0), [[1, 3]])
        """
        array = np.asarray(codes)
        array = check_codes(
            array[None] if array.ndim == 1 else array, name="query codes", n_dimensions=archive.codes.shape[1]
        )
        mask = None if allowed is None else np.ascontiguousarray(allowed, dtype=np.bool_)
        lists = None if forbidden is None else check_forbidden(forbidden, array.shape[0], archive.n_films)
        nothing = np.empty((len(array), 0), np.int32)
        return cls(array, nothing, nothing.astype(np.float32), mask, lists)

    def at_least(self, archive: Archive, n_neighbors: int, n_threads: int | None = None) -> QueryBatch:
        """Return a batch with the ``n_neighbors`` nearest allowed films, searching again where it holds fewer."""
        if self.neighbors.shape[1] >= min(n_neighbors, archive.n_films):
            return self
        table = archive.search.search(
            self.codes, n_neighbors, allowed=self.allowed, forbidden=self.forbidden, n_threads=n_threads
        )
        return replace(self, neighbors=table.neighbors, similarities=table.similarities, counts=table.counts)

    def only(self, row: int) -> QueryBatch:
        """Return the batch of one query."""
        return self.take(np.array([row]))

    def take(self, rows: Int64Array) -> QueryBatch:
        """Return some of the queries; what was counted so far stays with the whole batch."""
        return replace(
            self,
            codes=self.codes[rows],
            neighbors=self.neighbors[rows],
            similarities=self.similarities[rows],
            forbidden=None if self.forbidden is None else [self.forbidden[row] for row in rows.tolist()],
            counts=None,
        )

    def eligibility(self, archive: Archive) -> tuple[BoolArray, Int64Array, Int32Array]:
        """Return the mask (empty: all films) and the forbidden films as (starts (q + 1,), positions), for kernels.

        Raises
        ------
        CodesError, InvalidParameterError
            A mask, or lists of forbidden films, that do not fit the archive.
        """
        mask = np.empty(0, np.bool_) if self.allowed is None else self.allowed
        if self.allowed is not None and mask.shape != (archive.n_films,):
            raise CodesError(f"allowed has shape {mask.shape}: give bool ({archive.n_films},), one per film")
        lists: Sequence[Int32Array] = [np.empty(0, np.int32)] * len(self)
        if self.forbidden is not None:
            lists = check_forbidden(self.forbidden, len(self), archive.n_films)
        starts = np.concatenate([[0], np.cumsum([entry.size for entry in lists])]).astype(np.int64)
        return mask, starts, np.concatenate([*lists, np.empty(0, np.int32)]).astype(np.int32)


class Ranker(Protocol):
    """A way to rank the films of an archive for queries; made by `create_ranking`.

    The constructor takes the archive and keyword options. Every ranking returns allowed films only, each once, is
    deterministic, and gives the same list alone, in a batch, and with any number of threads. A ranking that reads the
    labels of the archive's films says so: ``uses_labels = True``. Its figures are reported apart.

    A ranking that reads other than k neighbours of a query may say how many: ``first_neighbors(k)``, 0 where it
    searches by itself. What it needs beyond, it searches for (`QueryBatch.at_least`).
    """

    name: ClassVar[str]

    def __init__(self, archive: Archive, **options: Any) -> None: ...

    def rank(self, queries: QueryBatch, k: int, *, fill: bool = True, n_threads: int | None = None) -> RankedLists:
        """Rank at most k films for every query.

        Parameters
        ----------
        queries
            From `QueryBatch.of`.
        k
            Columns of the result, >= 1; a list is shorter, padded with -1, where fewer films are allowed.
        fill
            Complete a list that the ranking leaves short with the nearest remaining allowed films by cosine.
        n_threads
            ``None`` for all processors.
        """
        ...
