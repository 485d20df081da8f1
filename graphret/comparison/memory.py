"""How much memory a step takes: what papers print as "memory" of a method."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["PeakMemory"]

_STATM = Path("/proc/self/statm")
_SECONDS = 0.05


class PeakMemory:
    """The largest resident memory of this process while a block runs, looked at twenty times a second.

    It is that of the whole process, the films' table and libraries included, as `top` shows it; memory on a GPU is not
    in it. Where the system has no ``/proc`` (macOS, Windows) there is no figure.

    Attributes
    ----------
    megabytes
        The largest value so far, in 1,000,000 bytes; None where it cannot be read.

    Examples
    --------
    >>> with PeakMemory() as memory:
    ...     block = bytearray(1000)
    >>> memory.megabytes is None or memory.megabytes > 1
    True
    """

    def __init__(self) -> None:
        self.megabytes: float | None = None
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="graphret-memory", daemon=True)

    def __enter__(self) -> PeakMemory:
        self._look()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()
        self._look()

    def _watch(self) -> None:
        while not self._done.wait(_SECONDS):
            self._look()

    def _look(self) -> None:
        try:
            pages = int(_STATM.read_text(encoding="ascii").split()[1])
        except (OSError, ValueError, IndexError):
            return
        self.megabytes = max(self.megabytes or 0.0, pages * os.sysconf("SC_PAGE_SIZE") / 1e6)
