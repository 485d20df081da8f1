"""Nearest films over shards: each is searched by itself, and the lists are merged as one search would order them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from graphret._checks import check_integer
from graphret._errors import CodesError, InvalidParameterError
from graphret.neighbors.neighbor_table import NeighborTable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from graphret._types import BoolArray, Codes, Float32Array, Float64Array, Int32Array, Int64Array
    from graphret.neighbors.exact_search import Search
    from graphret.neighbors.neighbor_table import SearchCounts

__all__ = ["ShardedSearch"]


class ShardedSearch:
    """Search shards as one archive: the films of the first shard, then those of the second, and so on.

    Similarities come from the canonical routine, which does not depend on the other films, and ties go to the smaller
    position. So over shards that are searched exactly the result is to the bit that of `ExactSearch` over all codes
    together. Over shards that follow links, each finds its nearest films with its own recall.

    Parameters
    ----------
    shards
        At least one; codes of the same length, 2**31 - 1 films together at most.

    Raises
    ------
    InvalidParameterError
        No shard, or too many films.
    CodesError
        Codes of several lengths.

    Examples
    --------
    >>> from graphret.neighbors import ExactSearch
    >>> codes = np.eye(4, dtype=np.float32)
    >>> shards = ShardedSearch([ExactSearch(codes[:1]), ExactSearch(codes[1:])])
    >>> shards.search(np.array([[0, 1, 0, 0.5]], dtype=np.float32), 2).neighbors.tolist()
    [[1, 3]]
    """

    def __init__(self, shards: Sequence[Search]) -> None:
        if not shards:
            raise InvalidParameterError("shards", [], "at least one")
        lengths = {int(shard.codes.shape[1]) for shard in shards}
        if len(lengths) > 1:
            raise CodesError(f"the shards have codes of {sorted(lengths)} dimensions: one search needs one length")
        self.shards = list(shards)
        sizes = [shard.codes.shape[0] for shard in shards]
        self.starts: Int64Array = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        if self.starts[-1] > np.iinfo(np.int32).max:
            raise InvalidParameterError("shards", f"{self.starts[-1]:,} films", f"at most {np.iinfo(np.int32).max:,}")
        self._n_dimensions = lengths.pop()

    @property
    def codes(self) -> Codes:
        """float32 (n, d), of which only the shape is true: values are NaN, for each shard keeps its own codes.

        `read_codes` reads some.
        """
        return np.broadcast_to(np.float32(np.nan), (int(self.starts[-1]), self._n_dimensions))

    @property
    def lengths(self) -> Float64Array:
        """Lengths of the codes, float64 (n,); copied."""
        return np.concatenate([shard.lengths for shard in self.shards])

    def read_codes(self, rows: Any = None) -> Codes:
        """Codes of some films, or of all, copied; see `ExactSearch.read_codes`."""
        if rows is None:
            return np.concatenate([shard.read_codes() for shard in self.shards])
        wanted = np.asarray(rows, dtype=np.int64)
        out = np.empty((len(wanted), self._n_dimensions), dtype=np.float32)
        home = self.shard_of(wanted)
        for number in np.unique(home).tolist():
            here = home == number
            out[here] = self.shards[number].read_codes(wanted[here] - self.starts[number])
        return out

    def shard_of(self, positions: Any) -> Int64Array:
        """Return the shard of each position, int64."""
        return np.searchsorted(self.starts, np.asarray(positions), side="right") - 1

    def part_of(
        self, number: int, allowed: BoolArray | None, forbidden: Sequence[Int32Array] | None
    ) -> tuple[BoolArray | None, list[Int32Array] | None]:
        """Return which films of one shard may come, and which may not, by their positions in the shard."""
        first, last = int(self.starts[number]), int(self.starts[number + 1])
        mask = None if allowed is None else np.ascontiguousarray(allowed[first:last])
        if forbidden is None:
            return mask, None
        lists = [np.asarray(films, dtype=np.int32) for films in forbidden]
        return mask, [(films[(films >= first) & (films < last)] - first).astype(np.int32) for films in lists]

    def search(
        self,
        queries: Codes,
        k: int,
        *,
        allowed: BoolArray | None = None,
        forbidden: Sequence[Int32Array] | None = None,
        n_threads: int | None = None,
    ) -> NeighborTable:
        """Find the k nearest films of every query; see `ExactSearch.search`.

        Time of all shards, and O(q s k log(s k)) for s shards to merge; ``counts`` are sums.
        """
        k = min(check_integer("k", k, 1), int(self.starts[-1]))
        if allowed is not None and np.shape(allowed) != (int(self.starts[-1]),):
            raise CodesError(f"allowed has shape {np.shape(allowed)}: give bool ({self.starts[-1]},), one per film")
        tables, counts = [], None
        for number, shard in enumerate(self.shards):
            mask, lists = self.part_of(number, allowed, forbidden)
            table = shard.search(queries, k, allowed=mask, forbidden=lists, n_threads=n_threads)
            tables.append(table)
            counts = _sum(counts, table.counts)
        films = [
            np.where(table.neighbors >= 0, table.neighbors + start, -1)
            for table, start in zip(tables, self.starts.tolist(), strict=False)
        ]
        neighbors, similarities = _merged(films, [table.similarities for table in tables], k)
        return NeighborTable(
            neighbors,
            similarities,
            "exact" if all(table.method == "exact" for table in tables) else "approximate",
            min(table.recall for table in tables),
            counts=counts,
        )

    def similarities(self, queries: Codes, positions: Int32Array, *, n_threads: int | None = None) -> Float32Array:
        """Score given films for every query; see `ExactSearch.similarities`."""
        out = np.zeros(positions.shape, dtype=np.float32)
        home = np.where(positions >= 0, self.shard_of(positions), -1)
        for number, shard in enumerate(self.shards):
            here = home == number
            if here.any():
                own = np.where(here, positions - self.starts[number], -1).astype(np.int32)
                out[here] = shard.similarities(queries, own, n_threads=n_threads)[here]
        return out


def _sum(first: SearchCounts | None, second: SearchCounts | None) -> SearchCounts | None:
    if first is None or second is None:
        return second if first is None else first
    return first + second


def _merged(
    films: Sequence[Int64Array], similarities: Sequence[Float32Array], k: int
) -> tuple[Int32Array, Float32Array]:
    """The k best of all lists: by similarity, ties by smaller position, padding last."""
    found, values = np.concatenate(films, axis=1), np.concatenate(similarities, axis=1)
    rank = np.where(found >= 0, -values, np.float32(np.inf))
    order = np.lexsort((found, rank), axis=1)[:, :k]
    neighbors = np.take_along_axis(found, order, axis=1).astype(np.int32)
    return neighbors, np.where(neighbors >= 0, np.take_along_axis(values, order, axis=1), np.float32(0))
