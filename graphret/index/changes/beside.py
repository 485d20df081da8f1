"""Work that goes on beside its caller: what waits for the disk, or hashes, keeps nobody from computing."""

from __future__ import annotations

import functools
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TypeVar

from graphret._checks import check_integer
from graphret._threads import available_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Start", "beside"]

T = TypeVar("T")


class Start(Protocol):
    """Begins some work, and gives the function that waits for its result, or raises what it raised."""

    def __call__(self, work: Callable[[], T]) -> Callable[[], T]:
        """Begin ``work``."""
        ...


@contextmanager
def beside(n_threads: int | None) -> Iterator[Start]:
    """Let work be started that the block goes on beside; when the block ends, all of it is done.

    Parameters
    ----------
    n_threads
        Threads; ``None`` for all processors. With one, work is done where its result is first asked for, in the thread
        that asks, and what nobody asks for is not done.

    Raises
    ------
    InvalidParameterError
        No threads, or no number of them.

    Examples
    --------
    >>> with beside(2) as start:
    ...     total = start(lambda: sum(range(5)))
    ...     total()
    10
    """
    n_workers = available_threads() if n_threads is None else check_integer("n_threads", n_threads, 1)
    if n_workers == 1:
        yield _when_asked
        return
    # twice as many: some of them wait for the disk
    pool = ThreadPoolExecutor(2 * n_workers, thread_name_prefix="graphret-change")
    try:
        yield lambda work: pool.submit(work).result
    finally:
        pool.shutdown(cancel_futures=True)


def _when_asked(work: Callable[[], T]) -> Callable[[], T]:
    return functools.cache(work)
