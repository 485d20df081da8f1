"""Rankings that know nothing: what a measure shows by chance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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
        Of ``numpy.random.default_rng``.

    Returns
    -------
    int32 (n_queries, k)
        Rows of the archive; -1 pads where fewer than k films are left. O(n_queries * k).

    Examples
    --------
    >>> hits = random_hits(4, 1, 5, allowed=None, excluded=[np.array([2])], seed=0)
    >>> sorted(hits[0].tolist())
    [-1, -1, 0, 1, 3]
    """
    generator = np.random.default_rng(seed)
    films = np.arange(n_films) if allowed is None else np.flatnonzero(allowed)
    hits = np.full((n_queries, k), -1, dtype=np.int32)
    for row, forbidden in enumerate(excluded):
        # A uniform sample that is longer by the number of excluded films has k others left, and they are uniform too.
        drawn = generator.choice(films, min(k + len(forbidden), len(films)), replace=False)
        kept = drawn[~np.isin(drawn, forbidden)][:k]
        hits[row, : len(kept)] = kept
    return hits


BASELINES: dict[str, Callable[..., Int32Array]] = {"random": random_hits}
