"""Nearest films of queries from outside the archive, straight from its codes (no index structure, no copy)."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np

from graphret._checks import check_codes, check_integer
from graphret._errors import CodesError
from graphret._threads import borrow_threads
from graphret.neighbors._kernels import _cosines, _rank_candidates, _scan, _update_heaps
from graphret.neighbors.neighbor_table import NeighborTable, SearchCounts
from graphret.neighbors.screened_codes import ScreenedCodes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from graphret._types import BoolArray, Codes, Float32Array, Float64Array, Int32Array, Int64Array
    from graphret.neighbors.checksums import RowChecksums

__all__ = ["ExactSearch", "Search", "allowed_mask", "ragged_lists", "row_lengths"]

MARGIN = 16
"""Candidates taken beyond k, so that rounding in float32 products can not cost a true neighbour."""
ROUNDING = 5e-6
"""Similarities closer than this may be swapped by float32 products and the rounding to 1e-6."""
SCAN_QUERIES = 4
"""Up to so many queries one thread reads the codes at the speed of the memory; more threads would only wait."""
SCREEN_FROM = 16
"""Codes of 8 bits are read first where the films are at least so many times those that are looked for."""
FEW_ALLOWED = 0.5
"""Share of allowed films below which a scan gathers their codes instead of reading all."""
QUERY_BLOCK = 256
TILE = 16_384
SCAN_TILE = 1 << 18
"""Codes that are scanned in one go for few queries: each go costs some calls, and only their products are held."""


def row_lengths(codes: Codes) -> Float64Array:
    """Euclidean length of every row, float64 (n,), in blocks so that memory-mapped codes stay on disk."""
    out = np.empty(codes.shape[0], dtype=np.float64)
    for first in range(0, codes.shape[0], TILE):
        block = np.asarray(codes[first : first + TILE])
        out[first : first + TILE] = np.sqrt(np.einsum("ij,ij->i", block, block, dtype=np.float64))
    return out


class Search(Protocol):
    """Finds the nearest films of an archive: `ExactSearch` all of them, `GraphSearch` nearly all, and faster."""

    @property
    def codes(self) -> Codes:
        """Codes of the films, float32 (n, d), as stored."""

    @property
    def lengths(self) -> Float64Array:
        """Lengths of the codes, float64 (n,)."""

    def search(
        self,
        queries: Codes,
        k: int,
        *,
        allowed: BoolArray | None = None,
        forbidden: Sequence[Int32Array] | None = None,
        n_threads: int | None = None,
    ) -> NeighborTable:
        """Find the k nearest films of every query; see `ExactSearch.search`."""
        ...

    def similarities(self, queries: Codes, positions: Int32Array, *, n_threads: int | None = None) -> Float32Array:
        """Score given films for every query; see `ExactSearch.similarities`."""
        ...

    def read_codes(self, rows: Any = None) -> Codes:
        """Codes of some films, or of all; see `ExactSearch.read_codes`."""
        ...


class ExactSearch:
    """Exact search by cosine over the codes of an archive.

    Tiles of matrix products feed one heap per query, or a first pass over codes of 8 bits leaves few films; the
    survivors are scored again in the canonical routine, so that similarities are the same to the bit alone, in a batch,
    and in the graph.

    Parameters
    ----------
    codes
        float32 (n, d), any scale; may be memory-mapped.
    lengths
        float64 (n,), row lengths where they are known.
    checksums
        Of the rows, where the codes are stored: a row is compared with its checksum before it is first read.
    screened
        Whether few queries are compared with codes of 8 bits first (`ScreenedCodes`, n d bytes, made at the first such
        search), and with their own codes only where these leave a film among the best. The result is the same.

    Examples
    --------
    >>> import numpy as np
    >>> search = ExactSearch(np.eye(3, dtype=np.float32))
    >>> search.search(np.array([[1, 0.5, 0]], dtype=np.float32), 2).neighbors.tolist()
    [[0, 1]]
    """

    def __init__(
        self,
        codes: Codes,
        lengths: Float64Array | None = None,
        checksums: RowChecksums | None = None,
        *,
        screened: bool = False,
    ) -> None:
        self.codes = codes
        self.lengths = row_lengths(codes) if lengths is None else lengths
        self.checksums = checksums
        self.screened = screened

    def _check(self, rows: Any) -> None:
        if self.checksums is not None:
            self.checksums.check(rows)

    def read_codes(self, rows: Any = None) -> Codes:
        """Return codes, after they were compared with their checksums where they have some.

        Parameters
        ----------
        rows
            Integers (m,), positions of films, for a copy of their codes; ``None``: all codes, as they are stored.

        Returns
        -------
        numpy.ndarray
            float32 (m, d).
        """
        self._check(rows)
        return self.codes if rows is None else np.ascontiguousarray(self.codes[rows], dtype=np.float32)

    @cached_property
    def _scales(self) -> Float32Array:
        return (1.0 / self.lengths).astype(np.float32)

    @cached_property
    def _screen(self) -> ScreenedCodes:
        return ScreenedCodes(self.read_codes(), self.lengths)

    def search(
        self,
        queries: Codes,
        k: int,
        *,
        allowed: BoolArray | None = None,
        forbidden: Sequence[Int32Array] | None = None,
        n_threads: int | None = None,
    ) -> NeighborTable:
        """Find the k nearest films of every query.

        Parameters
        ----------
        queries
            float32 (q, d), any scale.
        k
            At least 1; cut to n.
        allowed
            bool (n,): only these films may come. ``None``: all.
        forbidden
            One int array of film positions per query that may not come.
        n_threads
            Numba threads; ``None`` for all processors. The result does not depend on it.

        Returns
        -------
        NeighborTable
            (q, min(k, n)): best first, ties by smaller position, -1 where fewer are allowed.

        Raises
        ------
        CodesError, InvalidParameterError
            Wrong shape or length, values that are not finite, k < 1.

        Notes
        -----
        O(q n d) time for n films that are allowed; O(q k) memory beside one tile.
        """
        k = min(check_integer("k", k, 1), self.codes.shape[0])
        queries = check_codes(queries, name="query codes", n_dimensions=self.codes.shape[1])
        mask = np.empty(0, np.bool_) if allowed is None else allowed_mask(allowed, self.codes.shape[0])
        neighbors = np.empty((queries.shape[0], k), dtype=np.int32)
        similarities = np.empty((queries.shape[0], k), dtype=np.float32)
        few = queries.shape[0] <= SCAN_QUERIES
        with borrow_threads(n_threads, at_most=1 if few else None):
            for first in range(0, queries.shape[0], QUERY_BLOCK):
                rows = slice(first, min(first + QUERY_BLOCK, queries.shape[0]))
                lists = [()] * (rows.stop - first) if forbidden is None else forbidden[rows]
                self._search_block(queries[rows], k, mask, ragged_lists(lists), neighbors[rows], similarities[rows])
        n_allowed = self.codes.shape[0] if allowed is None else int(np.count_nonzero(mask))
        return NeighborTable(neighbors, similarities, counts=SearchCounts.scanned(len(queries), n_allowed))

    def similarities(self, queries: Codes, positions: Int32Array, *, n_threads: int | None = None) -> Float32Array:
        """Score given films for every query by the canonical routine.

        Parameters
        ----------
        queries
            float32 (q, d), any scale.
        positions
            int32 (q, k), films of the archive, -1 pads.
        n_threads
            Numba threads; the result does not depend on it.

        Returns
        -------
        numpy.ndarray
            float32 (q, k), cosines rounded to 1e-6, 0 where padded. O(q k d).
        """
        self._check(positions)
        out = np.empty(positions.shape, dtype=np.float32)
        with borrow_threads(n_threads, at_most=len(queries)):
            _cosines(queries, row_lengths(queries), self.codes, self.lengths, positions, out)
        out[positions < 0] = 0.0
        return out

    def _search_block(
        self,
        queries: Codes,
        k: int,
        mask: BoolArray,
        forbidden: tuple[Int64Array, Int32Array],
        out_neighbors: Int32Array,
        out_similarities: Float32Array,
    ) -> None:
        n_films = self.codes.shape[0]
        lengths = row_lengths(queries)
        unit = (queries / lengths[:, None]).astype(np.float32)
        # where few films are allowed, only their codes are read
        listed = np.flatnonzero(mask).astype(np.int32) if mask.size and mask.mean() < FEW_ALLOWED else None
        n_scanned = n_films if listed is None else listed.size
        if listed is None and self.screened and len(queries) <= SCAN_QUERIES and SCREEN_FROM * k <= n_films:
            starts, ids = forbidden
            for query in range(len(queries)):
                row = slice(query, query + 1)
                candidates = self._screen.candidates(unit[query], k, mask, ids[starts[query] : starts[query + 1]])
                self._rank(queries[row], lengths[row], candidates[None], out_neighbors[row], out_similarities[row])
            return
        pending = np.arange(queries.shape[0])
        size = min(k + MARGIN, n_films)
        while pending.size:
            starts, ids = ragged_lists([forbidden[1][forbidden[0][q] : forbidden[0][q + 1]] for q in pending])
            heap_scores = np.full((pending.size, size), -np.inf, dtype=np.float32)
            heap_ids = np.full((pending.size, size), -1, dtype=np.int32)
            tile = SCAN_TILE if pending.size <= SCAN_QUERIES else TILE
            for first in range(0, n_scanned, tile):
                stop = min(first + tile, n_scanned)
                films = np.arange(first, stop, dtype=np.int32) if listed is None else listed[first:stop]
                self._check(films)
                if pending.size <= SCAN_QUERIES:
                    scores = np.empty((pending.size, films.size), dtype=np.float32)
                    _scan(unit[pending], self.codes, films, scores)
                else:
                    scores = unit[pending] @ self.codes[slice(first, stop) if listed is None else films].T
                _update_heaps(scores, self._scales, films, mask, starts, ids, heap_scores, heap_ids)
            found = (np.empty((pending.size, k), np.int32), np.empty((pending.size, k), np.float32))
            self._rank(queries[pending], lengths[pending], heap_ids, *found)
            out_neighbors[pending], out_similarities[pending] = found
            # A row is sure when its heap did not overflow, or when what fell out is clearly worse than its k-th.
            sure = (heap_ids < 0).any(axis=1) | (size == n_films) | (heap_scores[:, 0] < found[1][:, -1] - ROUNDING)
            pending, size = pending[~sure], min(2 * size, n_films)

    def _rank(
        self,
        queries: Codes,
        lengths: Float64Array,
        candidates: Int32Array,
        out_neighbors: Int32Array,
        out_similarities: Float32Array,
    ) -> None:
        """Score candidates (q, c), -1 pads, by the canonical routine, and write the best of them."""
        similarities = np.empty(candidates.shape, dtype=np.float32)
        _cosines(queries, lengths, self.codes, self.lengths, candidates, similarities)
        nobody = np.full(len(queries), -1, dtype=np.int64)
        wanted = np.full(len(queries), out_neighbors.shape[1], dtype=np.int64)
        _rank_candidates(candidates, similarities, nobody, wanted, out_neighbors, out_similarities)


def allowed_mask(allowed: BoolArray, n_films: int) -> BoolArray:
    """Return a mask of films, bool (n,), C-contiguous.

    Raises
    ------
    CodesError
        It is of another number of films.

    Examples
    --------
    >>> allowed_mask([1, 0], 2).tolist()
    [True, False]
    """
    mask = np.ascontiguousarray(allowed, dtype=np.bool_)
    if mask.shape != (n_films,):
        raise CodesError(f"allowed has shape {mask.shape}: give bool ({n_films},), one per film")
    return mask


def ragged_lists(lists: Sequence[Sequence[int] | Int32Array]) -> tuple[Int64Array, Int32Array]:
    """Return lists of positions as (starts int64 (q + 1,), sorted positions int32), for kernels."""
    if not any(len(entry) for entry in lists):
        return np.zeros(len(lists) + 1, np.int64), np.empty(0, np.int32)
    arrays = [np.unique(np.asarray(entry, dtype=np.int32)) for entry in lists]
    starts = np.concatenate([[0], np.cumsum([array.size for array in arrays])]).astype(np.int64)
    return starts, np.concatenate([*arrays, np.empty(0, np.int32)]).astype(np.int32)
