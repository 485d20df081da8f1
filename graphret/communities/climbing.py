"""One climb of Louvain: moving on a graph, on graphs of merged nodes, and once more on the way back."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from graphret.communities._kernels import _aggregate, _community_totals, _move_nodes, _move_nodes_finer

if TYPE_CHECKING:
    from graphret._types import Float64Array, Int64Array
    from graphret.graph import Graph

__all__ = ["LabelArray", "Level", "Objective", "Visits", "climb", "move"]

LabelArray = NDArray[np.uint32]

BLOCK = 256
"""Rows visited in memory order before the seeded order jumps, at most: rows that lie together are read together."""


@dataclass(frozen=True)
class Objective:
    """What a climb maximises: "modularity" or "weighted_modularity", the graph's total weight, and the resolution."""

    name: str
    total: float
    resolution: float


@dataclass(frozen=True)
class Visits:
    """Orders of visits: blocks of at most 256 rows are shuffled, rows inside a block are not.

    With ``n_blocks`` the blocks are smaller where the graph has fewer rows than that many blocks of 256 would need.
    """

    generator: np.random.Generator
    n_blocks: int = 1

    def draw(self, n_nodes: int) -> tuple[LabelArray, int]:
        """Return the order of the blocks, and the rows of a block."""
        size = max(1, min(BLOCK, n_nodes // self.n_blocks))
        return self.generator.permutation(-(-n_nodes // size)).astype(np.uint32), size


@dataclass(frozen=True, eq=False)
class Level:
    """A graph whose nodes are communities of the level below: loops count once inside, twice in degrees."""

    indptr: Int64Array
    indices: LabelArray
    weights: NDArray[np.floating]
    degrees: Float64Array
    loops: Float64Array
    sizes: Float64Array

    @classmethod
    def of(cls, graph: Graph) -> Level:
        """Return the lowest level: every node is one of the graph's."""
        n_nodes = graph.n_nodes
        indices = graph.indices.view(np.uint32)
        return cls(graph.indptr, indices, graph.weights, graph.degrees, np.zeros(n_nodes), np.ones(n_nodes))

    @cached_property
    def inner(self) -> Float64Array:
        """Sum of every row: degrees without loops."""
        return self.degrees - 2.0 * self.loops

    @cached_property
    def longest_row(self) -> int:
        """Neighbours of the node that has most."""
        return int(np.diff(self.indptr).max(initial=0))

    def aggregate(self, labels: LabelArray, n_communities: int) -> Level:
        """Make one node of every community; labels are numbered 0.. without gaps."""
        indptr = np.empty(n_communities + 1, np.int64)
        loops = np.empty(n_communities)
        rows = (self.indptr, self.indices, self.weights, self.inner, self.loops, labels, n_communities)
        others, row = np.empty(self.longest_row + 1, np.uint32), np.empty(self.longest_row + 1, self.weights.dtype)
        # most edges end inside communities: room for all of them would be more than the graph itself
        room = self.indices.shape[0] // 4 + n_communities
        indices, weights = np.empty(room, np.uint32), np.empty(room, np.float64)
        while (filled := _aggregate(*rows, others, row, indptr, indices, weights, loops)) < 0:
            room *= 2
            del indices, weights  # before there is more
            indices, weights = np.empty(room, np.uint32), np.empty(room, np.float64)
        for values in (indices, weights):
            values.resize(filled, refcheck=False)  # where they lie
        return Level(indptr, indices, weights, _sums(labels, self.degrees), loops, _sums(labels, self.sizes))


def climb(
    level: Level, labels: LabelArray, objective: Objective, visits: Visits, *, alone: bool
) -> tuple[LabelArray, int]:
    """Move and merge until nothing gains, then move once more on every level on the way back.

    ``labels`` are numbered below the nodes of the level, and changed in place; ``alone``: every node is a community of
    its own. Returns the labels that were reached, and the levels that were moved on.
    """
    settled = alone  # communities that were given may still gain by merging, also where no node moves
    below: list[tuple[Level, LabelArray]] = []
    while move(level, labels, objective, visits, alone=settled) or not settled:
        settled = True
        numbers, n_communities = _renumber(labels)
        below.append((level, numbers))
        level = level.aggregate(numbers, n_communities)
        labels = np.arange(n_communities, dtype=np.uint32)
    for finer, numbers in reversed(below):
        labels = labels[numbers]
        move(finer, labels, objective, visits)
    return labels, len(below) + 1


def move(level: Level, labels: LabelArray, objective: Objective, visits: Visits, *, alone: bool = False) -> int:
    """Move nodes from ``labels`` (changed in place; numbers below n_nodes) until none gains; number of moves.

    ``alone``: every node is a community of its own.
    """
    n_nodes = labels.shape[0]
    rows = (level.indptr, level.indices, level.weights, level.degrees)
    order = visits.draw(n_nodes)
    longest = level.longest_row + 1
    scratch = (np.empty(longest, np.uint32), np.empty(longest, np.uint32), np.empty(longest, level.weights.dtype))
    if objective.name == "weighted_modularity":
        nodes = (level.loops, level.sizes, labels)
        totals = np.zeros((n_nodes, 4))
        _community_totals(*rows, *nodes, totals)
        state = (totals, *order, np.ones(n_nodes, np.bool_))
        return int(
            _move_nodes_finer(*rows, level.inner, *nodes, *state, *scratch, objective.total, objective.resolution)
        )
    slack = np.full(n_nodes, -np.inf, level.weights.dtype)
    last = (*order, slack, *scratch, objective.resolution / (2.0 * objective.total))
    n_moves = 0
    if alone:  # almost every node moves in the first sweep; the communities that are left fit into a cache
        n_moves += int(_move_nodes(*rows, level.inner, labels, _degrees_of(labels, level.degrees), *last, True))
        labels[:] = _renumber(labels)[0]
    return n_moves + int(_move_nodes(*rows, level.inner, labels, _degrees_of(labels, level.degrees), *last, False))


def _degrees_of(labels: LabelArray, degrees: Float64Array) -> Float64Array:
    """What `_move_nodes` keeps of every community: zero, and the degree."""
    sums = _sums(labels, degrees)
    return np.column_stack([np.zeros_like(sums), sums])


def _sums(labels: LabelArray, values: Float64Array) -> Float64Array:
    return np.bincount(labels, weights=values).astype(np.float64, copy=False)


def _renumber(labels: LabelArray) -> tuple[LabelArray, int]:
    """Number the communities that are left from 0, in their order; labels are below n_nodes."""
    used = np.zeros(labels.shape[0], np.bool_)
    used[labels] = True
    numbers = np.cumsum(used, dtype=np.uint32)
    return (numbers - np.uint32(1))[labels], int(numbers[-1])
