"""The kNN table of an archive: Faiss (CPU or GPU) or torch-CUDA proposes, one canonical routine decides."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np

from graphret._errors import DeviceError, MissingDependencyError, UnknownNameError
from graphret._numba import available_threads, borrow_threads
from graphret._types import Codes, Float32Array, Int32Array, Int64Array, Progress, check_codes, check_integer, unit_rows
from graphret.graph._kernels import _cosines, _rank_candidates
from graphret.graph.neighbor_table import NeighborTable
from graphret.graph.search import MARGIN, ROUNDING, NearestSearch, row_lengths

__all__ = ["BACKENDS", "METHODS", "nearest_neighbors"]

BACKENDS = ("auto", "faiss", "torch")
METHODS = ("approximate", "auto", "exact")
EXACT_LIMIT = 200_000
"""Rows up to which "auto" is exact."""
BLOCK = 4_096
RECALL_SAMPLE = 1_000
REFINE = 4
"""The approximate method scores this many times k candidates again."""

Propose: TypeAlias = Callable[[Codes, int], tuple[Float32Array, Int64Array]]
"""Candidates of some rows: (rows (b, d), m) -> (similarities descending (b, m), ids (b, m))."""


def nearest_neighbors(
    codes: Codes,
    k: int,
    *,
    backend: str = "auto",
    method: str = "auto",
    seed: int = 0,
    n_threads: int | None = None,
    progress: Progress | None = None,
) -> NeighborTable:
    """Find the k most similar rows of every row, by cosine (P1 Eq. 2).

    Candidates come from matrix products in float32. They are scored again by one canonical routine (float64 sums
    of the codes as given, rounded to 1e-6); a row whose k-th neighbour is too close to what was left out to be
    sure is searched again with more candidates. So ``"exact"`` is the same to the bit with any number of threads.

    Parameters
    ----------
    codes
        float32 (n, d), finite, no row of zeros, any scale.
    k
        At least 1; the table has k' = min(k, n - 1) columns.
    backend
        "faiss", "torch" (CUDA: chunked products and top-k), or "auto": Faiss, on a GPU where its GPU build and a
        device are there, else torch on a CUDA device, else Faiss on the CPU.
    method
        "exact"; "approximate" (candidates from the leading principal directions, recall measured on a sample of
        rows and reported in the table); "auto": exact up to 200,000 rows.
    seed
        Chooses the rows that principal directions and recall are estimated on; "exact" does not depend on it.
    n_threads
        CPU threads; ``None`` for all processors.
    progress
        Called as ``progress("neighbors", rows done, n)``.

    Returns
    -------
    NeighborTable
        Itself never; best first, ties by smaller id.

    Raises
    ------
    CodesError
        Wrong shape, values that are not finite, rows of zeros.
    InvalidParameterError
        k < 1, or an unknown backend or method.
    DeviceError, MissingDependencyError
        The backend is not there.

    Notes
    -----
    O(n^2 d) time for "exact"; memory: one unit-length copy of the codes and O(n k).

    Examples
    --------
    >>> import numpy as np
    >>> codes = np.array([[1, 0], [1, 0.1], [0, 1]], dtype=np.float32)
    >>> nearest_neighbors(codes, 1).neighbors.tolist()
    [[1], [0], [1]]
    """
    if backend not in BACKENDS:
        raise UnknownNameError("backend", backend, BACKENDS)
    if method not in METHODS:
        raise UnknownNameError("method", method, METHODS)
    k = check_integer("k", k, 1, "every film needs at least one neighbour")
    codes = check_codes(codes)
    n_rows = codes.shape[0]
    k = min(k, n_rows - 1)
    if k == 0:
        return NeighborTable(np.empty((n_rows, 0), np.int32), np.empty((n_rows, 0), np.float32))
    if method == "auto":
        method = "exact" if n_rows <= EXACT_LIMIT else "approximate"
    with borrow_threads(n_threads) as threads, _faiss_threads(backend, threads):
        if method == "approximate":
            return _approximate(codes, k, _chosen_backend(backend), seed, progress)
        unit = unit_rows(codes)
        return _exact(codes, k, _proposer(_chosen_backend(backend), unit), unit, progress)


def _exact(codes: Codes, k: int, propose: Propose, unit: Codes, progress: Progress | None) -> NeighborTable:
    n_rows = codes.shape[0]
    lengths = row_lengths(codes)
    neighbors = np.empty((n_rows, k), dtype=np.int32)
    similarities = np.empty((n_rows, k), dtype=np.float32)
    unsure: list[Int64Array] = []
    size = min(k + 1 + MARGIN, n_rows)
    for first in range(0, n_rows, BLOCK):
        rows = np.arange(first, min(first + BLOCK, n_rows))
        sure = _settle(codes, lengths, rows, propose(unit[rows], size), neighbors, similarities)
        if size < n_rows:
            unsure.append(rows[~sure])
        if progress is not None:
            progress("neighbors", int(rows[-1]) + 1, n_rows)
    pending = np.concatenate(unsure) if unsure else np.empty(0, np.int64)
    while pending.size and size < n_rows:
        size = min(2 * size, n_rows)
        block = max(1, BLOCK * k // size)  # the candidates of a block never need more memory than the first pass
        left = []
        for first in range(0, pending.size, block):
            rows = pending[first : first + block]
            left.append(rows[~_settle(codes, lengths, rows, propose(unit[rows], size), neighbors, similarities)])
        pending = np.concatenate(left)
    return NeighborTable(neighbors, similarities)


def _settle(
    codes: Codes,
    lengths: np.ndarray,
    rows: Int64Array,
    proposed: tuple[Float32Array, Int64Array],
    neighbors: Int32Array,
    similarities: Float32Array,
) -> np.ndarray:
    """Score the candidates of some rows canonically, write their k best, and say which rows are sure."""
    candidates = np.ascontiguousarray(proposed[1], dtype=np.int32)
    k = neighbors.shape[1]
    scored = np.empty(candidates.shape, dtype=np.float32)
    _cosines(codes[rows], lengths[rows], codes, lengths, candidates, scored)
    found = (np.empty((rows.size, k), np.int32), np.empty((rows.size, k), np.float32))
    _rank_candidates(candidates, scored, rows, np.full(rows.size, k, dtype=np.int64), *found)
    neighbors[rows], similarities[rows] = found
    return np.asarray(proposed[0][:, -1] < found[1][:, -1] - ROUNDING)


def _approximate(codes: Codes, k: int, backend: str, seed: int, progress: Progress | None) -> NeighborTable:
    """Search along the leading principal directions, then score REFINE * k candidates canonically.

    PCA is not centred away from the origin of the cosine: distances between projected unit vectors (L2) are
    searched, which centring does not change.
    """
    n_rows, n_dimensions = codes.shape
    generator = np.random.default_rng(seed)
    unit = unit_rows(codes)
    sample = unit[np.sort(generator.choice(n_rows, size=min(n_rows, 20_000), replace=False))].astype(np.float64)
    centred = sample - sample.mean(axis=0)
    directions = np.linalg.eigh(centred.T @ centred)[1][:, ::-1][:, : min(128, n_dimensions)].astype(np.float32)
    projected = unit @ directions
    # |x - y|^2 as one inner product: [2x, -1] . [y, |y|^2]
    norms = np.einsum("ij,ij->i", projected, projected)[:, None]
    database = np.ascontiguousarray(np.hstack([projected, norms]), dtype=np.float32)
    queries = np.hstack([2.0 * projected, np.full((n_rows, 1), -1.0)]).astype(np.float32)
    propose = _proposer(backend, database)
    lengths = row_lengths(codes)
    neighbors = np.empty((n_rows, k), dtype=np.int32)
    similarities = np.empty((n_rows, k), dtype=np.float32)
    size = min(REFINE * k + 1, n_rows)
    for first in range(0, n_rows, BLOCK):
        rows = np.arange(first, min(first + BLOCK, n_rows))
        _settle(codes, lengths, rows, propose(queries[rows], size), neighbors, similarities)
        if progress is not None:
            progress("neighbors", int(rows[-1]) + 1, n_rows)
    checked = np.sort(generator.choice(n_rows, size=min(n_rows, RECALL_SAMPLE), replace=False))
    truth = NearestSearch(codes, lengths).search(codes[checked], k, forbidden=list(checked[:, None].astype(np.int32)))
    hits = sum(
        np.intersect1d(found, true).size for found, true in zip(neighbors[checked], truth.neighbors, strict=True)
    )
    return NeighborTable(neighbors, similarities, method="approximate", recall=hits / (checked.size * k))


def _chosen_backend(backend: str) -> str:
    """Resolve "auto": Faiss on a GPU, else torch on a GPU, else Faiss on the CPU."""
    if backend != "auto":
        return backend
    return "torch" if _faiss_gpus() == 0 and _torch_has_cuda() else "faiss"


def _proposer(backend: str, database: Codes) -> Propose:
    return _faiss_proposer(database) if backend == "faiss" else _torch_proposer(database)


def _faiss_proposer(database: Codes) -> Propose:
    faiss = _import_faiss()
    if _faiss_gpus() > 0:
        index = faiss.GpuIndexFlatIP(faiss.StandardGpuResources(), database.shape[1])
        index.add(database)
        on_gpu: Propose = index.search
        return on_gpu

    def propose(rows: Codes, size: int) -> tuple[Float32Array, Int64Array]:
        similarities, ids = faiss.knn(rows, database, size, metric=faiss.METRIC_INNER_PRODUCT)
        return similarities, ids

    return propose


def _torch_proposer(database: Codes, tile: int = 262_144) -> Propose:
    try:
        import torch
    except ImportError as error:
        raise MissingDependencyError("torch", "cpu", "backend='torch'") from error
    if not torch.cuda.is_available():
        raise DeviceError("backend='torch' needs a CUDA device and there is none: use backend='faiss'")
    on_device = torch.from_numpy(database).to("cuda")

    def propose(rows: Codes, size: int) -> tuple[Float32Array, Int64Array]:
        queries = torch.from_numpy(np.ascontiguousarray(rows)).to("cuda")
        values: Any = torch.empty((queries.shape[0], 0), device="cuda")
        ids: Any = torch.empty((queries.shape[0], 0), dtype=torch.int64, device="cuda")
        for first in range(0, on_device.shape[0], tile):
            products = queries @ on_device[first : first + tile].T
            top = products.topk(min(size, products.shape[1]), dim=1)
            values = torch.cat([values, top.values], dim=1)
            ids = torch.cat([ids, top.indices + first], dim=1)
            best = values.topk(min(size, values.shape[1]), dim=1)
            values, ids = best.values, ids.gather(1, best.indices)
        return values.cpu().numpy(), ids.cpu().numpy()

    return propose


def _import_faiss() -> Any:
    try:
        import faiss
    except ImportError as error:
        raise MissingDependencyError("faiss", "cpu", "searching nearest neighbours") from error
    return faiss


def _faiss_gpus() -> int:
    faiss = _import_faiss()
    return int(faiss.get_num_gpus()) if hasattr(faiss, "StandardGpuResources") else 0


def _torch_has_cuda() -> bool:
    try:
        import torch
    except ImportError:
        return False
    return bool(torch.cuda.is_available())


@contextmanager
def _faiss_threads(backend: str, n_threads: int) -> Iterator[None]:
    """Give Faiss the threads of this call, and its old number back afterwards."""
    if backend == "torch":
        yield
        return
    faiss = _import_faiss()
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(min(n_threads, available_threads()))
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)
