"""Arrays as ``.npy`` files: written in bounded blocks, mapped into memory, their header checked and never evaluated."""

from __future__ import annotations

import hashlib
import math
import re
from io import BytesIO
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.lib import format as npy

from graphret._errors import DamagedIndexError
from graphret.files.atomic import BLOCK_BYTES, write_file
from graphret.files.plain import MappedFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["Digest", "array_of", "map_array", "npy_digest", "write_array", "write_rows"]

_HEADER_BYTES = 256
_HEADER = re.compile(rb"\{'descr': '([<|][biuf]\d)', 'fortran_order': False, 'shape': \(([\d, ]+)\), \}")


class Digest(Protocol):
    """What is told every byte of a file, as the objects of `hashlib` are."""

    def update(self, content: Any, /) -> None:
        """Take the next bytes."""


def write_array(path: Path, array: NDArray[Any], *, durable: bool = True, digest: Digest | None = None) -> None:
    """Write an array as ``.npy`` (format 1.0, C order, little-endian), a bounded block at a time; see `replacing`.

    ``digest`` is told all bytes of the file.
    """
    write_rows(path, array.shape, array.dtype, [array], durable=durable, digest=digest)


def write_rows(
    path: Path,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    parts: Iterable[NDArray[Any]],
    *,
    durable: bool = True,
    digest: Digest | None = None,
) -> None:
    """Write one ``.npy`` array from parts of its rows, in their order, without holding more than one part.

    Before a part is asked for, all of those before it were written, and told to ``digest``: they may share memory.
    """
    write_file(path, _told(_npy_blocks(shape, dtype, parts), digest), durable=durable, size=_n_bytes(shape, dtype))


def npy_digest(array: NDArray[Any]) -> str:
    """Return the sha256 of the file that `write_array` makes of an array.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from graphret.files import sha256_of
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_array(path := pathlib.Path(folder, "a.npy"), np.arange(3))
    ...     sha256_of(path) == npy_digest(np.arange(3))
    True
    """
    total = hashlib.sha256()
    for block in _npy_blocks(array.shape, array.dtype, [array]):
        total.update(block)
    return total.hexdigest()


def _told(blocks: Iterable[bytes | memoryview], digest: Digest | None) -> Iterator[bytes | memoryview]:
    for block in blocks:
        if digest is not None:
            digest.update(block)
        yield block


def _npy_blocks(
    shape: tuple[int, ...], dtype: np.dtype[Any], parts: Iterable[NDArray[Any]]
) -> Iterator[bytes | memoryview]:
    stored = dtype.newbyteorder("<")
    yield _npy_header(shape, stored)
    for part in parts:
        row_bytes = max(1, stored.itemsize * int(np.prod(part.shape[1:], dtype=np.int64)))
        step = max(1, BLOCK_BYTES // row_bytes)
        for first in range(0, len(part), step):
            block = np.ascontiguousarray(part[first : first + step], dtype=stored)
            yield block.reshape(-1).view(np.uint8).data


def _n_bytes(shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    """Bytes of the file of an array."""
    return len(_npy_header(shape, dtype.newbyteorder("<"))) + dtype.itemsize * math.prod(shape)


def _npy_header(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bytes:
    buffer = BytesIO()
    npy.write_array_header_1_0(
        buffer, {"descr": npy.dtype_to_descr(dtype), "fortran_order": False, "shape": tuple(map(int, shape))}
    )
    return buffer.getvalue()


def array_of(held: MappedFile) -> NDArray[Any]:
    """Return the array of an ``.npy`` file that is held open: read-only, over the file's own memory.

    Raises
    ------
    DamagedIndexError
        Not an ``.npy`` file of format 1.0 in C order, or not as long as its header says.
    """
    try:
        shape, dtype = _parse_header(bytes(held.memory[:_HEADER_BYTES]))
    except (ValueError, TypeError) as error:
        raise DamagedIndexError(held.path, f"it is not an .npy array ({error})") from error
    offset, expected = len(_npy_header(shape, dtype)), _n_bytes(shape, dtype)
    if held.n_bytes != expected:
        raise DamagedIndexError(held.path, f"it has {held.n_bytes} bytes, an array {dtype} {shape} has {expected}")
    return np.ndarray(shape, dtype, buffer=held.memory, offset=offset)


def _parse_header(start: bytes) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Read the header of an array that `write_array` wrote; numpy's own reader evaluates it as Python."""
    found = _HEADER.search(start)
    if found is None:
        raise ValueError("another header")
    dtype = np.dtype(found[1].decode())
    shape = tuple(int(side) for side in found[2].split(b",") if side.strip())
    if not start.startswith(_npy_header(shape, dtype)):
        raise ValueError("another header")
    return shape, dtype


def map_array(path: Path) -> NDArray[Any]:
    """Open an ``.npy`` file as a read-only array over the file's own memory.

    Raises
    ------
    DamagedIndexError
        It is missing or no plain file; or as `array_of`.
    """
    try:
        held = MappedFile(path)
    except FileNotFoundError as error:
        raise DamagedIndexError(path, "it is missing") from error
    except OSError as error:
        raise DamagedIndexError(path, f"it cannot be read ({error.strerror})") from error
    return array_of(held)
