"""Louvain on modularity or weighted modularity (Haq et al. 2021, Algorithm 1): several starts, and the best of them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from graphret._checks import check_integer
from graphret._errors import InvalidParameterError
from graphret._threads import borrow_threads
from graphret.communities._kernels import _connected_parts
from graphret.communities.climbing import Level, Objective, Visits, climb
from graphret.communities.modularity import check_objective, modularity

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from graphret._types import Int32Array
    from graphret.communities.climbing import LabelArray
    from graphret.graph import Graph

__all__ = ["N_STARTS", "Partition", "canonical_labels", "louvain"]

N_STARTS = 8
"""Starts where nothing else is said: under a twentieth of the time of a build."""
BLOCKS_OF_LATER_STARTS = 32
"""Blocks that starts after the first shuffle at least, so that their orders differ on small graphs too."""
N_COMBINED = 4
"""Of the starts that score highest, those that are combined: more agree on smaller groups, and find no more."""

T = TypeVar("T")


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
    start_qualities
        The quality that every start reached, in their order; none of them is above ``quality``.
    """

    labels: Int32Array
    quality: float
    n_communities: int
    n_split: int = 0
    n_levels: int = 1
    start_qualities: tuple[float, ...] = ()


def louvain(
    graph: Graph,
    *,
    objective: str = "modularity",
    resolution: float = 1.0,
    seed: int = 0,
    n_starts: int = N_STARTS,
    n_threads: int | None = 1,
    initial: NDArray[np.integer] | None = None,
) -> Partition:
    """Divide a graph into communities by Louvain (Haq et al. 2021, Algorithm 1; Blondel et al. 2008).

    Nodes move to the neighbouring community that gains most until none gains; communities become nodes of a
    smaller graph; and so on until nothing changes. On the way back every level is moved once more from the
    result of the level above. Communities that are not connected are split and counted.

    What is reached depends on the order of visits, so there are several starts. Nodes that are together in the best
    four become one node (Ovelgönne and Geyer-Schulz 2012), that small graph is climbed from the communities of each of
    them, and the whole graph from the best result. The best of all that was found is kept.

    Parameters
    ----------
    graph
        n nodes, m edges.
    objective
        "modularity" (coarse, zeta = 0) or "weighted_modularity" (finer, zeta = 2 l / (n (n - 1))). Under the finer one
        a node also becomes a community of its own again where that gains most.
    resolution
        Greater than 0; multiplies the second term; larger gives smaller communities.
    seed
        At least 0: order of visits. Blocks of neighbouring rows are shuffled, rows inside a block are not.
    n_starts
        Starts, at least 1, each with an order of its own. More never score lower than the first of them does alone.
    n_threads
        Threads, at least 1, each with a start of its own; None: all processors. No result depends on it.
    initial
        Integers (n,): communities to start from, in any numbering; -1 for a node that is to start on its own (a film
        that came since). An archive that grew is divided faster, and its communities stay close to what they were.

    Returns
    -------
    Partition
        Labels int32 (n,), numbered by size, largest first, ties by smallest member. Of equal qualities that of the
        smaller start number is kept.

    Raises
    ------
    InvalidParameterError
        Unknown objective, resolution <= 0, seed < 0, n_starts or n_threads < 1, ``initial`` of another shape, dtype or
        range.

    Notes
    -----
    About O(m) time per start and level; levels shrink fast. Gains are float64; ties go to the smaller label. Quality is
    never below that of ``initial``, because every step from there gains.

    Examples
    --------
    >>> import numpy as np, scipy.sparse
    >>> from graphret.graph import Graph
    >>> triangles = scipy.sparse.block_diag([np.ones((3, 3)) - np.eye(3)] * 2)
    >>> found = louvain(Graph.from_scipy(triangles), n_starts=2)
    >>> found.labels.tolist(), found.start_qualities
    ([0, 0, 0, 1, 1, 1], (0.5, 0.5))
    """
    check_objective(objective, resolution)
    seed, n_starts = check_integer("seed", seed, 0), check_integer("n_starts", n_starts, 1)
    begin = np.arange(graph.n_nodes, dtype=np.uint32) if initial is None else _start_from(initial, graph.n_nodes)
    search = _Search(graph, Level.of(graph), Objective(objective, graph.total_weight, float(resolution)), seed)
    with borrow_threads(n_threads, at_most=n_starts) as threads:
        starts = _each(lambda number: search.start(begin.copy(), number, alone=initial is None), n_starts, threads)
        qualities = tuple(found.quality for found in starts)
        starts = sorted(starts, key=_quality, reverse=True)[:N_COMBINED]  # keeps the order of equal ones
        best = max([*starts, *search.combine(starts, threads)], key=_quality)
    return replace(best, start_qualities=qualities)


