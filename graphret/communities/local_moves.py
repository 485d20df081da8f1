"""Communities follow a graph that changes: new nodes join, and nodes nearby move where that gains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from graphret._checks import check_number
from graphret._errors import InvalidParameterError
from graphret.communities._kernels import _community_totals
from graphret.communities._local_kernels import _move_from_queue
from graphret.communities.modularity import check_objective

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from graphret._types import Int32Array
    from graphret.graph import Graph

__all__ = ["LocalMoves", "move_locally"]

VISITS = 20
"""For each node that the change touched, at most so many visits: moves that go on beyond are left to a rebuild."""


STAY = 0.05
"""Gain for which a film leaves its community, as a share of its degree."""


@dataclass(frozen=True, eq=False)
class LocalMoves:
    """Communities after a change of the graph.

    Parameters
    ----------
    labels
        int32 (n,): numbers as they were; communities that are new have numbers from ``next_number`` on.
    next_number
        The smallest number that no community has had.
    n_visits, n_moves
        Nodes that were looked at, and moved.
    n_waiting
        Nodes that were still to be looked at when the bound on visits was reached.
    """

    labels: Int32Array
    next_number: int
    n_visits: int
    n_moves: int
    n_waiting: int


def move_locally(
    graph: Graph,
    labels: NDArray[np.integer],
    touched: NDArray[np.integer],
    next_number: int,
    *,
    objective: str = "modularity",
    resolution: float = 1.0,
    stay: float = STAY,
) -> LocalMoves:
    """Let new nodes join communities, and move the nodes around a change, until nothing gains or a bound is reached.

    New nodes start alone, and come first: each joins the neighbouring community with the largest gain of the objective
    (Haq et al. 2021, Eq. 7). Then the touched nodes are visited, and after a move its neighbours in other communities.
    Numbers of communities are kept; numbers of communities that have become empty are not given again.

    Parameters
    ----------
    graph
        n nodes, as it is now.
    labels
        Integers (n,): the community of each node, -1 for a new node.
    touched
        Positions of nodes whose edges have changed.
    next_number
        The smallest number that no community has had: above all of ``labels``.
    objective, resolution
        As in `louvain`.
    stay
        A node that is not alone moves only where it gains more than this share of its degree (the sum of its weights),
        >= 0. What is nearly as good elsewhere stays, so that communities keep their films.

    Returns
    -------
    LocalMoves
        Reproducible: nodes are visited in order of position, then in the order in which they were woken. No visit
        lowers the objective.

    Raises
    ------
    InvalidParameterError
        Labels of another length, below -1, or not below ``next_number``.

    Notes
    -----
    O(m) time to sum the communities, and at most 20 visits for each node that is new or touched.

    Examples
    --------
    >>> import scipy.sparse
    >>> from graphret.graph import Graph
    >>> triangles = scipy.sparse.block_diag([np.ones((3, 3)) - np.eye(3)] * 2)
    >>> moved = move_locally(Graph.from_scipy(triangles), np.array([4, 4, -1, 7, 7, 7]), np.array([0]), 8)
    >>> moved.labels.tolist(), moved.next_number
    ([4, 4, 4, 7, 7, 7], 8)
    """
    check_objective(objective, resolution)
    given = np.asarray(labels)
    if given.shape != (graph.n_nodes,) or given.dtype.kind not in "iu":
        raise InvalidParameterError("labels", f"{given.dtype} {given.shape}", f"integers ({graph.n_nodes},)")
    if given.size and (given.min() < -1 or given.max() >= next_number):
        raise InvalidParameterError("labels", f"{given.min()}..{given.max()}", f"-1 to {next_number - 1}")
    moved = given.astype(np.int64)
    new = np.flatnonzero(moved < 0)
    moved[new] = next_number + np.arange(len(new))
    order = np.concatenate([new, np.setdiff1d(touched, new)]).astype(np.int64)
    visits, moves, left = 0, 0, 0
    if graph.n_edges and len(order):
        visits, moves, left = _move(graph, moved, order, next_number + len(new), objective, resolution, stay)
    own, firsts, numbers = np.unique(moved[moved >= next_number], return_index=True, return_inverse=True)
    ranks = np.empty(len(own), np.int64)
    ranks[np.argsort(firsts)] = next_number + np.arange(len(own))
    moved[moved >= next_number] = ranks[numbers.reshape(-1)]
    return LocalMoves(moved.astype(np.int32), next_number + len(own), visits, moves, left)


def _move(
    graph: Graph,
    labels: NDArray[np.int64],
    order: NDArray[np.int64],
    n_numbers: int,
    objective: str,
    resolution: float,
    stay: float,
) -> tuple[int, int, int]:
    """Run the kernel; ``labels`` are changed in place."""
    rows = graph.indptr.view(np.ndarray), graph.indices.view(np.ndarray), graph.weights.view(np.ndarray)
    degrees = graph.degrees
    communities = np.zeros((n_numbers, 4))
    nothing, ones = np.zeros(graph.n_nodes), np.ones(graph.n_nodes)
    _community_totals(*rows, degrees, nothing, ones, labels, communities)
    queue = np.empty(graph.n_nodes, np.int64)
    queue[: len(order)] = order
    waiting = np.zeros(graph.n_nodes, np.bool_)
    waiting[order] = True
    visits, moves, left = _move_from_queue(
        *rows,
        degrees,
        labels,
        communities,
        queue,
        len(order),
        waiting,
        VISITS * len(order),
        check_number("stay", stay, at_least=0.0),
        graph.total_weight,
        float(resolution),
        objective != "modularity",
    )
    return int(visits), int(moves), int(left)
