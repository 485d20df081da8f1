"""Memory of all films that are being decoded at one time: a thread waits until there is room for its film."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["DecodingBudget", "reserve", "reserving"]


class DecodingBudget:
    """Bytes that are reserved, over all threads of a process; a forked child begins with none.

    A film that needs more than all of it is decoded alone. Nobody waits while holding anything, so that none waits for
    ever: who needs more gives back first.

    Examples
    --------
    >>> budget = DecodingBudget()
    >>> budget.change(0, 100, at_most=1000)
    >>> budget.in_use
    100
    """

    def __init__(self) -> None:
        self._begin()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        self.in_use = 0
        self._changed = threading.Condition()

    def change(self, held: int, needed: int, at_most: int) -> None:
        """Give ``held`` bytes back, then take ``needed`` as soon as all together are at most ``at_most``."""
        with self._changed:
            self.in_use -= held
            self._changed.notify_all()
            self._changed.wait_for(lambda: self.in_use == 0 or self.in_use + needed <= at_most or needed == 0)
            self.in_use += needed


_budget = DecodingBudget()
_thread = threading.local()


@contextmanager
def reserving(at_most: int) -> Iterator[None]:
    """Let `reserve` take memory inside the block, and give it back at its end."""
    before = getattr(_thread, "film", None)
    film = _thread.film = [0, at_most]
    try:
        yield
    finally:
        _thread.film = before
        if film[0]:
            _budget.change(film[0], 0, at_most)


def reserve(needed: int) -> None:
    """Wait for the memory of this thread's film, where it is inside `reserving`; the largest number counts."""
    film = getattr(_thread, "film", None)
    if film is not None and needed > film[0]:
        held, film[0] = film[0], 0
        _budget.change(held, needed, film[1])
        film[0] = needed
