"""Louvain on modularity or weighted modularity (Haq et al. 2021, Algorithm 1), with refinement on the way back."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from graphret._errors import InvalidParameterError
from graphret._threads import borrow_threads
from graphret.communities._kernels import (
    BLOCK,
    _aggregate,
    _community_totals,
    _connected_parts,
    _move_nodes,
    _move_nodes_finer,
)
from graphret.communities.modularity import check_objective, modularity

if TYPE_CHECKING:
    from graphret._types import Float64Array, Int32Array, Int64Array
    from graphret.graph import Graph

__all__ = ["Partition", "canonical_labels", "louvain"]

LabelArray = NDArray[np.uint32]


@dataclass(frozen=True, eq=False)
class Partition:
    """A partition of the nodes into communities.

    Parameters
    ----------
    labels
        int32 (n,): 0 is the largest community; ties by smallest member.
    quality
        The objective's value, from the independent scorer.
    n_communities
        Number of communities.
    n_split
        Communities that were not connected and had to be split.
    n_levels
        Graphs that were moved on, the first included.
    """

    labels: Int32Array
    quality: float
    n_communities: int
    n_split: int = 0
    n_levels: int = 1


@dataclass(frozen=True, eq=False)
class _Level:
    """A graph whose nodes are communities of the level below: loops count once inside, twice in degrees."""

    indptr: Int64Array
    indices: LabelArray
    weights: NDArray[np.floating]
    degrees: Float64Array
    loops: Float64Array
    sizes: Float64Array

    @classmethod
    def of(cls, graph: Graph) -> _Level:
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

    def aggregate(self, labels: LabelArray, n_communities: int) -> _Level:
        indptr = np.empty(n_communities + 1, np.int64)
        loops = np.empty(n_communities)
        rows = (self.indptr, self.indices, self.weights, self.inner, self.loops, labels, n_communities)
        others, row = np.empty(self.longest_row + 1, np.uint32), np.empty(self.longest_row + 1, self.weights.dtype)
        # most edges end inside communities: room for all of them would be more than the graph itself
        room, filled = self.indices.shape[0] // 4 + n_communities, -1
        while filled < 0:
            indices, weights = np.empty(room, np.uint32), np.empty(room, np.float64)
            filled = _aggregate(*rows, others, row, indptr, indices, weights, loops)
            room *= 2
        return _Level(
            indptr,
            indices[:filled].copy(),
            weights[:filled].copy(),
            _sums(labels, self.degrees),
            loops,
            _sums(labels, self.sizes),
        )


def louvain(
    graph: Graph,
    *,
    objective: str = "modularity",
    resolution: float = 1.0,
    seed: int = 0,
    n_threads: int = 1,
    initial: NDArray[np.integer] | None = None,
) -> Partition:
    """Divide a graph into communities by Louvain (Haq et al. 2021, Algorithm 1; Blondel et al. 2008).

    Nodes move to the neighbouring community that gains most until none gains; communities become nodes of a
    smaller graph; and so on until nothing changes. On the way back every level is moved once more from the
    result of the level above. Communities that are not connected are split and counted.

    Parameters
    ----------
    graph
        n nodes, m edges.
    objective
        "modularity" (coarse, zeta = 0) or "weighted_modularity" (finer, zeta = 2 l / (n (n - 1))).
    resolution
        Greater than 0; multiplies the second term; larger gives smaller communities.
    seed
        Order of visits: blocks of neighbouring rows are shuffled, rows inside a block are not.
    n_threads
        Threads that may be used, >= 1. Local moving is sequential and uses one: neither result nor time depend on it.
    initial
        Integers (n,): communities to start from, in any numbering; -1 for a node that is to start on its own (a film
        that came since). An archive that grew is divided faster, and its communities stay close to what they were.

    Returns
    -------
    Partition
        Labels int32 (n,), numbered by size, largest first, ties by smallest member.

    Raises
    ------
    InvalidParameterError
        Unknown objective, resolution <= 0, n_threads < 1, ``initial`` of another shape, dtype or range.

    Notes
    -----
    About O(m) time per level; levels shrink fast. Gains are float64; ties go to the smaller label. Modularity is never
    below that of ``initial``, because every step from there gains.

    Examples
    --------
    >>> import numpy as np, scipy.sparse
    >>> from graphret.graph import Graph
    >>> triangles = scipy.sparse.block_diag([np.ones((3, 3)) - np.eye(3)] * 2)
    >>> louvain(Graph.from_scipy(triangles)).labels.tolist()
    [0, 0, 0, 1, 1, 1]
    """
    check_objective(objective, resolution)
    labels = np.arange(graph.n_nodes, dtype=np.uint32) if initial is None else _start_from(initial, graph.n_nodes)
    settled = initial is None  # communities that were given may still gain by merging, also where no node moves
    generator = np.random.default_rng(seed)
    with borrow_threads(n_threads):
        level = _Level.of(graph)
        total = graph.total_weight
        below: list[tuple[_Level, LabelArray]] = []
        while total > 0 and (
            _move(level, labels, total, objective, resolution, generator, alone=settled) or not settled
        ):
            settled = True
            numbers, n_communities = _renumber(labels)
            below.append((level, numbers))
            level = level.aggregate(numbers, n_communities)
            labels = np.arange(n_communities, dtype=np.uint32)
        for finer, numbers in reversed(below):
            labels = labels[numbers]
            _move(finer, labels, total, objective, resolution, generator)
        return _finish(graph, labels, objective, resolution, n_levels=len(below) + 1)


def _start_from(initial: NDArray[np.integer], n_nodes: int) -> LabelArray:
    """Number given communities from 0, and nodes that have none after them."""
    given = np.asarray(initial)
    if given.shape != (n_nodes,) or given.dtype.kind not in "iu":
        raise InvalidParameterError(
            "initial", f"{given.dtype} {given.shape}", f"integers ({n_nodes},)", "one community per node, -1 for none"
        )
    if n_nodes and given.min() < -1:
        raise InvalidParameterError("initial", int(given.min()), "communities >= 0, or -1 for a node that has none")
    alone = given == -1
    communities, numbers = np.unique(given[~alone], return_inverse=True)
    n_communities = communities.shape[0]
    labels = np.empty(n_nodes, np.uint32)
    labels[~alone] = numbers
    labels[alone] = np.arange(n_communities, n_communities + alone.sum(), dtype=np.uint32)
    return labels


def _move(
    level: _Level,
    labels: LabelArray,
    total: float,
    objective: str,
    resolution: float,
    generator: np.random.Generator,
    *,
    alone: bool = False,
) -> int:
    """Move nodes from ``labels`` (changed in place; numbers below n_nodes) until none gains; number of moves.

    ``alone``: every node is a community of its own.
    """
    n_nodes = labels.shape[0]
    rows = (level.indptr, level.indices, level.weights, level.degrees, level.inner)
    order = generator.permutation(-(-n_nodes // int(BLOCK))).astype(np.uint32)
    longest = level.longest_row + 1
    scratch = (np.empty(longest, np.uint32), np.empty(longest, np.uint32), np.empty(longest, level.weights.dtype))
    if objective == "weighted_modularity":
        inside, degrees, sizes = np.zeros(n_nodes), np.zeros(n_nodes), np.zeros(n_nodes)
        _community_totals(*rows[:4], level.loops, level.sizes, labels, inside, degrees, sizes)
        state = (
            level.loops,
            level.sizes,
            labels,
            degrees,
            inside,
            sizes,
            order,
            np.ones(n_nodes, np.bool_),
            np.zeros((n_nodes, 1)),
        )
        return int(_move_nodes_finer(*rows, *state, *scratch, total, resolution))
    slack = np.full(n_nodes, -np.inf, level.weights.dtype)
    nodes = (order, slack, *scratch, resolution / (2.0 * total))
    n_moves = 0
    if alone:  # almost every node moves in the first sweep; the communities that are left fit into a cache
        n_moves += int(_move_nodes(*rows, labels, _communities(labels, level.degrees), *nodes, True))
        labels[:] = _renumber(labels)[0]
    return n_moves + int(_move_nodes(*rows, labels, _communities(labels, level.degrees), *nodes, False))


def _communities(labels: LabelArray, degrees: Float64Array) -> Float64Array:
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


def _finish(graph: Graph, labels: LabelArray, objective: str, resolution: float, n_levels: int) -> Partition:
    """Split what is not connected, number by size, and score."""
    parts = np.empty(graph.n_nodes, np.int32)
    n_parts = _connected_parts(graph.indptr, graph.indices.view(np.uint32), labels, parts)
    firsts = np.flatnonzero(np.diff(np.maximum.accumulate(parts), prepend=-1))
    parts_of_community = np.bincount(labels[firsts])
    final = canonical_labels(parts)
    quality = modularity(graph, final, objective=objective, resolution=resolution)
    return Partition(final, quality, n_parts, int((parts_of_community > 1).sum()), n_levels)


def canonical_labels(labels: NDArray[np.integer]) -> Int32Array:
    """Number communities by size, largest first, ties by smallest member; int32 (n,).

    Examples
    --------
    >>> import numpy as np
    >>> canonical_labels(np.array([7, 3, 3, 9])).tolist()
    [1, 0, 0, 2]
    """
    _, first, numbers, sizes = np.unique(labels, return_index=True, return_inverse=True, return_counts=True)
    order = np.lexsort((first, -sizes))
    rank = np.empty(order.shape[0], dtype=np.int32)
    rank[order] = np.arange(order.shape[0], dtype=np.int32)
    renumbered: Int32Array = rank[numbers.reshape(-1)]
    return renumbered
