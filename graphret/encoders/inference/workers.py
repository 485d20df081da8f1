"""Threads that each run a network on films of their own, with one torch thread each.

Several torch threads inside one operation wait for each other at its end, hundreds of times a batch, and for every
other thread that holds a processor meanwhile (decoding does). Films have nothing to wait for.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING

import torch

from graphret._threads import ProcessLock, is_forked

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from graphret._types import Float32Array

__all__ = ["Begun", "parts_of", "single_threaded_workers", "threads_of_torch"]

_setting_threads = ProcessLock()


def threads_of_torch() -> int:
    """Threads that torch may use in this thread; in a process that was forked torch gets one, as in a DataLoader."""
    if is_forked():
        torch.set_num_threads(1)  # with more, the next operation waits for threads that stayed in the parent
    return torch.get_num_threads()


@contextmanager
def single_threaded_workers(n_workers: int) -> Iterator[ThreadPoolExecutor]:
    """Threads in each of which torch uses one thread, in inference mode; the caller's number of threads stays.

    Examples
    --------
    >>> before = torch.get_num_threads()
    >>> with single_threaded_workers(2) as pool:
    ...     pool.submit(torch.get_num_threads).result()
    1
    >>> torch.get_num_threads() == before
    True
    """
    together = threading.Barrier(n_workers, timeout=60)
    inference = threading.local()

    def begin() -> None:
        # torch keeps the number for each thread, and one for threads that have not asked yet: asking first makes this
        # thread keep the 1 when the caller puts that one back.
        torch.get_num_threads()
        torch.set_num_threads(1)
        inference.mode = torch.inference_mode()
        inference.mode.__enter__()

    pool = ThreadPoolExecutor(n_workers, thread_name_prefix="graphret-encode", initializer=begin)
    try:
        with _setting_threads:
            before = torch.get_num_threads()
            try:
                for waiting in [pool.submit(together.wait) for _ in range(n_workers)]:  # until every thread has begun
                    waiting.result()
            finally:
                torch.set_num_threads(before)
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def parts_of(n: int, at_once: int, n_workers: int) -> list[slice]:
    """Cut n rows into nearly equal parts of at most ``at_once``, as many for each worker as for the others.

    They depend on the three numbers only, so that a repeated call rounds in the same way.

    Examples
    --------
    >>> parts_of(5, 4, 2)
    [slice(0, 2, None), slice(2, 5, None)]
    """
    if not n:
        return []
    workers = min(n_workers, n)
    n_parts = min(n, workers * -(-n // (workers * at_once)))
    bounds = [n * part // n_parts for part in range(n_parts + 1)]
    return [slice(*part) for part in pairwise(bounds)]


class Begun:
    """An array that is being filled.

    Examples
    --------
    >>> import numpy as np
    >>> Begun(np.zeros(2), []).result()
    array([0., 0.])
    """

    def __init__(self, out: Float32Array, parts: Sequence[Future[None]]) -> None:
        self._out = out
        self._parts = parts

    def result(self) -> Float32Array:
        """Wait until it is full; an error of any part is raised here."""
        for part in self._parts:
            part.result()
        return self._out
