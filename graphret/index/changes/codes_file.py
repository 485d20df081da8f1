"""The codes of a generation are written anew: each is compared with its checksum, written and hashed in one pass."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret.files import map_array, write_rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future
    from pathlib import Path
    from typing import Self

    from graphret._types import Codes, Int64Array
    from graphret.index.generation import Generation

__all__ = ["write_codes"]

BLOCK_BYTES = 2**21
"""Of rows that are copied at once: they are in the cache until they were compared, hashed and written."""
_IN_WORK = 3
"""Blocks whose memory is used in turn: one is filled while those before it may still be hashed."""


def write_codes(generation: Generation, path: Path, kept: Int64Array, new_codes: Codes) -> tuple[Codes, str]:
    """Write rows of a generation, and new ones behind them; nothing is flushed yet.

    A row is copied into memory first. What is compared with its checksum, written, and hashed is that copy.

    Parameters
    ----------
    generation
        The generation that is changed.
    path
        The file, which is not there yet.
    kept
        int64, ascending: the rows of the generation that stay.
    new_codes
        float32 (m, d).

    Returns
    -------
    codes, sha256
        The file as a read-only array, float32 (len(kept) + m, d); the hash of its bytes.

    Raises
    ------
    DamagedIndexError
        A row has not its checksum, or the file of the codes was cut.
    StoreError
        The disk is full.
    """
    shape = (len(kept) + len(new_codes), new_codes.shape[1])
    with _HashedBeside() as digest:
        parts = _parts(generation, kept, new_codes)
        write_rows(path, shape, np.dtype(np.float32), parts, durable=False, digest=digest)
        return map_array(path), digest.hexdigest()


def _parts(generation: Generation, kept: Int64Array, new_codes: Codes) -> Iterator[Codes]:
    codes, checks = generation.codes, generation.read_checksums()
    rows_at_once = max(1, BLOCK_BYTES // (codes.itemsize * codes.shape[1]))
    memory = np.empty((_IN_WORK, rows_at_once, codes.shape[1]), np.float32)
    for number, first in enumerate(range(0, len(kept), rows_at_once)):
        rows = kept[first : first + rows_at_once]
        copy = memory[number % _IN_WORK, : len(rows)]
        np.take(codes, rows, axis=0, out=copy, mode="clip")  # any other mode fills memory of its own first
        if checks is not None:
            checks.check_copies(rows, copy)
        yield copy
    yield new_codes


class _HashedBeside:
    """A sha256 that a thread of its own makes, of at most as many blocks behind as their memory allows."""

    def __init__(self) -> None:
        self._total = hashlib.sha256()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="graphret-hash")
        self._begun: list[Future[None]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def update(self, content: Any) -> None:
        """Begin to hash the next block; the one that has its memory next is hashed when this returns."""
        self._begun.append(self._pool.submit(self._total.update, content))
        while len(self._begun) >= _IN_WORK:
            self._begun.pop(0).result()

    def hexdigest(self) -> str:
        """Wait for all blocks."""
        while self._begun:
            self._begun.pop(0).result()
        return self._total.hexdigest()
