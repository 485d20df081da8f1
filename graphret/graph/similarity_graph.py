"""From a table of nearest neighbours to a sparse graph: threshold, symmetrise, CSR (Haq et al. 2021, Eq. 2, 3, 9)."""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._checks import check_number
from graphret._errors import InvalidParameterError, UnknownNameError
from graphret.graph._kernels import _directed_rows, _mark_linked, _merge_symmetric, _row_sums, _transpose

if TYPE_CHECKING:
    from collections.abc import Iterator

    import scipy.sparse
    from numpy.typing import NDArray

    from graphret._types import Float64Array, Int32Array, Int64Array
    from graphret.neighbors.neighbor_table import NeighborTable

__all__ = ["WEIGHTS", "Graph", "automatic_threshold", "check_threshold", "similarity_graph"]

WEIGHTS = ("binary", "cosine")
AUTOMATIC_SHARE = 0.8
"""Share of the table's similarities that the threshold "auto" keeps."""


@dataclass(frozen=True, eq=False)
class Graph:
    """Undirected weighted graph in CSR: symmetric, sorted rows, no self loop, positive weights.

    Parameters
    ----------
    indptr
        int64 (n_nodes + 1,), where each row starts.
    indices
        int32 (2 * n_edges,), neighbours of each node, ascending.
    weights
        float32 or float64 (2 * n_edges,), positive.
    threshold
        Value of T that the edges passed; ``None`` when there was none.
    n_best_edge_only
        Nodes that T would have left without an edge and that kept their best one.
    """

    indptr: Int64Array
    indices: Int32Array
    weights: NDArray[np.floating]
    threshold: float | None = None
    n_best_edge_only: int = field(default=0)

    @property
    def n_nodes(self) -> int:
        """Number of nodes."""
        return int(self.indptr.shape[0] - 1)

    @property
    def n_edges(self) -> int:
        """Number of edges, each counted once."""
        return int(self.indices.shape[0] // 2)

    @cached_property
    def degrees(self) -> Float64Array:
        """Weighted degree of every node, float64 (n_nodes,)."""
        out = np.empty(self.n_nodes)
        _row_sums(self.indptr, self.weights, out)
        return out

    def row_blocks(self, n_blocks: int = 16) -> Iterator[tuple[slice, slice]]:
        """Slices of nodes, and of their entries in ``indices`` and ``weights``: what is made for one is small."""
        cuts = np.arange(n_blocks + 1) * self.n_nodes // n_blocks
        for first, last in itertools.pairwise(cuts):
            if first < last:
                yield slice(first, last), slice(self.indptr[first], self.indptr[last])

    @cached_property
    def total_weight(self) -> float:
        """Sum of the weights, each edge once: L of the papers."""
        return float(self.weights.sum(dtype=np.float64) / 2.0)

    @cached_property
    def fingerprint(self) -> str:
        """sha256 of the three arrays: equal graphs, and only they, have equal fingerprints."""
        digest = hashlib.sha256()
        for array in (self.indptr, self.indices, self.weights):
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    @classmethod
    def from_scipy(cls, matrix: scipy.sparse.sparray | scipy.sparse.spmatrix) -> Graph:
        """Make a graph of a symmetric scipy matrix with a zero diagonal and positive weights.

        Weights stay float64 unless all of them are exact in float32.

        Raises
        ------
        InvalidParameterError
            The matrix is not square, not symmetric, has a diagonal, or weights that are negative or not finite.

        Examples
        --------
        >>> import numpy as np, scipy.sparse
        >>> Graph.from_scipy(scipy.sparse.csr_array(np.array([[0, 0.5], [0.5, 0]]))).n_edges
        1
        """
        import scipy.sparse  # here: a query needs it not, and it takes half as long to import as numba

        csr = scipy.sparse.csr_array(matrix, copy=True)
        csr.sum_duplicates()
        csr.eliminate_zeros()
        if csr.shape[0] != csr.shape[1]:
            raise InvalidParameterError("matrix", csr.shape, "a square matrix (n, n)")
        values = csr.data.astype(np.float64)
        if values.size and not (np.isfinite(values).all() and values.min() > 0):
            raise InvalidParameterError("matrix", "negative or non-finite weights", "weights > 0")
        if csr.diagonal().any():
            raise InvalidParameterError("matrix", "a diagonal", "a zero diagonal", "call setdiag(0) first")
        if abs(csr - csr.T).sum() > 0:
            raise InvalidParameterError("matrix", "asymmetric weights", "a symmetric matrix", "take (m + m.T) / 2")
        csr.sort_indices()
        single = values.astype(np.float32)
        weights: NDArray[np.floating] = single if np.array_equal(single.astype(np.float64), values) else values
        return cls(csr.indptr.astype(np.int64), csr.indices.astype(np.int32), weights)

    def to_scipy(self) -> scipy.sparse.csr_array:
        """Return the graph as a symmetric ``scipy.sparse.csr_array`` (n_nodes, n_nodes)."""
        import scipy.sparse

        shape = (self.n_nodes, self.n_nodes)
        return scipy.sparse.csr_array((self.weights, self.indices, self.indptr), shape=shape)


def automatic_threshold(table: NeighborTable) -> float:
    """Return the similarity that 80 % of the table's entries reach, rounded to 1e-6 (threshold "auto")."""
    values = table.similarities[table.neighbors >= 0]
    if values.size == 0:
        return 0.0
    rank = int(np.floor((1.0 - AUTOMATIC_SHARE) * (values.size - 1)))
    return round(float(np.partition(values, rank)[rank]), 6)


def similarity_graph(table: NeighborTable, *, threshold: float | str | None = "auto", weights: str = "cosine") -> Graph:
    """Link every node to its nearest neighbours that pass the threshold T (Haq et al. 2021, Eq. 2, 3).

    An edge exists when one of its ends is among the k nearest of the other (union) and their cosine is
    at least T and positive. Haq et al. (2021) print ``x if x <= T``, which keeps the dissimilar pairs and contradicts
    its own text; graphret keeps ``cos >= T``. A node that would have no edge keeps its best one.

    Parameters
    ----------
    table
        From `nearest_neighbors`; its size k bounds the degree instead of Haq et al.'s 10^10 edges.
    threshold
        T in [-1, 1]; "auto" takes the value that 80 % of the table's similarities reach; ``None`` keeps all.
    weights
        "cosine" (Eq. 2) or "binary" (weight 1 for every edge, Haq et al.'s ``e in {0, 1}``).

    Returns
    -------
    Graph
        ``threshold`` records the value used, ``n_best_edge_only`` how many nodes T would have isolated.

    Raises
    ------
    InvalidParameterError
        Threshold outside [-1, 1], or an unknown scheme of weights.

    Notes
    -----
    O(n k) time and memory; two counting transposes sort the rows, no comparison sort.

    Examples
    --------
    >>> import numpy as np
    >>> from graphret.neighbors import nearest_neighbors
    >>> codes = np.array([[1, 0], [1, 0.1], [0, 1], [0.1, 1]], dtype=np.float32)
    >>> graph = similarity_graph(nearest_neighbors(codes, 1), threshold=0.9)
    >>> graph.n_edges, graph.to_scipy().toarray()[0].astype(float).round(3).tolist()
    (2, [0.0, 0.995, 0.0, 0.0])
    """
    if weights not in WEIGHTS:
        raise UnknownNameError("weights", weights, WEIGHTS)
    checked = check_threshold(threshold)
    used = automatic_threshold(table) if isinstance(checked, str) else checked
    cut = np.float32(-2.0 if used is None else used)
    n_nodes, k = table.neighbors.shape
    size = n_nodes * k
    indptr = np.empty(n_nodes + 1, dtype=np.int64)
    indices, values = np.empty(size, dtype=np.int32), np.empty(size, dtype=np.float32)
    linked = np.zeros(n_nodes, dtype=np.bool_)
    _mark_linked(table.neighbors, table.similarities, cut, linked)
    best_edge_only = ~linked & (table.neighbors[:, :1] >= 0).any(axis=1)
    filled = _directed_rows(table.neighbors, table.similarities, cut, best_edge_only, indptr, indices, values)
    if weights == "binary":
        values[:filled] = 1.0
    for array in (indices, values):  # given back to the system, not copied
        array.resize(filled, refcheck=False)
    rows = _symmetric_rows(indptr, indices, values)
    return Graph(*rows, threshold=used, n_best_edge_only=int(best_edge_only.sum()))


def check_threshold(threshold: Any) -> float | str | None:
    """Return "auto", None, or a cosine as float.

    Raises
    ------
    InvalidParameterError
        Anything else.
    """
    if threshold is None or (isinstance(threshold, str) and threshold == "auto"):
        return threshold
    return check_number("threshold", threshold, at_least=-1, at_most=1, hint="a cosine, 'auto' or None")


def _symmetric_rows(
    indptr: Int64Array, indices: Int32Array, values: NDArray[np.float32]
) -> tuple[Int64Array, Int32Array, NDArray[np.float32]]:
    filled = indices.shape[0]
    mirrored = (np.empty_like(indptr), np.empty(filled, np.int32), np.empty(filled, np.float32))
    _transpose(indptr, indices, values, *mirrored)
    _transpose(*mirrored, indptr, indices, values)
    out = (np.empty_like(indptr), np.empty(2 * filled, np.int32), np.empty(2 * filled, np.float32))
    stored = _merge_symmetric(indptr, indices, values, *mirrored, *out)
    for array in out[1:]:
        array.resize(stored, refcheck=False)
    return out
