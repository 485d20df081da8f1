"""Memory that two processes see: one fills it with pixels, the other copies them out."""

from __future__ import annotations

import mmap
import os
from contextlib import suppress

__all__ = ["SharedBlock"]

_KEPT = 2**24
"""Bytes that stay in memory between two films; what a larger one took is given back."""


class SharedBlock:
    """Bytes without a name in any folder, which are gone with the last process that holds them (Linux).

    Parameters
    ----------
    n_bytes
        How many, >= 1; they take memory where they have been written to. The other process cannot change the number.

    Raises
    ------
    OSError
        The system gives no such memory.

    Examples
    --------
    >>> block = SharedBlock(3)
    >>> target = bytearray(3)
    >>> block.copy_to(memoryview(target))
    >>> list(target)
    [0, 0, 0]
    >>> block.close()
    """

    def __init__(self, n_bytes: int) -> None:
        import fcntl

        self.descriptor = os.memfd_create("graphret-pixels", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(self.descriptor, n_bytes)
            # Reading behind the end of a block that the other process made shorter would end this one.
            seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
            fcntl.fcntl(self.descriptor, fcntl.F_ADD_SEALS, seals)
            self._bytes = mmap.mmap(self.descriptor, n_bytes)
        except OSError:
            os.close(self.descriptor)
            raise

    @staticmethod
    def is_possible() -> bool:
        """Whether this system has such memory."""
        return hasattr(os, "memfd_create")

    def copy_to(self, target: memoryview) -> None:
        """Copy the first bytes out, as many as ``target`` has room for."""
        n_bytes = len(target)
        with memoryview(self._bytes) as view:
            target[:] = view[:n_bytes]
        if n_bytes > _KEPT:
            with suppress(OSError):  # a kernel that gives nothing back keeps it
                self._bytes.madvise(mmap.MADV_REMOVE)

    def close(self) -> None:
        """Leave the memory; the other process keeps it as long as it lives."""
        self._bytes.close()
        os.close(self.descriptor)
