"""Kernel of the first pass over codes of 8 bits: which films a bound leaves among the best."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._numba import jit
from graphret._sort_kernels import _kth_largest
from graphret.neighbors._kernels import _short_product

if TYPE_CHECKING:
    from graphret._types import BoolArray, Int8Array, Int16Array, Int32Array

__all__ = ["_candidates_of_query"]

BLOCK = 32
"""Films whose largest product is compared first."""
NOTHING = np.int32(-(2**31) + 1)
"""Product of a film that may not come: below all others."""


@jit()
def _write_products(codes: Any, query: Any, allowed: Any, forbidden: Any, out: Any) -> None:
    """Inner products of whole numbers, int8 (n, d) with int16 (d,), to int32 (n or more,)."""
    for film in range(codes.shape[0]):
        out[film] = _short_product(query, codes, film)
    out[codes.shape[0] :] = NOTHING
    for film in range(allowed.shape[0]):
        if not allowed[film]:
            out[film] = NOTHING
    for film in forbidden:
        if 0 <= film < codes.shape[0]:
            out[film] = NOTHING


@jit()
def _bound(products: Any, n_groups: int, k: int) -> Any:
    """A value that k products at least reach, as large as is quickly found: k groups have a product as large.

    A group is every n_groups-th product. Films that lie beside each other are in different ones: where an archive is
    sorted by kind, the nearest are beside each other.
    """
    largest = products[:n_groups].copy()
    for first in range(n_groups, products.shape[0], n_groups):
        for group in range(n_groups):
            largest[group] = max(largest[group], products[first + group])
    return _kth_largest(largest, k)


@jit()
def _candidates_of_query(
    codes: Int8Array, query: Int16Array, allowed: BoolArray, forbidden: Int32Array, k: int, slack: int
) -> Int32Array:
    """All films whose product is at most ``slack`` below the k-th largest of those that may come, and some more.

    Ascending. ``allowed`` has length 0 when every film may come.
    """
    n_blocks = (codes.shape[0] + BLOCK - 1) // BLOCK
    products = np.empty(BLOCK * n_blocks, np.int32)
    _write_products(codes, query, allowed, forbidden, products)
    limit = np.int64(NOTHING) + 1
    if k <= n_blocks:
        limit = max(limit, np.int64(_bound(products, n_blocks, k)) - slack)
    found = np.empty(products.shape[0] + 1, np.int32)
    n_found = 0
    for first in range(0, products.shape[0], BLOCK):
        best = NOTHING
        for place in range(BLOCK):
            best = max(best, products[first + place])
        if best >= limit:
            for film in range(first, first + BLOCK):
                found[n_found] = film
                n_found += products[film] >= limit
    return found[:n_found].copy()
