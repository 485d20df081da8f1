"""What can find neighbours here: which libraries and devices are there, and searches that propose candidates."""

from __future__ import annotations

import ctypes
import importlib
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeAlias

import numpy as np

from graphret._errors import DeviceError, InvalidParameterError, MissingDependencyError
from graphret._notes import note_once
from graphret._threads import available_threads, is_forked
from graphret._types import Codes, Float32Array, Int64Array

__all__ = [
    "BACKENDS",
    "JOIN_LIMIT",
    "Propose",
    "engines_of",
    "faiss_proposer",
    "faiss_threads",
    "full_float32",
    "has_triton",
    "import_library",
    "torch_proposer",
]

logger = logging.getLogger(__name__)

BACKENDS = ("auto", "cuvs", "faiss", "torch")
DEVICE_LIMIT = 4_096
"""Rows from which "auto" takes a GPU: for fewer the processor is done before a GPU has started."""
JOIN_LIMIT = 4_096
"""Rows from which the join is faster than a flat search by Faiss."""
TILE, LEAST_TILE, BYTES_OF_PRODUCT = 262_144, 1_024, 8
"""Rows that torch's top-k looks at together, at most and at least, and bytes of a product with what is sorted of it."""
LIBRARIES = {
    "faiss": ("faiss", "cpu", ("METRIC_INNER_PRODUCT", "knn", "omp_get_max_threads", "omp_set_num_threads")),
    "torch": ("torch", "gpu", ("cuda", "from_numpy")),
    "cuvs": ("cuvs.neighbors.all_neighbors", "cuvs", ("AllNeighborsParams", "build")),
    "triton": ("triton", "gpu", ("jit",)),
}
"""By name: what is imported, the extra that brings it, and what of it is used."""

Propose: TypeAlias = Callable[[Codes, int], tuple[Float32Array, Int64Array]]
"""Candidates of some unit rows: (rows (b, d), m) -> (similarities descending (b, m), ids (b, m))."""


def engines_of(backend: str, n_rows: int, method: str) -> list[str]:
    """Name what may search, best first; the last of them needs nothing that can be missing.

    "torch" and "cuvs" are a CUDA device, "faiss" is Faiss on a GPU where its GPU build and a device are there, "join"
    the processor. A backend that was named stands alone.

    Raises
    ------
    DeviceError, MissingDependencyError
        The backend that was named is not there.
    """
    if backend != "auto":
        import_library(backend, f"backend={backend!r}")
        if backend in {"torch", "cuvs"} and not _torch_has_cuda():
            raise DeviceError(f"backend={backend!r} needs a CUDA device and there is none: use backend='faiss'")
        return [backend]
    processor = ["faiss", "join"] if n_rows < JOIN_LIMIT and method != "approximate" and _there("faiss") else ["join"]
    if n_rows < DEVICE_LIMIT or not _has_cuda_driver() or is_forked():  # a forked process cannot use its parent's GPU
        return processor
    devices = [name for name, there in (("torch", _torch_has_cuda), ("faiss", _faiss_gpus)) if there()]
    return devices + [name for name in processor if name not in devices]


def import_library(name: str, purpose: str) -> None:
    """Import an optional library of `LIBRARIES`, or say why it cannot be: it, or something that it needs, is not there.

    Raises
    ------
    MissingDependencyError
        With what ``purpose`` needs it for.
    """
    module, extra, needed = LIBRARIES[name]
    try:
        library = importlib.import_module(module)
    except Exception as error:
        missing = isinstance(error, ModuleNotFoundError) and (error.name or "") in {name, module}
        reason = "" if missing else " ".join(str(error).split()) or type(error).__name__
        raise MissingDependencyError(name, extra, purpose, reason) from error
    lacking = [attribute for attribute in needed if not hasattr(library, attribute)]
    if lacking:  # what is left where one of Faiss's wheels was removed after the other was installed over it
        raise MissingDependencyError(name, extra, purpose, f"it has no {', '.join(lacking)}: reinstall it")


def has_triton() -> bool:
    """Whether kernels can be compiled for a CUDA device; why not is said once."""
    return _there("triton")


def faiss_proposer(database: Codes) -> Propose:
    """Return Faiss's flat search, on a GPU where it can use one."""
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


def torch_proposer(database: Codes, n_rows: int, max_memory: int | None = None, *, device: str = "cuda") -> Propose:
    """Return a flat search by products and top-k of torch, for CUDA devices that no kernel can be compiled for.

    Parameters
    ----------
    database
        float32 (n, d), unit rows, which stay on the device.
    n_rows
        Rows that are searched for at a time, at most.
    max_memory
        Bytes that the device may be used for; ``None`` sets no limit.
    device
        Of torch.

    Raises
    ------
    InvalidParameterError
        ``max_memory`` is too small for the rows and the products of a thousand of them.
    """
    import torch

    tile = TILE
    if max_memory is not None:
        tile = min(tile, (max_memory - database.nbytes) // (BYTES_OF_PRODUCT * n_rows))
        if tile < LEAST_TILE:
            least = database.nbytes + LEAST_TILE * BYTES_OF_PRODUCT * n_rows
            raise InvalidParameterError(
                "max_memory", max_memory, f"at least {least} bytes on a device", "None sets no limit"
            )
    on_device = torch.from_numpy(database).to(device)

    def propose(rows: Codes, size: int) -> tuple[Float32Array, Int64Array]:
        queries = torch.from_numpy(np.ascontiguousarray(rows)).to(device)
        values: Any = torch.empty((queries.shape[0], 0), device=device)
        ids: Any = torch.empty((queries.shape[0], 0), dtype=torch.int64, device=device)
        for first in range(0, on_device.shape[0], tile):
            with full_float32():
                products = queries @ on_device[first : first + tile].T
            top = products.topk(min(size, products.shape[1]), dim=1)
            values = torch.cat([values, top.values], dim=1)
            ids = torch.cat([ids, top.indices + first], dim=1)
            best = values.topk(min(size, values.shape[1]), dim=1)
            values, ids = best.values, ids.gather(1, best.indices)
        return values.cpu().numpy(), ids.cpu().numpy()

    return propose


@contextmanager
def full_float32() -> Iterator[None]:
    """Form products in float32 although the program around us may allow TF32, whose rounding no margin covers."""
    import torch

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@contextmanager
def faiss_threads(n_threads: int) -> Iterator[None]:
    """Give Faiss the threads of this call, and its old number back afterwards."""
    import faiss

    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(min(n_threads, available_threads()))
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def _there(name: str) -> bool:
    """Whether a library can be used; why it cannot is said once, since another takes its place."""
    try:
        import_library(name, f"finding neighbours by {name}")
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
