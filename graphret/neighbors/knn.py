"""The kNN table of an archive: a join, Faiss or torch-CUDA proposes, one canonical routine decides."""

from __future__ import annotations

import ctypes
import importlib
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from graphret._checks import check_codes, check_integer, check_number, unit_rows
from graphret._errors import DeviceError, MissingDependencyError, UnknownNameError
from graphret._notes import note_once
from graphret._threads import available_threads, borrow_threads, is_forked
from graphret._types import BoolArray, Codes, Float32Array, Int32Array, Int64Array, Progress
from graphret.neighbors._kernels import _cosines, _rank_candidates, _scan_tile
from graphret.neighbors.exact_search import MARGIN, ROUNDING, TILE, ExactSearch, row_lengths
from graphret.neighbors.join import join_in_memory
from graphret.neighbors.join_plan import JoinPlan, bytes_of_row
from graphret.neighbors.neighbor_table import NeighborTable

__all__ = ["BACKENDS", "METHODS", "nearest_neighbors"]

logger = logging.getLogger(__name__)

BACKENDS = ("auto", "faiss", "torch")
METHODS = ("approximate", "auto", "exact")
EXACT_LIMIT = 50_000
"""Rows up to which "auto" is exact."""
JOIN_LIMIT = 4_096
"""Rows from which the join is faster than a flat search by Faiss."""
RECALL = {"approximate": 0.99, "auto": 0.999}
BLOCK = 4_096
SCAN_BLOCK = 64
RECALL_SAMPLE = 256

Join: TypeAlias = Callable[..., BoolArray]
"""Joins the blocks of a plan: takes and gives what `join_in_memory` does."""
Propose: TypeAlias = Callable[[Codes, int], tuple[Float32Array, Int64Array]]
"""Candidates of some unit rows: (rows (b, d), m) -> (similarities descending (b, m), ids (b, m))."""


