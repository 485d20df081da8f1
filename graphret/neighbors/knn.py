"""The kNN table of an archive: a join, a CUDA device, Faiss or cuVS proposes, one canonical routine decides."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from graphret._checks import check_codes, check_integer, check_number, unit_rows
from graphret._errors import DeviceError, GraphretError, InvalidParameterError, UnknownNameError
from graphret._notes import note_once
from graphret._threads import borrow_threads
from graphret.neighbors.backends import (
    BACKENDS,
    JOIN_LIMIT,
    engines_of,
    faiss_proposer,
    faiss_threads,
    full_float32,
    has_triton,
    torch_proposer,
)
from graphret.neighbors.cuvs_graph import DEGREES, cuvs_candidates
from graphret.neighbors.exact_search import MARGIN
from graphret.neighbors.filling_table import FillingTable
from graphret.neighbors.join import join_in_memory
from graphret.neighbors.join_plan import JoinPlan, bytes_of_row
from graphret.neighbors.neighbor_table import NeighborTable

if TYPE_CHECKING:
    from collections.abc import Callable

    from graphret._types import BoolArray, Codes, Progress
    from graphret.neighbors.backends import Propose

__all__ = ["METHODS", "nearest_neighbors"]

logger = logging.getLogger(__name__)

METHODS = ("approximate", "auto", "exact")
EXACT_LIMIT = 50_000
"""Rows up to which "auto" is exact."""
RECALL = {"approximate": 0.99, "auto": 0.999}
CUVS_LIMIT = 256
"""Rows below which cuVS is not asked: NN-descent needs more than it has links."""
BLOCK = 4_096
DEVICE_ROWS = 50_000
"""Rows for each further CUDA device."""

Join: TypeAlias = "Callable[..., BoolArray]"
"""Joins the blocks of a plan: takes and gives what `join_in_memory` does."""


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
        "torch" (CUDA devices, see `device_join`), "faiss" (flat search, on a GPU where its GPU build and a device are
        there), "cuvs" (NVIDIA's NN-descent, approximate), or "auto": from 4,096 rows on torch on CUDA devices, else
        Faiss on a GPU, else the processor, by Faiss for few rows and by the join for many. Where one of them is not
        there, does not load, or fails at work, the next takes its place, which is logged once: the join needs none.
    method
        "exact": proven, up to rounding; "approximate": pairs are followed only while they are likely neighbours,
        with the recall measured on a sample of rows and reported in the table; "auto": exact up to 50,000 rows (and
        wherever a GPU searches, cuVS excepted), beyond them approximate with a measured recall of at least 0.999.
        Faiss, torch's top-k where no kernel can be compiled, and codes larger than a device, are always exact.
    recall
        In (0, 1): the measured share of true neighbours that "approximate" (0.99) or "auto" (0.999) must reach; where
        it is not reached, the table is made anew, in the end by proof.
    seed
        Chooses the rows that directions, plan and recall are estimated on; "exact" does not depend on it.
    n_threads
        CPU threads; ``None`` for all processors.
    max_memory
        Bytes that rotated codes may take, or that each CUDA device is used for; ``None``: one copy of the codes, and
        four fifths of what is free on a device. Beside them stand O(n k) for the result.
    join
        What joins the blocks of the plan, where not this process in memory does: called as `join_in_memory`, with the
        same result. Fewer than 4,096 rows may be searched without it.
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
        k < 1, recall outside (0, 1), max_memory too small, an unknown backend or method, or a named backend beside
        ``join``.
    DeviceError, MissingDependencyError
        The backend that was named is not there, or fails at work.

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
    if backend == "cuvs" and method == "exact":
        raise InvalidParameterError("method", method, "'approximate' or 'auto' for cuVS, which proves nothing")
    k = check_integer("k", k, 1, "every film needs at least one neighbour")
    if recall is not None:
        check_number("recall", recall, above=0, below=1, hint='method="exact" finds all')
    if max_memory is not None:
        max_memory = check_integer("max_memory", max_memory, 1, "bytes")
    if join is not None and backend != "auto":
        raise InvalidParameterError("backend", backend, "'auto' beside join", "blocks are joined by processors")
    codes = check_codes(codes, values=False)
    n_rows = codes.shape[0]
    k = min(k, n_rows - 1)
    if k == 0:
        check_codes(codes)
        return NeighborTable(np.empty((n_rows, 0), np.int32), np.empty((n_rows, 0), np.float32), n_proven=n_rows)
    engines = ["join"] if join is not None and n_rows >= JOIN_LIMIT else engines_of(backend, n_rows, method)
    with borrow_threads(n_threads) as threads:
        search = _Search(codes, k, method, recall, seed, threads, max_memory, join or join_in_memory, progress)
        for engine in engines[:-1]:
            try:
                return search.by(engine)
            except (
                RuntimeError,
                ImportError,
                DeviceError,
                InvalidParameterError,
            ) as error:
                reason = " ".join(str(error).split())  # the memory of a device, its driver, ...
                note_once(logger, f"{engine} cannot find these neighbours: {reason} (another backend finds the same)")
        try:
            return search.by(engines[-1])
        except RuntimeError as error:  # what CUDA, torch, Faiss and cuVS raise where a device is full or broken
            if backend == "auto":
                raise
            reason = " ".join(str(error).split())[:300]
            hint = "backend='auto' goes on with another where one fails"
            raise DeviceError(f"backend={backend!r} cannot find these neighbours: {reason} ({hint})") from error


@dataclass(frozen=True, eq=False)
class _Search:
    """One call of `nearest_neighbors`, whose parameters are checked; values of codes are checked by what reads them."""

    codes: Codes
    k: int
    method: str
    recall: float | None
    seed: int
    n_threads: int
    max_memory: int | None
    join: Join
    progress: Progress | None

    def by(self, engine: str) -> NeighborTable:
        if engine == "torch" or (engine == "cuvs" and len(self.codes) < CUVS_LIMIT):
            return self._by_torch()
        table = FillingTable(check_codes(self.codes), self.k, self.progress)
        if engine == "cuvs":
            return self._by_cuvs(table)
        if engine == "faiss":
            unit = unit_rows(self.codes)
            with faiss_threads(self.n_threads):
                return _from_proposals(table, faiss_proposer(unit), unit)
        if self.method == "exact" or (self.method == "auto" and len(self.codes) <= EXACT_LIMIT):
            self._from_join(table, 1.0, np.random.default_rng(self.seed))
            return table.finish()
        return self._approximate(table)

    def _from_join(self, table: FillingTable, recall: float, generator: np.random.Generator) -> bool:
        """Fill the table by the join; whether all of it is proven."""
        n_rows, n_dimensions = self.codes.shape
        plan = JoinPlan.of(table.codes, table.lengths, self.k, recall, generator, self.max_memory)
        table.unsure[:] = self.join(
            table.codes,
            table.lengths,
            plan,
            table.neighbors,
            table.similarities,
            n_threads=self.n_threads,
            all_parts=self.max_memory is None or bytes_of_row(n_dimensions) * n_rows <= self.max_memory,
            progress=self.progress,
        )
        return plan.plan.slack_factor == 1.0

    def _approximate(self, table: FillingTable) -> NeighborTable:
        """Join with the slack factor that should reach the recall, measure it, and widen the factor until it does."""
        generator = np.random.default_rng(self.seed)
        lost = 2.0 * (1.0 - self._wanted)  # the plan is careful: kth_similarities are lower while the join runs
        while True:
            if self._from_join(table, 1.0 - lost, generator):
                return table.finish()
            result = table.finish("approximate")
            measured = table.measured_recall(generator, self.n_threads)
            if measured >= self._wanted:
                return replace(result, recall=measured)
            lost = 0.0 if lost < 1e-4 else lost / 4.0

    @property
    def _wanted(self) -> float:
        return RECALL.get(self.method, 1.0) if self.recall is None else self.recall

    def _by_torch(self) -> NeighborTable:
        """Search on CUDA devices by kernels; by torch's products and top-k where none can be compiled."""
        from graphret.neighbors.device_table import fits_device_lists

        if has_triton() and fits_device_lists(len(self.codes), self.k):
            try:
                return self._by_devices()
            except GraphretError:
                raise
            except Exception as error:  # noqa: BLE001 - compilers and drivers fail in ways of their own
                reason = " ".join(str(error).split())[:300] or type(error).__name__
                note_once(logger, f"no kernel for this CUDA device: {reason} (torch's top-k finds the same neighbours)")
        table = FillingTable(check_codes(self.codes), self.k, self.progress)
        unit = unit_rows(self.codes)
        return _from_proposals(table, torch_proposer(unit, BLOCK, self.max_memory), unit)

    def _by_devices(self) -> NeighborTable:
        import torch

        from graphret.neighbors.device_table import DeviceTable, device_memory

        n_devices = max(1, min(torch.cuda.device_count(), len(self.codes) // DEVICE_ROWS))
        devices = [f"cuda:{number}" for number in range(n_devices)]
        free = device_memory(devices)
        memory = free if self.max_memory is None else min(free, self.max_memory)
        generator = np.random.default_rng(self.seed)
        with full_float32():
            table = DeviceTable(self.codes, self.k, devices, memory, self.progress)
            if not table.stays:
                return table.stream(FillingTable(check_codes(self.codes), self.k, None), generator)
            if self.method == "approximate":
                return table.approximate(self._wanted, generator)
            return table.exact(generator)

    def _by_cuvs(self, table: FillingTable) -> NeighborTable:
        """Score what cuVS finds, measure the recall, and ask for more links until it is reached."""
        unit, generator = unit_rows(self.codes), np.random.default_rng(self.seed)
        size = min(self.k + 1 + MARGIN, len(self.codes) - 1)
        nothing_is_left_out = np.full(BLOCK, -np.inf, np.float32)
        for degree in DEGREES:
            candidates = cuvs_candidates(unit, size, degree)
            for first in range(0, len(candidates), BLOCK):
                block = candidates[first : first + BLOCK]
                rows = np.arange(first, first + len(block))
                table.settle(rows, block, nothing_is_left_out[: len(block)])
            result = table.finish("approximate")
            measured = table.measured_recall(generator, self.n_threads)
            if measured >= self._wanted:
                return replace(result, recall=measured)
        note_once(
            logger, f"cuVS found {measured:.3f} of the neighbours, not {self._wanted:g}: torch finds them instead"
        )
        return self._by_torch()


def _from_proposals(table: FillingTable, propose: Propose, unit: Codes) -> NeighborTable:
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
