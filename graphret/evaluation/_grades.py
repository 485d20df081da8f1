"""Grades of films for queries, ``r = |q and x|``: what every measure is computed from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from graphret._types import BoolArray, Int32Array, Int64Array

__all__ = ["Grader", "Judged", "PairGrader"]


@dataclass(frozen=True)
class Judged:
    """m lists for each of b queries, one ranking after the other, with everything that a measure may look at."""

    grades: Int32Array  # (m b, K): r of every hit in rank order, 0 for a pad
    labels: BoolArray  # (b, L): of the queries
    counts: Int64Array  # (b, L + 1): how many films of the database have grade 0 ... L
    patterns: BoolArray  # (p + 1, L): the distinct label rows of the database; the last is that of a pad
    pattern_of: Int64Array  # (m b, K): row of ``patterns`` of every hit

    def each(self, of_queries: NDArray[Any]) -> NDArray[Any]:
        """What holds for a query (b, ...) as one row for each of its lists (m b, ...)."""
        repeats = len(self.grades) // max(1, len(self.counts))
        return np.tile(of_queries, (repeats, *[1] * (of_queries.ndim - 1)))

    @property
    def n_positive(self) -> Int64Array:
        """|q| for every list."""
        return self.each(self.labels.sum(axis=1))

    @property
    def n_relevant(self) -> Int64Array:
        """Films of the database with ``r > 0``, for every list."""
        return self.each(self.counts[:, 1:].sum(axis=1))

    def votes(self, k: int) -> tuple[Int64Array, Int64Array]:
        """How many of the first k hits have each label, (m b, L), and how many have none (pads too), (m b,)."""
        votes = np.zeros((len(self.grades), self.patterns.shape[1]), dtype=np.int64)
        without = np.zeros(len(self.grades), dtype=np.int64)
        none = np.asarray(~self.patterns.any(axis=1))
        for hits in self.pattern_of[:, :k].T:
            votes += self.patterns[hits]
            without += none[hits]
        return votes, without

    def ideal(self, k: int) -> Int32Array:
        """Grades of the best k films of the whole database, best first, for every query."""
        with_at_least = np.cumsum(self.counts[:, :0:-1], axis=1)
        grades = np.zeros((len(self.counts), k), dtype=np.int32)
        for number in with_at_least.T[with_at_least.any(axis=0)]:
            grades += number[:, None] > np.arange(k)
        return grades


class Grader:
    """Grades of the films of a database for blocks of queries.

    Films with equal labels have equal grades, and archives have few distinct label rows (some 800 among the
    112,120 films of NIH), so a query is compared with those and not with every film.
    """

    def __init__(
        self, of_queries: BoolArray, of_films: BoolArray, searchable: BoolArray, forbidden: Int64Array
    ) -> None:
        self._of_queries, self._searchable, self._forbidden = of_queries, searchable, forbidden
        patterns, self._pattern_of = _distinct_rows(of_films)
        self._patterns = np.vstack([patterns, np.zeros((1, patterns.shape[1]), dtype=np.bool_)])
        self._films_of_pattern = np.bincount(self._pattern_of[searchable], minlength=len(patterns))
        self._columns = patterns.T.astype(np.float32)
        self._counted: tuple[slice, Int32Array, Int64Array] | None = None

    @property
    def n_patterns(self) -> int:
        """Distinct label rows."""
        return int(self._columns.shape[1])

    def judge(self, rows: slice, lists: Int32Array | Int64Array) -> Judged:
        """Grade lists (m b, K): those of the b queries, m times over."""
        common, counts = self._count(rows)
        repeats = len(lists) // len(common)
        of_lists = np.tile(np.arange(len(common)), repeats)
        pattern_of = np.where(lists >= 0, self._pattern_of[lists], len(self._patterns) - 1)
        grades = np.where(lists >= 0, common[of_lists[:, None], self._pattern_of[lists]], 0).astype(np.int32)
        return Judged(grades, self._of_queries[rows], counts, self._patterns, pattern_of)

    def _count(self, rows: slice) -> tuple[Int32Array, Int64Array]:
        """Grades (b, patterns), and how many films have each grade (b, L + 1); those of the last block are kept."""
        if self._counted is not None and self._counted[0] == rows:
            return self._counted[1:]
        of_queries, n_films = self._of_queries[rows], len(self._pattern_of)
        # float32 holds every count below 2^24 exactly, and a float product runs on BLAS.
        common = (of_queries.astype(np.float32) @ self._columns).astype(np.int32)
        n_grades = self._columns.shape[0] + 1
        bins = np.arange(len(common))[:, None] * n_grades + common
        weights = np.broadcast_to(self._films_of_pattern, common.shape)
        size = len(common) * n_grades
        counts = np.bincount(bins.ravel(), weights=weights.ravel(), minlength=size).astype(np.int64)

        first, last = np.searchsorted(self._forbidden, [rows.start * n_films, rows.stop * n_films])
        queries, films = np.divmod(self._forbidden[first:last], n_films)
        queries, films = (queries - rows.start)[self._searchable[films]], films[self._searchable[films]]
        counts -= np.bincount(bins[queries, self._pattern_of[films]], minlength=size)
        self._counted = (rows, common, counts.reshape(len(common), -1))
        return self._counted[1:]


class PairGrader:
    """Grades of pairs that were judged one by one; as in TREC, a film that nobody judged has grade 0.

    Parameters
    ----------
    of, films, grades
        int64 (p,) each: query, film and grade (>= 0) of every judged pair that a ranking could find, each pair once.
    n_films
        Films of the database.
    n_possible
        int64 (q,), how many of them each query could get.
    """

    def __init__(
        self, of: Int64Array, films: Int64Array, grades: Int64Array, n_films: int, n_possible: Int64Array
    ) -> None:
        keys = of * n_films + films
        order = np.argsort(keys)
        end = np.array([np.iinfo(np.int64).max])  # behind every pair, so that a place among the keys is always there
        self._keys = np.concatenate([keys[order], end])
        self._grades = np.concatenate([grades[order], [0]])
        self._n_films = n_films
        n_queries, n_grades = len(n_possible), int(grades.max(initial=0)) + 1
        counts = np.bincount(of * n_grades + grades, minlength=n_queries * n_grades).reshape(n_queries, n_grades)
        counts[:, 0] = n_possible - counts[:, 1:].sum(axis=1)
        self._counts = counts

    def is_judged(self, lists: Int32Array | Int64Array) -> BoolArray:
        """Whether each hit of the lists (q, K) of all queries was judged; False for a pad."""
        return self._find(np.arange(len(lists)), lists)[0]

    def judge(self, rows: slice, lists: Int32Array | Int64Array) -> Judged:
        """Grade lists (m b, K); see `Grader.judge`. There are no labels: what only they can say is not to be asked."""
        counts = self._counts[rows]
        repeats = len(lists) // len(counts)
        judged, places = self._find(np.tile(np.arange(rows.start, rows.stop), repeats), lists)
        grades = np.where(judged, self._grades[places], 0).astype(np.int32)
        nothing = np.zeros((1, 0), dtype=np.bool_)
        return Judged(grades, np.ones((len(counts), 1), np.bool_), counts, nothing, np.zeros_like(lists, np.int64))

    def _find(self, queries: Int64Array, lists: Int32Array | Int64Array) -> tuple[BoolArray, Int64Array]:
        keys = queries[:, None] * self._n_films + lists
        places = np.searchsorted(self._keys, keys)
        return np.asarray((self._keys[places] == keys) & (lists >= 0)), places


def _distinct_rows(labels: BoolArray) -> tuple[BoolArray, Int64Array]:
    """Return the distinct rows of a boolean matrix, and for every row the number of its pattern."""
    if labels.shape[1] == 0:
        return labels[:1], np.zeros(len(labels), dtype=np.int64)
    packed = np.packbits(labels, axis=1)
    keys = np.ascontiguousarray(packed).view(np.dtype((np.void, packed.shape[1]))).ravel()
    _, first, number = np.unique(keys, return_index=True, return_inverse=True)
    return labels[first], number.astype(np.int64)
