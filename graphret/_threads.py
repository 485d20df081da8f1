"""How many threads a call works with: what was asked for, what a fork leaves of them, what numba's layer can do."""

from __future__ import annotations

import logging
import os
import sys
import threading
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from graphret._errors import InvalidParameterError
from graphret._notes import note_once

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = [
    "ProcessLock",
    "available_threads",
    "borrow_threads",
    "call_in_threads",
    "is_forked",
    "one_blas_thread",
    "threads_in_force",
]

logger = logging.getLogger(__name__)

FORKED = (
    "this process was forked from one whose threads it does not have: it works with 1 thread "
    "(start workers by the methods 'spawn' or 'forkserver' to use more)"
)
SAFE_LAYERS = ("omp", "tbb")
"""Layers of numba that several threads of a program may use at once; workqueue ends the process then."""


class ProcessLock:
    """A lock between the threads of one process; a forked child begins with a free one, whoever held it before.

    Examples
    --------
    >>> lock = ProcessLock()
    >>> with lock:
    ...     pass
    """

    def __init__(self) -> None:
        self._free()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._free)

    def _free(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


class _InForce(threading.local):
    """Threads that kernels called by this thread may use."""

    number = 1


_in_force = _InForce()
_one_call = ProcessLock()
_blas_change = ProcessLock()


class _OpenBlocks(threading.local):
    """Blocks of `one_blas_thread` that are open in this thread."""

    number = 0
    before: tuple[int, ...] = ()


_blas_here = _OpenBlocks()
_blas_inside = 0
"""Blocks that are open in all threads."""
_blas_before: tuple[int, ...] = ()
"""Threads of each BLAS before the first of them."""
_forked = False


def _begin_child() -> None:
    """Remember, in a forked child, whether the parent may have started threads: GNU OpenMP hangs or ends without them.

    Numba, torch and Faiss share it. A child of a parent that has loaded none of them starts its own.
    """
    global _forked  # noqa: PLW0603 - one fact about this process
    _forked = _forked or _numba_has_started() or not {"torch", "faiss"}.isdisjoint(sys.modules)
    _in_force.number = 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_child)


def is_forked() -> bool:
    """Whether this process was forked from one that may have had threads of numba, torch or Faiss.

    Then none of the three may use threads here.
    """
    return _forked


def available_threads() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


def threads_in_force() -> int:
    """Threads that a kernel may use where it is called: those of `borrow_threads`, 1 outside of it."""
    return _in_force.number


@contextmanager
def borrow_threads(n_threads: int | None, *, at_most: int | None = None) -> Iterator[int]:
    """Let the kernels that are called inside the block use ``n_threads`` threads. Yields the number in force.

    ``None`` means every processor that this process may use; more threads than numba starts are cut to
    those, and to ``at_most``: a thread without work still waits in the way of others. One thread means kernels without
    any machinery of threads. So does a process that was forked (see `is_forked`) or for which numba has no layer of
    threads, and this is said once.

    Examples
    --------
    >>> with borrow_threads(1) as n:
    ...     n
    1
    """
    if n_threads is not None and (isinstance(n_threads, bool) or int(n_threads) != n_threads or n_threads < 1):
        raise InvalidParameterError("n_threads", n_threads, "an integer >= 1, or None for all processors")
    import numba  # not before a kernel is about to run: it takes a fifth of a second

    wanted = available_threads() if n_threads is None else int(n_threads)
    number = max(1, min(wanted, numba.config.NUMBA_NUM_THREADS, wanted if at_most is None else at_most))
    before, _in_force.number = _in_force.number, number if number == 1 or _can_start() else 1
    try:
        yield _in_force.number
    finally:
        _in_force.number = before


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Let the BLAS use one thread inside the block: sums then depend on no number of threads.

    The limit holds for the whole process, so it stays until the last of the threads of a program has left its block.
    """
    global _blas_inside, _blas_before  # noqa: PLW0603 - one limit of one process
    libraries = _blas_libraries()
    with _blas_change:
        now = tuple(library.num_threads for library in libraries)
        _blas_before = _blas_before if _blas_inside else now
        _blas_here.before = _blas_here.before if _blas_here.number else now
        _blas_inside, _blas_here.number = _blas_inside + 1, _blas_here.number + 1
        for library in libraries:
            _set_blas_threads(library, 1)
    try:
        yield
    finally:
        with _blas_change:
            _blas_inside, _blas_here.number = _blas_inside - 1, _blas_here.number - 1
            for library, before, before_here in zip(libraries, _blas_before, _blas_here.before, strict=True):
                if getattr(library, "threading_layer", None) == "openmp":  # counts for each thread apart
                    if not _blas_here.number:
                        _set_blas_threads(library, before_here)
                elif not _blas_inside:
                    _set_blas_threads(library, before)


@cache
def _blas_libraries() -> list[Any]:
    """The BLAS of numpy and the one of scipy, which numba calls; looked for once, which takes some milliseconds."""
    import scipy.linalg.cython_blas  # noqa: F401 - a library that is not loaded can not be limited
    from threadpoolctl import ThreadpoolController

    found: list[Any] = ThreadpoolController().select(user_api="blas").lib_controllers
    return found


def _set_blas_threads(library: Any, number: int) -> None:
    """Set the threads of a BLAS, whichever thread asks.

    From 3.8 on threadpoolctl leaves OpenBLAS as it is, in silence, unless the first thread that ever changed it asks.
    """
    if library.num_threads != number:
        getattr(library, "_real_set_num_threads", library.set_num_threads)(number)
    if library.num_threads != number:
        name = f"{library.internal_api} {library.version}"
        note_once(logger, f"{name} works with {library.num_threads} threads and can not be told to use {number}")


def call_in_threads(kernel: Callable[..., Any], arguments: tuple[Any, ...], n_threads: int) -> None:
    """Run a parallel kernel in ``n_threads`` threads of numba; one call at a time where its layer needs that."""
    import numba

    if numba.threading_layer() in SAFE_LAYERS:
        _call(kernel, arguments, n_threads)
    else:
        with _one_call:
            _call(kernel, arguments, n_threads)


def _call(kernel: Callable[..., Any], arguments: tuple[Any, ...], n_threads: int) -> None:
    import numba

    before = numba.get_num_threads()
    numba.set_num_threads(n_threads)
    try:
        kernel(*arguments)
    finally:
        numba.set_num_threads(before)


def _can_start() -> bool:
    """Start the threads of numba, or say why there are none."""
    import numba

    if _forked:
        note_once(logger, FORKED)
        return False
    try:
        numba.get_num_threads()
    except ValueError as error:  # NUMBA_THREADING_LAYER names one that is not there
        reason = " ".join(str(error).split())
        note_once(logger, f"numba has no threads here, so 1 is used: {reason} (see NUMBA_THREADING_LAYER)")
        return False
    return True


def _numba_has_started() -> bool:
    layer = getattr(sys.modules.get("numba"), "threading_layer", None)  # None while, or before, numba is imported
    if layer is None:
        return False
    try:
        layer()
    except ValueError:
        return False
    return True
