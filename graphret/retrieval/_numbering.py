"""Numbers 0, 1, 2, ... for the nodes that a kernel meets: scratch as large as what is met, whatever the graph's size.

Open addressing: ``nodes[number]`` is the node of a number, and ``table`` holds the number of a node in the first free
place from its hash on. The table has a power of two of places, at least twice as many as there may be numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from graphret._numba import jit

__all__ = ["_add_number", "_number_of", "_number_table"]

FREE_PLACE = np.int32(-1)
MULTIPLIER = np.int64(0x9E3779B1)
SHIFT = np.int64(15)


@jit()
def _number_table(capacity: int) -> Any:
    """Make an empty table for at most ``capacity`` nodes."""
    size = 2
    while size < 2 * capacity:
        size *= 2
    return np.full(size, FREE_PLACE, np.int32)


@jit()
def _number_of(node: Any, table: Any, nodes: Any) -> Any:
    """Number of a node, or -1."""
    mask = np.int64(table.shape[0] - 1)
    place = ((np.int64(node) * MULTIPLIER) >> SHIFT) & mask
    while table[place] >= 0 and nodes[table[place]] != node:
        place = (place + 1) & mask
    return np.int64(table[place])


@jit()
def _add_number(node: Any, table: Any, nodes: Any, n_nodes: int) -> int:
    """Give a node that has none the number ``n_nodes``; returns how many there are then."""
    mask = np.int64(table.shape[0] - 1)
    place = ((np.int64(node) * MULTIPLIER) >> SHIFT) & mask
    while table[place] >= 0:
        place = (place + 1) & mask
    table[place] = n_nodes
    nodes[n_nodes] = node
    return n_nodes + 1
