"""The independent scorer: modularity and weighted modularity from their definition (Haq et al. 2021, Eq. 4-6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._checks import check_number
from graphret._errors import InvalidParameterError, UnknownNameError
from graphret.communities._score_kernels import _inside_weights

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from graphret.graph import Graph

__all__ = ["OBJECTIVES", "check_labels", "modularity"]

OBJECTIVES = ("modularity", "weighted_modularity")


def modularity(graph: Graph, labels: Any, *, objective: str = "modularity", resolution: float = 1.0) -> float:
    """Score a partition: Q = sum_u lambda_u (l_u / L - resolution (d_u / 2L)^2), Haq et al. 2021, Eq. 4-6.

    lambda_u = 1 for "modularity" (coarse, Newman-Girvan); lambda_u = 1 + 2 l_u / (n_u (n_u - 1)) for
    "weighted_modularity" (finer; 1 when n_u < 2). Shares no code with the kernels that maximise it.

    Parameters
    ----------
    graph
        n nodes.
    labels
        Integers (n,), any numbering.
    objective
        "modularity" or "weighted_modularity".
    resolution
        Greater than 0; multiplies the second term.

    Returns
    -------
    float
        0.0 for a graph without edges.

    Raises
    ------
    InvalidParameterError
        Unknown objective, resolution <= 0, labels of another length.

    Notes
    -----
    O(n + m) time, float64.

    Examples
    --------
    >>> import numpy as np, scipy.sparse
    >>> from graphret.graph import Graph
    >>> pairs = scipy.sparse.block_diag([np.array([[0, 1], [1, 0]])] * 2)
    >>> modularity(Graph.from_scipy(pairs), [0, 0, 1, 1])
    0.5
    >>> modularity(Graph.from_scipy(pairs), [0, 0, 1, 1], objective="weighted_modularity")
    1.0
    """
    check_objective(objective, resolution)
    numbers = check_labels(labels, graph.n_nodes)
    total = graph.total_weight
    if total == 0:
        return 0.0
    n_communities = int(numbers.max()) + 1
    inside = np.zeros(n_communities)
    kept = np.empty(int(np.diff(graph.indptr).max()) + 1, graph.weights.dtype)
    _inside_weights(graph.indptr, graph.indices.view(np.uint32), graph.weights, numbers, kept, inside)
    degrees = np.bincount(numbers, weights=graph.degrees, minlength=n_communities)
    terms = inside / total - resolution * (degrees / (2.0 * total)) ** 2
    if objective == "weighted_modularity":
        sizes = np.bincount(numbers, minlength=n_communities).astype(np.float64)
        pairs = sizes * (sizes - 1.0) / 2.0
        terms *= 1.0 + np.divide(inside, pairs, out=np.zeros_like(inside), where=pairs > 0)
    return float(terms.sum())


def check_objective(objective: str, resolution: float) -> None:
    """Refuse unknown objectives and resolutions that are not positive numbers."""
    if objective not in OBJECTIVES:
        raise UnknownNameError("objective", objective, OBJECTIVES)
    check_number("resolution", resolution, above=0)


def check_labels(labels: Any, n_nodes: int) -> NDArray[np.uint32]:
    """Return labels as uint32 (n,) numbered 0.. without gaps, or say what is wrong with them."""
    array = np.asarray(labels)
    if array.shape != (n_nodes,) or array.dtype.kind not in "iu":
        raise InvalidParameterError(
            "labels", f"{array.dtype} {array.shape}", f"integers ({n_nodes},)", "one community number per node"
        )
    return np.unique(array, return_inverse=True)[1].astype(np.uint32).reshape(-1)
