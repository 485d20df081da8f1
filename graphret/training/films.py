"""Films of a training: decoded and resized once and kept in memory, or decoded again in every epoch by threads."""

from __future__ import annotations

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._errors import GraphretError
from graphret._threads import available_threads
from graphret.data import FilmProblem, ImageTable
from graphret.encoders.inference.resize import prepare_film
from graphret.training.masks import Masks

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

    from numpy.typing import NDArray

    from graphret._types import BoolArray, Float32Array, Int64Array, Progress

__all__ = ["PreparedFilms"]

logger = logging.getLogger(__name__)


class PreparedFilms:
    """The films of some rows of a table as the network takes them.

    A film that cannot be read is never fatal: it is noted in ``problems`` and its place in a batch is marked.

    Parameters
    ----------
    table
        The films.
    rows
        int64, the rows that will be asked for.
    size
        Side of the prepared films in px.
    cache_bytes
        Keep them in memory if they need no more than this.
    n_workers
        Threads that decode; ``None`` for as many as there are processors.
    progress
        Told about the reading into memory.
    mask_rows
        int64, the rows whose masks will be asked for; none if nothing learns from masks.
    """

    def __init__(
        self,
        table: ImageTable,
        rows: Int64Array,
        size: int,
        *,
        cache_bytes: int,
        n_workers: int | None = None,
        progress: Progress | None = None,
        mask_rows: Int64Array | None = None,
    ) -> None:
        self.table = table
        self.size = size
        self.problems: dict[int, FilmProblem] = {}
        self._pool = ThreadPoolExecutor(n_workers or available_threads(), thread_name_prefix="graphret-film")
        self._cache: Float32Array | None = None
        self._slots = np.full(len(table), -1, dtype=np.int64)
        self._masks = None if mask_rows is None else Masks(table, size)
        self._mask_cache: NDArray[np.uint8] | None = None
        n_masks = 0 if mask_rows is None or self._masks is None else len(mask_rows) * self._masks.n_classes
        if (len(rows) * 4 + n_masks) * size * size <= cache_bytes:
            self._slots[rows] = np.arange(len(rows))
            try:
                self._cache = self._read_all(rows, progress)
                if self._masks is not None and mask_rows is not None:
                    self._mask_cache = self._read_masks(self._masks, mask_rows, progress)
            except BaseException:
                self.close()
                raise

    @property
    def in_memory(self) -> bool:
        """Whether the films are kept in memory."""
        return self._cache is not None

    def batches(self, groups: Iterable[Int64Array]) -> Iterator[tuple[Int64Array, Float32Array, BoolArray]]:
        """Yield each group of rows with its films, reading one group ahead.

        Yields
        ------
        rows
            int64 (b,), the group.
        images
            float32 (b, size, size). A film that cannot be read has the pixels of another one of its group, so that
            shapes stay and batch normalisation sees films only.
        readable
            bool (b,); the labels of the others must not count.
        """
        if self._cache is not None:
            for rows in groups:
                readable = np.array([int(row) not in self.problems for row in rows], dtype=bool)
                yield rows, _fill_gaps(self._cache[self._slots[rows]], readable), readable
            return
        ahead: list[tuple[Int64Array, list[Future[Float32Array | None]]]] = []
        for rows in groups:
            ahead.append((rows, [self._pool.submit(self._read, int(row)) for row in rows]))
            if len(ahead) == 2:
                yield self._gather(*ahead.pop(0))
        for rows, futures in ahead:
            yield self._gather(rows, futures)

    def masks(self, rows: Int64Array) -> Float32Array | None:
        """Masks float32 (b, n_classes, size, size) in [0, 1] of some of ``mask_rows``, NaN where there is none.

        ``None`` if none was asked for at the start.
        """
        if self._masks is None:
            return None
        if self._mask_cache is not None:
            stored = self._mask_cache[self._slots[rows]]
        else:
            stored = np.stack(list(self._pool.map(self._masks.read, rows.tolist())))
        return Masks.decode(stored)

    def close(self) -> None:
        """Stop the threads, without waiting for films that nobody will use."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> PreparedFilms:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _gather(self, rows: Int64Array, futures: list[Future[Float32Array | None]]) -> tuple[Any, Any, Any]:
        images = np.zeros((len(rows), self.size, self.size), dtype=np.float32)
        readable = np.zeros(len(rows), dtype=bool)
        for position, future in enumerate(futures):
            image = future.result()
            if image is not None:
                images[position] = image
                readable[position] = True
        return rows, _fill_gaps(images, readable), readable

    def _read_all(self, rows: Int64Array, progress: Progress | None) -> Float32Array:
        cache = np.zeros((len(rows), self.size, self.size), dtype=np.float32)
        block = 256  # bounds the decoded films that wait to be copied
        for start in range(0, len(rows), block):
            for slot, image in enumerate(self._pool.map(self._read, rows[start : start + block].tolist()), start):
                if image is not None:
                    cache[slot] = image
            if progress is not None:
                progress("reading films", min(start + block, len(rows)), len(rows))
        return cache

    def _read_masks(self, masks: Masks, rows: Int64Array, progress: Progress | None) -> NDArray[np.uint8]:
        """Masks in the slots of their films; the films of a training come before those of its validation."""
        shape = int(self._slots[rows].max(initial=-1)) + 1, masks.n_classes, self.size, self.size
        cache = np.full(shape, Masks.NONE, dtype=np.uint8)
        block = 256
        for start in range(0, len(rows), block):
            part = rows[start : start + block]
            for row, mask in zip(part.tolist(), self._pool.map(masks.read, part.tolist()), strict=True):
                cache[self._slots[row]] = mask
            if progress is not None:
                progress("reading masks", min(start + block, len(rows)), len(rows))
        return cache

    def _read(self, row: int) -> Float32Array | None:
        if row in self.problems:
            return None
        try:
            return prepare_film(self.table.read_pixels(row), self.size)
        except (GraphretError, OSError) as error:
            problem = FilmProblem(
                str(self.table.ids[row]), str(self.table.paths[row]), str(getattr(error, "reason", error))
            )
            self.problems[row] = problem
            logger.warning("film %s is left out: %s", problem.id, problem.reason)
            return None


def _fill_gaps(images: Float32Array, readable: BoolArray) -> Float32Array:
    if readable.any() and not readable.all():
        images[~readable] = images[np.argmax(readable)]
    return images
