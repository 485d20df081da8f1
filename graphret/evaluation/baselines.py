"""Rankings that know nothing: what a measure shows by chance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from graphret._types import BoolArray, Int32Array, Int64Array

__all__ = ["BASELINES", "random_hits"]


def random_hits(
    n_films: int, n_queries: int, k: int, *, allowed: BoolArray | None, excluded: Sequence[Int64Array], seed: int
) -> Int32Array:
    """Draw for each query k different films that it may get, uniformly and in random order.

    Parameters
    ----------
    n_films, n_queries, k
        Sizes; k is the width of the lists.
    allowed
        bool (n_films,), the films that may be drawn; all when None.
    excluded
        For each query, further rows that it may not get.
    seed
        Each query has a generator of its own, ``numpy.random.default_rng([seed, query])``.

    Returns
    -------
    int32 (n_queries, k)
        Rows of the archive; -1 pads where fewer than k films are left. The list of a smaller k begins that of a larger
        one. O(n_queries * k).

    Examples
    --------
    >>> hits = random_hits(4, 1, 5, allowed=None, excluded=[np.array([2])], seed=0)
    >>> sorted(hits[0].tolist())
    [-1, -1, 0, 1, 3]
    """
    films = None if allowed is None else np.flatnonzero(allowed)
    n_allowed = n_films if films is None else len(films)
    hits = np.full((n_queries, k), -1, dtype=np.int32)
    for query, forbidden in enumerate(excluded):
        drawn = np.fromiter(_drawn(n_allowed, k + len(forbidden), np.random.default_rng([seed, query])), dtype=np.int64)
        drawn = drawn if films is None else films[drawn]
        # The excluded ones among so many leave k others, and they are uniform too.
        kept = drawn[~np.isin(drawn, forbidden)][:k]
        hits[query, : len(kept)] = kept
    return hits


def _drawn(n: int, at_most: int, generator: np.random.Generator) -> Iterator[int]:
    """Shuffle 0..n-1 from its start (Fisher and Yates) and yield the first; only entries that moved are kept."""
    moved: dict[int, int] = {}
    for place, other in enumerate(generator.integers(np.arange(min(n, at_most)), n).tolist()):
        yield moved.get(other, other)
        moved[other] = moved.get(place, place)


BASELINES: dict[str, Callable[..., Int32Array]] = {"random": random_hits}
