"""Communities of a new partition get the numbers of the old ones that they continue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from graphret._errors import InvalidParameterError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from graphret._types import Int32Array, Int64Array

__all__ = ["Matching", "match_communities"]

PART = 0.1
"""A part of a community counts as a split, or as a merge, from this share of its nodes on."""


@dataclass(frozen=True, eq=False)
class Matching:
    """New communities under old numbers.

    Parameters
    ----------
    labels
        int32 (n,).
    next_number
        The smallest number that no community has had.
    n_kept
        Nodes whose number is the one that they had.
    splits
        Old number -> numbers of the communities that hold a tenth of its nodes or more, and two at least, where there
        are several.
    merges
        New number -> old numbers that make up a tenth of its nodes or more, where there are several.
    """

    labels: Int32Array
    next_number: int
    n_kept: int
    splits: dict[int, list[int]]
    merges: dict[int, list[int]]


def match_communities(old: NDArray[np.integer], new: NDArray[np.integer], next_number: int) -> Matching:
    """Number new communities like the old ones that they share most nodes with.

    Pairs of an old and a new community are matched by the number of nodes in common, largest first, ties by the smaller
    old number, then by the smaller new one; each is matched once. New communities without a match get numbers from
    ``next_number`` on, largest first.

    Parameters
    ----------
    old, new
        Integers (n,), >= 0, of the same nodes.
    next_number
        Above all of ``old``.

    Returns
    -------
    Matching
        O(n log n) time.

    Raises
    ------
    InvalidParameterError
        Two lengths, or a ``next_number`` that is an old number.

    Examples
    --------
    >>> matched = match_communities(np.array([5, 5, 5, 5, 2, 2]), np.array([0, 0, 1, 1, 2, 2]), 6)
    >>> matched.labels.tolist(), matched.splits, matched.merges
    ([5, 5, 6, 6, 2, 2], {5: [5, 6]}, {})
    """
    if len(old) != len(new):
        raise InvalidParameterError("new", f"{len(new)} labels", f"{len(old)} labels")
    if len(old) and int(old.max()) >= next_number:
        raise InvalidParameterError("next_number", next_number, f"an integer above {int(old.max())}")
    pairs, counts = np.unique(np.stack([old, new]).astype(np.int64), axis=1, return_counts=True)
    order = np.lexsort((pairs[1], pairs[0], -counts))
    number_of: dict[int, int] = {}
    given: set[int] = set()
    for before, after in pairs[:, order].T.tolist():
        if after not in number_of and before not in given:
            number_of[after] = before
            given.add(before)
    numbers, sizes = np.unique(new, return_counts=True)
    for after in numbers[np.lexsort((numbers, -sizes))].tolist():
        if after not in number_of:
            number_of[after] = next_number
            next_number += 1
    places = np.array([number_of[after] for after in numbers.tolist()], dtype=np.int32)
    labels: Int32Array = places[np.searchsorted(numbers, new)]
    pairs[1] = places[np.searchsorted(numbers, pairs[1])]
    return Matching(
        labels,
        next_number,
        int(np.count_nonzero(labels == old)),
        _parts(pairs[0], pairs[1], counts),
        _parts(pairs[1], pairs[0], counts),
    )


def _parts(wholes: Int64Array, others: Int64Array, counts: Int64Array) -> dict[int, list[int]]:
    """Which others hold a part of each whole, for wholes with several parts."""
    numbers, places = np.unique(wholes, return_inverse=True)
    sizes = np.bincount(places.reshape(-1), weights=counts)
    large = counts >= np.maximum(PART * sizes[places.reshape(-1)], 2)
    found: dict[int, list[int]] = {int(number): [] for number in numbers}
    for whole, other in zip(wholes[large].tolist(), others[large].tolist(), strict=True):
        found[whole].append(other)
    return {whole: sorted(parts) for whole, parts in found.items() if len(parts) > 1}
