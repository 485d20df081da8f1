"""Ids of the films in one block of UTF-8: what a hit needs of its film's table, in a few bytes a film."""

from __future__ import annotations

from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from graphret._types import Int32Array, Int64Array

__all__ = ["FilmIds"]

FEW = 4096
"""Up to so many ids are taken letter by letter in one go, which is a few times faster and needs memory for each."""


class FilmIds:
    """Texts that are decoded when they are asked for: 8 bytes and its own letters each.

    Parameters
    ----------
    letters
        All texts as UTF-8, one after the other.
    starts
        int64 (n + 1,), where each begins.

    Examples
    --------
    >>> ids = FilmIds.of(["a", "bc"])
    >>> len(ids), ids[1], ids.take(np.array([[1, -1]])).tolist()
    (2, 'bc', [['bc', '']])
    """

    def __init__(self, letters: bytes, starts: Int64Array) -> None:
        self._letters = letters
        self._starts = starts

    @classmethod
    def of(cls, texts: Iterable[str]) -> FilmIds:
        """Pack texts."""
        encoded = [text.encode() for text in texts]
        starts = np.concatenate([[0], np.cumsum([len(text) for text in encoded])]).astype(np.int64)
        return cls(b"".join(encoded), starts)

    @classmethod
    def from_arrow(cls, column: Any) -> FilmIds:
        """Copy a column of texts without nulls out of Arrow's buffers: the rest of its memory can then be let go."""
        import pyarrow as pa

        if column.type not in {pa.string(), pa.large_string()} or column.null_count:
            raise ValueError(f"its ids are {column.type} with {column.null_count} nulls, not text")
        wide = np.int64 if column.type == pa.large_string() else np.int32
        lengths, parts = [np.zeros(1, np.int64)], []
        for chunk in column.chunks:
            _, places, letters = chunk.buffers()
            if len(chunk):
                bounds = np.frombuffer(places, wide)[chunk.offset : chunk.offset + len(chunk) + 1]
                lengths.append(np.diff(bounds))
                parts.append(memoryview(letters or b"")[bounds[0] : bounds[-1]])
        return cls(b"".join(parts), np.cumsum(np.concatenate(lengths), dtype=np.int64))

    def __len__(self) -> int:
        return len(self._starts) - 1

    def __getitem__(self, film: int) -> str:
        return self._letters[self._starts[film] : self._starts[film + 1]].decode()

    def tolist(self) -> list[str]:
        """Return all ids.

        Examples
        --------
        >>> FilmIds.of(["a", "bc"]).tolist()
        ['a', 'bc']
        """
        starts = self._starts.tolist()
        return [self._letters[first:last].decode() for first, last in pairwise(starts)]

    @cached_property
    def _bytes(self) -> NDArray[np.uint8]:
        """Letters, where each of them is one byte; else nothing."""
        return np.frombuffer(self._letters if self._letters.isascii() else b"", np.uint8)

    def take(self, films: Int32Array) -> NDArray[np.str_]:
        """Return the ids of films, of the same shape; "" where the film is -1."""
        flat = films.ravel()
        # a -1 begins and ends where the last text ends
        firsts, lasts = self._starts[flat], self._starts[flat + (flat >= 0)]
        if not len(self._bytes) or flat.size > FEW:
            bounds = zip(firsts.tolist(), lasts.tolist(), strict=True)
            ids = [self._letters[first:last].decode() for first, last in bounds]
            return np.array(ids, dtype=np.str_).reshape(films.shape)
        width = max(1, int((lasts - firsts).max(initial=0)))
        places = firsts[:, None] + np.arange(width)
        letters = self._bytes[np.minimum(places, len(self._bytes) - 1)].astype(np.uint32)
        letters *= places < lasts[:, None]
        taken: NDArray[np.str_] = letters.view(f"U{width}").reshape(films.shape)
        return taken
