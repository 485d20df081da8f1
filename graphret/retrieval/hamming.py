"""Hamming distance of the signs of the codes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from graphret._checks import check_integer
from graphret._errors import UnknownNameError
from graphret.hashing import HammingSearch, pack_bits
from graphret.neighbors.exact_search import TILE, row_lengths
from graphret.retrieval.protocol import RankedLists, source_code

if TYPE_CHECKING:
    from graphret._types import Codes, Float32Array, Int32Array
    from graphret.hashing.bits import PackedBits
    from graphret.retrieval.protocol import Archive, QueryBatch

__all__ = ["Hamming"]

CENTERS = ("auto", "median", "zero")
TIES = ("cosine", "position")
SAMPLE = 16_384
"""Codes that the medians are taken of, evenly spaced over the archive."""
CENTRED = "no code of the archive is negative, so the bits say which values lie above their median in the archive"
CONSTANT = (
    "no code of the archive is negative, so all signs are equal and films come in the order of the archive: "
    "hamming:center=auto takes the medians"
)
GROWTH = 4
"""Times more films are asked for where those at one distance do not end."""


class Hamming:
    """Ranking "hamming": films by the number of bits in which their codes differ from the query's.

    Bit j of a code x is ``x_j / |x| >= t_j``. The score is the cosine of the two vectors of signs, ``1 - 2 m / d`` for
    m different bits of d, so that larger is closer. For codes of a hash encoder, or values before a hasher's sign, this
    is the search that they were made for, at d / 8 bytes a film.

    Exact. Distances are whole numbers, so that many films are as near as each other: `ties` says who comes first, and
    `graphret.evaluation.evaluate_hamming` scores without such a choice.

    Parameters
    ----------
    archive
        The films.
    center
        ``"zero"``: t = 0, the sign itself. ``"median"``: t is the median of every dimension over the archive's unit
        codes (a sample of 16,384 of them). ``"auto"``: the sign, but the median where no code of the archive is
        negative, as those of a network that ends in a ReLU: all their signs are equal, and nothing would be ranked.
        ``notes`` of the lists say so.
    ties
        ``"position"``: of films at the same distance the smaller position first. ``"cosine"``: the nearer by cosine,
        then the smaller position.

    Examples
    --------
    >>> from graphret.retrieval import Archive, QueryBatch
    >>> codes = np.array([[1, -1], [1, 1], [-1, 1], [2, 1]], dtype=np.float32)
    >>> archive = Archive.from_codes(codes, k=1)
    >>> ranked = Hamming(archive).rank(QueryBatch.of(archive, codes[3:], 3), 3)
    >>> ranked.positions.tolist(), ranked.scores.tolist()
    ([[1, 3, 0]], [[1.0, 1.0, 0.0]])
    >>> Hamming(archive, ties="cosine").rank(QueryBatch.of(archive, codes[3:], 3), 3).positions.tolist()
    [[3, 1, 0]]
    """

    name: ClassVar[str] = "hamming"

    def __init__(self, archive: Archive, *, center: str = "auto", ties: str = "position") -> None:
        if center not in CENTERS:
            raise UnknownNameError("center", center, CENTERS)
        if ties not in TIES:
            raise UnknownNameError("ties", ties, TIES)
        self.archive, self.center, self.ties = archive, center, ties

    def rank(
        self,
        queries: QueryBatch,
        k: int,
        *,
        fill: bool = True,  # noqa: ARG002 - the lists are complete without it
        n_threads: int | None = None,
    ) -> RankedLists:
        """Rank the k allowed films with the fewest different bits; see `Ranker.rank`.

        O(q n d / 64) words for q queries; the first call reads all codes once. Ties by cosine score every film that is
        as near as the k-th: at worst all.
        """
        k = check_integer("k", k, 1, "ask for at least one film")
        thresholds, search = self.archive.prepared(("hamming", self._centers_at), self._prepare)
        queries.eligibility(self.archive)
        bits = _bits(queries.codes, row_lengths(queries.codes), thresholds)
        limits: dict[str, Any] = {"allowed": queries.allowed, "forbidden": queries.forbidden, "n_threads": n_threads}
        if self.ties == "position":
            positions, distances = search.search(bits, k, **limits)
            similarities = self.archive.search.similarities(queries.codes, positions, n_threads=n_threads)
        else:
            positions, distances, similarities = self._by_cosine(search, bits, queries, k, n_threads)
        ranked = RankedLists.empty(len(queries), k, notes=self._notes)
        width = positions.shape[1]
        found = positions >= 0
        ranked.positions[:, :width] = positions
        ranked.similarities[:, :width] = similarities
        ranked.scores[:, :width] = np.where(found, 1.0 - 2.0 * distances / self.archive.codes.shape[1], 0.0)
        ranked.sources[:, :width][found] = source_code("search")
        return ranked

    @property
    def _never_negative(self) -> bool:
        def look() -> bool:
            codes = self.archive.search.read_codes()
            return all((codes[first : first + TILE] >= 0).all() for first in range(0, len(codes), TILE))

        return self.archive.prepared(("never negative",), look)

    @property
    def _centers_at(self) -> str:
        if self.center != "auto":
            return self.center
        return "median" if self._never_negative else "zero"

    @property
    def _notes(self) -> tuple[str, ...]:
        if self.center == "median" or not self._never_negative:
            return ()
        return (CENTRED if self.center == "auto" else CONSTANT,)

    def _prepare(self) -> tuple[Float32Array, HammingSearch]:
        codes, lengths = self.archive.search.read_codes(), self.archive.search.lengths
        thresholds = np.zeros(codes.shape[1], np.float32)
        if self._centers_at == "median":
            rows = np.unique(np.linspace(0, len(codes) - 1, min(len(codes), SAMPLE)).astype(np.int64))
            thresholds = np.median(codes[rows] / lengths[rows, None], axis=0).astype(np.float32)
        blocks = [
            _bits(codes[first : first + TILE], lengths[first : first + TILE], thresholds)
            for first in range(0, len(codes), TILE)
        ]
        return thresholds, HammingSearch(np.concatenate(blocks))

    def _by_cosine(
        self, search: HammingSearch, bits: PackedBits, queries: QueryBatch, k: int, n_threads: int | None
    ) -> tuple[Int32Array, Int32Array, Float32Array]:
        """Rank by distance, then cosine, then position: all films as near as the k-th are looked at."""
        k = min(k, len(search))
        shape = (len(queries), k)
        positions, distances = np.full(shape, -1, np.int32), np.full(shape, -1, np.int32)
        similarities = np.zeros(shape, np.float32)
        pending, size = np.arange(len(queries)), min(GROWTH * k, len(search))
        while pending.size:
            forbidden = None if queries.forbidden is None else [queries.forbidden[query] for query in pending.tolist()]
            films, away = search.search(
                bits[pending], size, allowed=queries.allowed, forbidden=forbidden, n_threads=n_threads
            )
            complete = (films[:, -1] < 0) | (away[:, -1] > away[:, k - 1]) | (size == len(search))
            done = pending[complete]
            films, away = films[complete], away[complete]
            cosines = self.archive.search.similarities(queries.codes[done], films, n_threads=n_threads)
            order = np.lexsort((films, -cosines, np.where(films < 0, np.iinfo(np.int32).max, away)), axis=1)[:, :k]
            positions[done] = np.take_along_axis(films, order, axis=1)
            distances[done] = np.take_along_axis(away, order, axis=1)
            similarities[done] = np.take_along_axis(cosines, order, axis=1)
            pending, size = pending[~complete], min(GROWTH * size, len(search))
        return positions, distances, similarities


def _bits(codes: Codes, lengths: np.ndarray, thresholds: Float32Array) -> PackedBits:
    """Pack the signs of unit codes less the thresholds; without thresholds the length has no say."""
    if not thresholds.any():
        return pack_bits(codes)
    return pack_bits(codes / lengths[:, None] - thresholds)