def nearest_neighbors(
    codes: Codes,
    k: int,
    *,
    backend: str = "auto",
    method: str = "auto",
    recall: float | None = None,
    seed: int = 0,
    n_threads: int | None = None,
    max_memory: int | None = None,
    join: Join | None = None,
    progress: Progress | None = None,
) -> NeighborTable:
    """Find the k most similar rows of every row, by cosine (Haq et al. 2021, Eq. 2).

    On a processor every pair of rows is first bounded along the leading principal directions of the codes, and
    followed only while it can still be among the k best of either row (see `rotation` and `join`). What is left is
    scored by one canonical routine (float64 sums of the codes as given, rounded to 1e-6). A row whose k-th neighbour is
    too close to what was left out to be sure is scanned against all codes. So the table is the same to the bit with
    any number of threads.

    Parameters
    ----------
    codes
        float32 (n, d), finite, no row of zeros, any scale; may be memory-mapped.
    k
        At least 1; the table has k' = min(k, n - 1) columns.
    backend
        "faiss" (flat search, on a GPU where its GPU build and a device are there), "torch" (CUDA: chunked products and
        top-k), or "auto": Faiss on a GPU, else torch on a CUDA device, else the processor, by Faiss for few rows and
        by the join for many. Where one of them is not there, or does not load, the next takes its place, which is
        logged once: the join needs neither.
    method
        "exact": proven, up to rounding; "approximate": pairs are followed only while they are likely neighbours,
        with the recall measured on a sample of rows and reported in the table; "auto": exact up to 50,000 rows (and
        wherever a GPU searches), beyond them approximate with a measured recall of at least 0.999.
    recall
        In (0, 1): the measured share of true neighbours that "approximate" (0.99) or "auto" (0.999) must reach.
    seed
        Chooses the rows that directions, plan and recall are estimated on; "exact" does not depend on it.
    n_threads
        CPU threads; ``None`` for all processors.
    max_memory
        Bytes that rotated codes may take; ``None``: one copy of the codes. Beside them stand O(n k) for the result.
    join
        What joins the blocks of the plan, where not this process in memory does: called as `join_in_memory`, with the
        same result.
    progress
        Called as ``progress("neighbors", rows done, n)``.

    Returns
    -------
    NeighborTable
        Itself never; best first, ties by smaller id. It says how many rows were proven, and how many scanned.

    Raises
    ------
    CodesError
        Wrong shape, values that are not finite, rows of zeros.
    InvalidParameterError
        k < 1, recall outside (0, 1), max_memory too small, or an unknown backend or method.
    DeviceError, MissingDependencyError
        The backend that was named is not there.

    Notes
    -----
    O(n^2 m) time, m the leading directions that are needed (d at most); memory: one rotated copy of the codes, or what
    ``max_memory`` allows, and O(n k).

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
    if recall is not None:
        check_number("recall", recall, above=0, below=1, hint='method="exact" finds all')
    if max_memory is not None:
        max_memory = check_integer("max_memory", max_memory, 1, "bytes")
    codes = check_codes(codes)
    n_rows = codes.shape[0]
    k = min(k, n_rows - 1)
    if k == 0:
        return NeighborTable(np.empty((n_rows, 0), np.int32), np.empty((n_rows, 0), np.float32), n_proven=n_rows)
    engine = "join" if join is not None and n_rows >= JOIN_LIMIT else _engine(backend, n_rows, method)
    with borrow_threads(n_threads) as threads, _faiss_threads(engine, threads):
        table = _Table(codes, k, progress, join or join_in_memory)
        if engine != "join":
            unit = unit_rows(codes)
            return _from_proposals(table, _faiss_proposer(unit) if engine == "faiss" else _torch_proposer(unit), unit)
        if method == "exact" or (method == "auto" and n_rows <= EXACT_LIMIT):
            _from_join(table, 1.0, np.random.default_rng(seed), threads, max_memory)
            return table.finish()
        return _approximate(table, RECALL[method] if recall is None else recall, seed, threads, max_memory)


class _Table:
    """A table that fills: candidates come in, are scored canonically, and rows that are not sure are scanned."""

    def __init__(self, codes: Codes, k: int, progress: Progress | None = None, join: Join = join_in_memory) -> None:
        n_rows = codes.shape[0]
        self.codes = codes
        self.lengths = row_lengths(codes)
        self.neighbors = np.empty((n_rows, k), np.int32)
        self.similarities = np.empty((n_rows, k), np.float32)
        self.join = join
        self.progress = progress
        self.unsure = np.ones(n_rows, np.bool_)

    def settle(self, rows: Int64Array, candidates: Int32Array, kth_similarities: Float32Array) -> None:
        """Score candidates of some rows and write their k best; no other row may exceed ``kth_similarities``."""
        k = self.neighbors.shape[1]
        scored = np.empty(candidates.shape, np.float32)
        _cosines(self.codes[rows], self.lengths[rows], self.codes, self.lengths, candidates, scored)
        found = (np.empty((rows.size, k), np.int32), np.empty((rows.size, k), np.float32))
        _rank_candidates(candidates, scored, rows, np.full(rows.size, k, dtype=np.int64), *found)
        self.neighbors[rows], self.similarities[rows] = found
        last = np.where(found[0][:, -1] < 0, -np.inf, found[1][:, -1])
        self.unsure[rows] = (found[0][:, -1] < 0) | (kth_similarities >= last - ROUNDING)

    def finish(self, method: str = "exact", recall: float = 1.0) -> NeighborTable:
        """Scan the rows that are not sure, and return the table."""
        unsure = np.flatnonzero(self.unsure)
        for first in range(0, unsure.size, SCAN_BLOCK):
            self._scan(unsure[first : first + SCAN_BLOCK])
        n_rows = self.neighbors.shape[0]
        if self.progress is not None:
            self.progress("neighbors", n_rows, n_rows)
        n_proven = n_rows - unsure.size if method == "exact" else 0
        return NeighborTable(self.neighbors, self.similarities, method, recall, n_proven, unsure.size)

    def _scan(self, rows: Int64Array) -> None:
        """Find the neighbours of some rows among all codes; what they have so far says what is hopeless."""
        k = self.neighbors.shape[1]
        unit = unit_rows(self.codes[rows])
        full = self.neighbors[rows, -1] >= 0
        kth_similarities = np.where(full, self.similarities[rows, -1] - ROUNDING, -np.inf).astype(np.float32)
        found = (np.full((rows.size, k), -1, np.int32), np.zeros((rows.size, k), np.float32))
        n_found = np.zeros(rows.size, np.int64)
        scales = (1.0 / self.lengths).astype(np.float32)
        for first in range(0, self.codes.shape[0], TILE):
            tile = slice(first, first + TILE)
            products = unit @ self.codes[tile].T
            _scan_tile(products, scales[tile], first, rows, self.codes, self.lengths, kth_similarities, *found, n_found)
        self.neighbors[rows], self.similarities[rows] = found


def _from_join(
    table: _Table, recall: float, generator: np.random.Generator, n_threads: int, max_memory: int | None
) -> bool:
    """Fill the table by the join; whether all of it is proven."""
    k = table.neighbors.shape[1]
    plan = JoinPlan.of(table.codes, table.lengths, k, recall, generator, max_memory)
    table.unsure[:] = table.join(
        table.codes,
        table.lengths,
        plan,
        table.neighbors,
        table.similarities,
        n_threads=n_threads,
        all_parts=max_memory is None or bytes_of_row(table.codes.shape[1]) * len(table.codes) <= max_memory,
        progress=table.progress,
    )
    return plan.plan.slack_factor == 1.0


def _approximate(table: _Table, recall: float, seed: int, n_threads: int, max_memory: int | None) -> NeighborTable:
    """Join with the slack factor that should reach the recall, measure it, and widen the slack factor until it does."""
    generator = np.random.default_rng(seed)
    lost = 2.0 * (1.0 - recall)  # the plan is careful: kth_similarities are lower while the join runs
    while True:
        proven = _from_join(table, 1.0 - lost, generator, n_threads, max_memory)
        if proven:
            return table.finish()
        result = table.finish("approximate")
        measured = _measured_recall(table, generator, n_threads)
        if measured >= recall:
            return replace(result, recall=measured)
        lost = 0.0 if lost < 1e-4 else lost / 4.0


def _measured_recall(table: _Table, generator: np.random.Generator, n_threads: int) -> float:
    """Share of the true neighbours of some rows that the table holds."""
    n_rows, k = table.neighbors.shape
    checked = np.sort(generator.choice(n_rows, size=min(n_rows, RECALL_SAMPLE), replace=False)).astype(np.int32)
    search = ExactSearch(table.codes, table.lengths)
    truth = search.search(table.codes[checked], k, forbidden=list(checked[:, None]), n_threads=n_threads)
    pairs = zip(table.neighbors[checked], truth.neighbors, strict=True)
    return sum(np.intersect1d(found, true).size for found, true in pairs) / (checked.size * k)


def _from_proposals(table: _Table, propose: Propose, unit: Codes) -> NeighborTable:
    """Fill the table with what a flat search proposes."""
    n_rows, k = table.neighbors.shape
    size = min(k + 1 + MARGIN, n_rows)
    for first in range(0, n_rows, BLOCK):
        rows = np.arange(first, min(first + BLOCK, n_rows))
        similarities, ids = propose(unit[rows], size)
        kth_similarities = similarities[:, -1] if size < n_rows else np.full(rows.size, -np.inf, np.float32)
        table.settle(rows, np.ascontiguousarray(ids, dtype=np.int32), kth_similarities)
        if table.progress is not None:
            table.progress("neighbors", min(int(rows[-1]) + 1, n_rows - 1), n_rows)
    return table.finish()


def _engine(backend: str, n_rows: int, method: str) -> str:
    """What searches: "faiss", "torch" or "join". Where one of them is not there the next takes its place."""
    if backend != "auto":
        _import(backend, f"backend={backend!r}")
        return backend
    if _has_cuda_driver() and not is_forked():  # a forked process cannot use the GPU of its parent
        if _faiss_gpus() > 0:
            return "faiss"
        if _torch_has_cuda():
            return "torch"
    return "faiss" if n_rows < JOIN_LIMIT and method != "approximate" and _there("faiss") else "join"


def _faiss_proposer(database: Codes) -> Propose:
    import faiss

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
    import torch

    if not torch.cuda.is_available():
        raise DeviceError("backend='torch' needs a CUDA device and there is none: use backend='faiss'")
    on_device = torch.from_numpy(database).to("cuda")

    def propose(rows: Codes, size: int) -> tuple[Float32Array, Int64Array]:
        queries = torch.from_numpy(np.ascontiguousarray(rows)).to("cuda")
        values: Any = torch.empty((queries.shape[0], 0), device="cuda")
        ids: Any = torch.empty((queries.shape[0], 0), dtype=torch.int64, device="cuda")
        for first in range(0, on_device.shape[0], tile):
            with _full_float32(torch):
                products = queries @ on_device[first : first + tile].T
            top = products.topk(min(size, products.shape[1]), dim=1)
            values = torch.cat([values, top.values], dim=1)
            ids = torch.cat([ids, top.indices + first], dim=1)
            best = values.topk(min(size, values.shape[1]), dim=1)
            values, ids = best.values, ids.gather(1, best.indices)
        return values.cpu().numpy(), ids.cpu().numpy()

    return propose


@contextmanager
def _full_float32(torch: Any) -> Iterator[None]:
    """Form products in float32 although the program around us may allow TF32, whose rounding no margin covers."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _import(library: str, purpose: str) -> Any:
    """Import an optional library, or say why it cannot be: it is not installed, or something that it needs is not."""
    try:
        return importlib.import_module(library)
    except (ImportError, OSError, AttributeError, RuntimeError) as error:  # CUDA's libraries, another numpy, ...
        missing = isinstance(error, ModuleNotFoundError) and error.name == library
        reason = "" if missing else " ".join(str(error).split()) or type(error).__name__
        raise MissingDependencyError(library, "cpu", purpose, reason) from error


