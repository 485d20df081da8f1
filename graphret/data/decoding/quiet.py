"""pydicom without its warnings and log lines, which quote the values that it complains of.

A patient's name in the wrong tag would reach the terminal and log files that way. Both are switched off around our
own calls only: log lines by thread, warnings under a lock, since their filters belong to the whole process.
"""

from __future__ import annotations

import logging
import threading
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

from graphret._threads import ProcessLock

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["no_log_lines", "no_warnings"]

_LOGGERS = ("pydicom", "pydicom.pixels.decoders.base")
_thread = threading.local()
_lock = ProcessLock()


class _ThreadFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002 - the thread decides, not the record
        return not getattr(_thread, "is_quiet", False)


_FILTER = _ThreadFilter()


@contextmanager
def no_log_lines() -> Iterator[None]:
    """Drop what pydicom logs in this thread."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_FILTER)  # does nothing the second time
    before, _thread.is_quiet = getattr(_thread, "is_quiet", False), True
    try:
        yield
    finally:
        _thread.is_quiet = before


@contextmanager
def no_warnings() -> Iterator[None]:
    """Drop what pydicom logs and warns; one thread at a time, so keep what is inside short."""
    with no_log_lines(), _lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
