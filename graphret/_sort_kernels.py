"""Sorting inside kernels: two merge sorts that every kernel shares.

Kernels must not call ``np.sort`` or ``np.argsort``. Numba makes their implementations from closures of one name, and
tells these apart by a number that counts within a process. The compiled kernels of several processes meet in one cache
on disk; two closures that got the same number there are taken for each other, and a sort then runs in the place of an
argsort. A function of a module has a name of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from graphret._numba import jit

if TYPE_CHECKING:
    from typing import Any

    from graphret._types import Int64Array

__all__ = ["_best_few", "_best_first", "_kth_largest", "_smallest_few", "_sort_ascending"]

RUN = 12
"""Entries that are put in order by insertion before runs are merged."""


@jit()
def _sort_ascending(keys: Any) -> None:
    """Sort whole numbers (n,) in place, smallest first; O(n log n)."""
    n = keys.shape[0]
    for start in range(0, n, RUN):
        for place in range(start + 1, min(start + RUN, n)):
            key = keys[place]
            hole = place
            while hole > start and keys[hole - 1] > key:
                keys[hole] = keys[hole - 1]
                hole -= 1
            keys[hole] = key
    if n <= RUN:
        return
    merged = np.empty_like(keys)
    width = RUN
    while width < n:
        for start in range(0, n, 2 * width):
            left, middle, stop = start, min(start + width, n), min(start + 2 * width, n)
            right = middle
            for place in range(start, stop):
                if right == stop or (left < middle and keys[left] <= keys[right]):
                    merged[place] = keys[left]
                    left += 1
                else:
                    merged[place] = keys[right]
                    right += 1
        keys[:] = merged
        width *= 2


@jit()
def _comes_before(ids: Any, values: Any, one: int, other: int) -> bool:
    """Whether an entry has the larger value, or an equal one and the smaller id."""
    larger = values[one] > values[other]
    return bool(larger or (values[one] == values[other] and ids[one] < ids[other]))


@jit()
def _best_first(ids: Any, values: Any) -> Int64Array:
    """Places of the entries, int64 (n,), by value, largest first, ties by smaller id; stable, O(n log n)."""
    n = ids.shape[0]
    order = np.empty(n, np.int64)
    for start in range(0, n, RUN):
        for place in range(start, min(start + RUN, n)):
            hole = place
            while hole > start and _comes_before(ids, values, place, order[hole - 1]):
                order[hole] = order[hole - 1]
                hole -= 1
            order[hole] = place
    merged = np.empty(n, np.int64)
    width = RUN
    while width < n:
        for start in range(0, n, 2 * width):
            left, middle, stop = start, min(start + width, n), min(start + 2 * width, n)
            right = middle
            for place in range(start, stop):
                if right == stop or (left < middle and not _comes_before(ids, values, order[right], order[left])):
                    merged[place] = order[left]
                    left += 1
                else:
                    merged[place] = order[right]
                    right += 1
        order[:] = merged
        width *= 2
    return order


@jit()
def _best_few(ids: Any, values: Any, k: int) -> Int64Array:
    """The first k places of `_best_first`, int64 (min(k, n),); O(n + k log k) on average.

    The k-th value is found by halving a part of the entries again and again (Hoare 1961); those before it are sorted.
    """
    n = ids.shape[0]
    if k >= n:
        return _best_first(ids, values)
    places = np.arange(n)
    left, right = 0, n - 1
    while left < right:
        pivot = places[(left + right) // 2]
        low, high = left, right
        while low <= high:
            while _comes_before(ids, values, places[low], pivot):
                low += 1
            while _comes_before(ids, values, pivot, places[high]):
                high -= 1
            if low <= high:
                places[low], places[high] = places[high], places[low]
                low += 1
                high -= 1
        if k - 1 <= high:
            right = high
        elif k - 1 >= low:
            left = low
        else:
            break
    few = places[:k]
    return few[_best_first(ids[few], values[few])]


@jit()
def _part_smallest(keys: Any, k: int) -> None:
    """Bring the k smallest of whole numbers (n,), k <= n, to the front in place, in any order; O(n) on average."""
    left, right = 0, keys.shape[0] - 1
    while left < right:
        pivot = keys[(left + right) // 2]
        low, high = left, right
        while low <= high:
            while keys[low] < pivot:
                low += 1
            while pivot < keys[high]:
                high -= 1
            if low <= high:
                keys[low], keys[high] = keys[high], keys[low]
                low += 1
                high -= 1
        if k - 1 <= high:
            right = high
        elif k - 1 >= low:
            left = low
        else:
            break


@jit()
def _kth_largest(values: Any, k: int) -> Any:
    """The k-th largest of whole numbers (n,), 1 <= k <= n; O(n) on average."""
    keys = -values
    _part_smallest(keys, k)
    return -keys[:k].max()


@jit()
def _smallest_few(keys: Any, k: int) -> None:
    """Bring the k smallest of whole numbers (n,), k <= n, to the front in place, smallest first.

    As `_best_few`, but of numbers that no other array has to be asked about: O(n + k log k) on average.
    """
    _part_smallest(keys, k)
    _sort_ascending(keys[:k])