def _there(library: str) -> bool:
    """Whether a library can be used; why it cannot is said once, since another takes its place."""
    try:
        _import(library, f"finding neighbours by {library}")
    except MissingDependencyError as error:
        level = logging.WARNING if error.reason else logging.INFO
        note_once(logger, f"{error} (until then another backend finds the same neighbours)", level)
        return False
    return True


def _has_cuda_driver() -> bool:
    """Whether a GPU is possible at all: asking torch costs seconds of import on machines that have none."""
    for name in ("libcuda.so.1", "nvcuda.dll"):
        with suppress(OSError):
            ctypes.CDLL(name)
            return True
    return False


def _faiss_gpus() -> int:
    if not _there("faiss"):
        return 0
    import faiss

    try:
        return int(faiss.get_num_gpus()) if hasattr(faiss, "StandardGpuResources") else 0
    except RuntimeError as error:  # a driver that is older than its CUDA
        note_once(
            logger,
            f"Faiss cannot use the GPU: {' '.join(str(error).split())} (another backend finds the same neighbours)",
        )
        return 0


def _torch_has_cuda() -> bool:
    if not _there("torch"):
        return False
    import torch

    return bool(torch.cuda.is_available())


@contextmanager
def _faiss_threads(engine: str, n_threads: int) -> Iterator[None]:
    """Give Faiss the threads of this call, and its old number back afterwards."""
    if engine != "faiss":
        yield
        return
    import faiss

    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(min(n_threads, available_threads()))
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)
