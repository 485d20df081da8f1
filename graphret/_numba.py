"""The one door to numba: the jit wrapper of every kernel, and threads borrowed for one call."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import numba

from graphret._errors import InvalidParameterError

__all__ = ["available_threads", "borrow_threads", "jit"]

F = TypeVar("F", bound=Callable[..., Any])


def jit(*, parallel: bool = False, reassociate: bool = False) -> Callable[[F], F]:
    """Compile a kernel in nopython mode, without the GIL, cached on disk where a cache can be written.

    Parameters
    ----------
    parallel
        Turn ``numba.prange`` loops into threads.
    reassociate
        Let sums be re-ordered so that they vectorise. Only for kernels whose results are rounded
        afterwards, because the order then depends on the width of the processor's registers.
    """
    fastmath: bool | set[str] = {"reassoc", "contract"} if reassociate else False

    def compile_kernel(function: F) -> F:
        options = {"nogil": True, "parallel": parallel, "fastmath": fastmath, "error_model": "numpy"}
        try:
            kernel = numba.njit(cache=True, **options)(function)
        except RuntimeError:  # numba found no folder to write its cache to
            kernel = numba.njit(cache=False, **options)(function)
        return cast("F", kernel)

    return compile_kernel


def available_threads() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


@contextmanager
def borrow_threads(n_threads: int | None, *, at_most: int | None = None) -> Iterator[int]:
    """Run numba with ``n_threads`` threads inside the block, and give the old number back after it.

    ``None`` means every processor that this process may use; more threads than numba started are cut to
    those, and to ``at_most``: a thread without work still waits in the way of others. Yields the number in force.

    Examples
    --------
    >>> with borrow_threads(1) as n:
    ...     n
    1
    """
    if n_threads is not None and (isinstance(n_threads, bool) or int(n_threads) != n_threads or n_threads < 1):
        raise InvalidParameterError("n_threads", n_threads, "an integer >= 1, or None for all processors")
    wanted = available_threads() if n_threads is None else int(n_threads)
    before = numba.get_num_threads()
    number = max(1, min(wanted, numba.config.NUMBA_NUM_THREADS, wanted if at_most is None else at_most))
    numba.set_num_threads(number)
    try:
        yield number
    finally:
        numba.set_num_threads(before)
