"""What lists are worth to queries that they were not made for: gains that have nothing to do with the query.

A ranking that gives every query the same few films gains over "nearest" where those films happen to have frequent
findings. That is a gain for every query to come, and it is none of similarity.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from graphret._types import Float64Array, Int64Array
    from graphret.tuning.candidate_lists import CandidateLists
    from graphret.tuning.criteria import Criterion

__all__ = ["DEALS", "DealtLists", "deals_of"]

DEALS = 8
"""How often the lists are dealt out anew; the mean of so many is subtracted."""


def deals_of(patients: NDArray[Any], n_deals: int, seed: int) -> list[Int64Array]:
    """Give every query the list of another one; int64 (q,) each.

    The queries stand in a circle, those of a patient together in random order, and lists go on by as many places as the
    largest patient has, or more: so they are of another patient, unless one has more than half of all queries.

    Examples
    --------
    >>> patients = np.array(["a", "b", "a", "c"])
    >>> (deal,) = deals_of(patients, 1, seed=0)
    >>> sorted(deal.tolist()), bool((patients[deal] != patients).all())
    ([0, 1, 2, 3], True)
    """
    rng = np.random.default_rng(seed)
    n_queries = len(patients)
    names, numbers, counts = np.unique(patients, return_inverse=True, return_counts=True)
    deals = []
    for _ in range(n_deals):
        circle = np.argsort(rng.permutation(len(names))[numbers], kind="stable")
        least = int(counts.max())
        step = int(rng.integers(least, max(least, n_queries - least) + 1)) % max(1, n_queries)
        deal = np.empty(n_queries, np.int64)
        deal[circle] = np.roll(circle, step)
        deals.append(deal)
    return deals


class DealtLists:
    """The worth of lists of candidates to queries that they were not made for.

    Films of a query's own patient may be in lists of others, and count as all films do there, for every candidate.

    Parameters
    ----------
    lists
        Of all candidates of the tuning.
    criterion
        What lists are worth.
    n_queries
        The first so many queries of the tuning were asked.
    seed
        Of the deals.
    """

    def __init__(self, lists: CandidateLists, criterion: Criterion, n_queries: int, seed: int) -> None:
        self._lists, self._criterion, self._rows = lists, criterion, slice(0, n_queries)
        self._deals = deals_of(criterion.patients(n_queries), DEALS, seed)
        self._values: dict[int, Float64Array] = {}

    def values(self, number: int) -> Float64Array:
        """Mean of the measures for every query with the lists of others, by one candidate; float64 (q,)."""
        if number not in self._values:
            lists = self._lists.rank([number], self._rows)
            dealt = np.concatenate([lists[:, deal] for deal in self._deals])
            worth = list(self._criterion.values(dealt, self._rows).values())
            self._values[number] = np.mean(worth, axis=(0, 1))
        return self._values[number]
