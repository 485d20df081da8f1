"""Numbers 0, 1, 2, ... for the nodes that a kernel meets: scratch as large as what is met, whatever the graph's size.

Open addressing: ``table`` holds a node and its number, as one integer, in the first free place from the node's hash on.
It has a power of two of places, at least twice as many as there may be nodes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from graphret._numba import jit

__all__ = ["FREE_PLACE", "_add_number", "_number_at", "_number_of", "_number_table", "_place_of", "_set_number"]

FREE_PLACE = np.int64(-1)
MULTIPLIER = np.int64(0x9E3779B1)
SHIFT = np.int64(15)
NODE_BITS = np.int64(32)
NUMBER = np.int64(0x7FFFFFFF)


@jit()
def _number_table(capacity: int) -> Any:
    """Make an empty table for at most ``capacity`` nodes."""
    size = 2
    while size < 2 * capacity:
        size *= 2
    return np.full(size, FREE_PLACE, np.int64)


@jit()
def _place_of(node: Any, table: Any) -> Any:
    """Place of a node in the table, or the free one where it would be."""
    mask = np.int64(table.shape[0] - 1)
    place = ((np.int64(node) * MULTIPLIER) >> SHIFT) & mask
    while table[place] >= 0 and (table[place] >> NODE_BITS) != node:
        place = (place + 1) & mask
    return place


@jit()
def _number_at(place: Any, table: Any) -> Any:
    """Number of the node at a place that is not free."""
    return table[place] & NUMBER


@jit()
def _number_of(node: Any, table: Any) -> Any:
    """Number of a node, or -1."""
    place = _place_of(node, table)
    return _number_at(place, table) if table[place] >= 0 else np.int64(-1)


@jit()
def _set_number(place: Any, node: Any, number: Any, table: Any) -> None:
    """Write a node and its number, at most 2^31 - 1, to its place."""
    table[place] = (np.int64(node) << NODE_BITS) | np.int64(number)


@jit()
def _add_number(node: Any, table: Any, nodes: Any, n_nodes: int) -> int:
    """Give a node that has none the number ``n_nodes``, and note it there; returns how many there are then."""
    _set_number(_place_of(node, table), node, n_nodes, table)
    nodes[n_nodes] = node
    return n_nodes + 1
