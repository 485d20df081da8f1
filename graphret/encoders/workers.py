"""Threads that each run a network on films of their own, with one torch thread each.

Several torch threads inside one operation wait for each other at its end, hundreds of times a batch, and for every
other thread that holds a processor meanwhile (decoding does). Films have nothing to wait for.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["share_rows", "single_threaded_workers"]

_setting_threads = threading.Lock()


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


def share_rows(fill: Callable[[slice], None], n: int, at_once: int) -> None:
    """Call ``fill`` for n rows in nearly equal parts of at most ``at_once``, in as many threads as torch has here.

    A single row stays in the caller's thread, with all of its torch threads. The parts depend on n, ``at_once`` and the
    number of threads only, so that a repeated call rounds in the same way.

    Examples
    --------
    >>> parts = []
    >>> share_rows(parts.append, 1, 4)
    >>> parts
    [slice(0, 1, None)]
    """
    workers = min(torch.get_num_threads(), n)
    if workers < 2:
        for start in range(0, n, at_once):
            fill(slice(start, min(start + at_once, n)))
        return
    n_parts = min(n, workers * -(-n // (workers * at_once)))
    bounds = [n * part // n_parts for part in range(n_parts + 1)]
    with single_threaded_workers(workers) as pool:
        for done in [pool.submit(fill, slice(*part)) for part in pairwise(bounds)]:
            done.result()