@dataclass(frozen=True, eq=False)
class _Search:
    """The graph of one call, and what its starts have in common."""

    graph: Graph
    level: Level
    objective: Objective
    seed: int

    def start(self, labels: LabelArray, number: int, *, alone: bool) -> Partition:
        """One Louvain from ``labels`` (changed in place)."""
        if self.objective.total == 0:
            return self._finish(labels, 1)
        return self._finish(*climb(self.level, labels, self.objective, self._visits(number), alone=alone))

    def combine(self, starts: Sequence[Partition], threads: int) -> list[Partition]:
        """Climb the graph of what starts agree on from each, and the whole graph from the best; none if all agree."""
        cores, n_cores = _overlap([found.labels for found in starts])
        if n_cores == max(found.n_communities for found in starts):
            return []
        level = self.level.aggregate(cores, n_cores)
        firsts = np.unique(cores, return_index=True)[1]

        def climbed(number: int) -> tuple[float, LabelArray]:
            labels = starts[number].labels[firsts].astype(np.uint32)
            labels, _ = climb(level, labels, self.objective, self._visits(number), alone=False)
            return self._score(labels[cores]), labels

        _, labels = max(_each(climbed, len(starts), threads), key=lambda found: found[0])
        return [self.start(labels[cores], len(starts), alone=False)]

    def _visits(self, number: int) -> Visits:
        """Orders of the climb with this number: those of number 0 are drawn as `default_rng(seed)` draws them."""
        generator = np.random.default_rng([self.seed, number])
        return Visits(generator, BLOCKS_OF_LATER_STARTS if number else 1)

    def _score(self, labels: NDArray[np.integer]) -> float:
        return modularity(self.graph, labels, objective=self.objective.name, resolution=self.objective.resolution)

    def _finish(self, labels: LabelArray, n_levels: int) -> Partition:
        """Split what is not connected, number by size, and score."""
        parts = np.empty(self.graph.n_nodes, np.int32)
        n_parts = _connected_parts(self.graph.indptr, self.graph.indices.view(np.uint32), labels, parts)
        firsts = np.flatnonzero(np.diff(np.maximum.accumulate(parts), prepend=-1))
        parts_of_community = np.bincount(labels[firsts])
        final = canonical_labels(parts)
        return Partition(final, self._score(final), n_parts, int((parts_of_community > 1).sum()), n_levels)


def _each(work: Callable[[int], T], n: int, threads: int) -> list[T]:
    """Call work(0) to work(n - 1), on that many threads; the results in order."""
    if threads == 1:
        return [work(number) for number in range(n)]
    with ThreadPoolExecutor(threads, thread_name_prefix="graphret-louvain") as pool:
        return list(pool.map(work, range(n)))


def _quality(found: Partition) -> float:
    return found.quality


def _overlap(partitions: Sequence[NDArray[np.integer]]) -> tuple[LabelArray, int]:
    """Number the groups of nodes that are together in all partitions; also how many there are."""

    def together(groups: NDArray[np.integer], labels: NDArray[np.integer]) -> NDArray[np.integer]:
        pairs = groups.astype(np.int64) * (int(labels.max(initial=0)) + 1) + labels
        return np.unique(pairs, return_inverse=True)[1].reshape(-1)

    groups = reduce(together, partitions)
    return groups.astype(np.uint32), int(groups.max(initial=-1)) + 1


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
