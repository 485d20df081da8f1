"""Films of a training: decoded and resized once and kept in memory, or decoded again in every epoch by threads."""

from __future__ import annotations

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from graphret._errors import GraphretError
from graphret._threads import available_threads
from graphret.data import FilmProblem, ImageTable
from graphret.encoders.inference.colours import prepare_colours
from graphret.encoders.inference.resize import prepare_film
from graphret.training.masks import Masks

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

    import torch
    from numpy.typing import NDArray
    from torch import Tensor

    from graphret._types import BoolArray, Float32Array, Int64Array, Progress

__all__ = ["PreparedFilms"]

logger = logging.getLogger(__name__)
T = TypeVar("T", bound=np.generic)


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
    stored_as
        "float32", or "uint8": films are rounded to multiples of 1/255, in memory and out of it alike.
    colour
        Films have three channels: every (b, size, size) below is then (b, 3, size, size).
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
        stored_as: str = "float32",
        colour: bool = False,
    ) -> None:
        self.table = table
        self._dtype = np.dtype(stored_as)
        self.size, self._colour = size, colour
        self._shape = (3, size, size) if colour else (size, size)
        self.problems: dict[int, FilmProblem] = {}
        self._pool = ThreadPoolExecutor(n_workers or available_threads(), thread_name_prefix="graphret-film")
        self._cache: NDArray[Any] | None = None
        self._on_device: Tensor | None = None
        self._slots = np.full(len(table), -1, dtype=np.int64)
        self._masks = None if mask_rows is None else Masks(table, size)
        self._mask_cache: NDArray[np.uint8] | None = None
        n_masks = 0 if mask_rows is None or self._masks is None else len(mask_rows) * self._masks.n_classes
        n_bytes = len(rows) * self._dtype.itemsize * (3 if colour else 1) + n_masks  # by pixel of the input
        if n_bytes * size * size <= cache_bytes:
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

    def place_on(self, device: torch.device, at_most: int) -> None:
        """Keep the films that are in memory on a device as well; then batches are made there.

        Nothing happens on a processor, where no film is in memory, or where they need more than ``at_most`` bytes or
        half of what the device has free. Batches hold the same values.
        """
        if self._cache is None or device.type == "cpu" or self._cache.nbytes > at_most:
            return
        import torch

        if self._cache.nbytes > torch.cuda.mem_get_info(device)[0] // 2:
            logger.info("the GPU has too little free memory for %d bytes of films", self._cache.nbytes)
            return
        self._on_device = torch.from_numpy(self._cache).to(device)

    def batches(self, groups: Iterable[Int64Array]) -> Iterator[tuple[Int64Array, Float32Array | Tensor, BoolArray]]:
        """Yield each group of rows with its films, reading one group ahead.

        Yields
        ------
        rows
            int64 (b,), the group.
        images
            float32 (b, size, size), a tensor where the films are on a device. A film that cannot be read has the pixels
            of another one of its group, so that shapes stay and batch normalisation sees films only.
        readable
            bool (b,); the labels of the others must not count.
        """
        if self._cache is not None:
            for rows in groups:
                readable = np.array([int(row) not in self.problems for row in rows], dtype=bool)
                yield rows, self._cached(self._cache, _fill_gaps(self._slots[rows], readable)), readable
            return
        ahead: list[tuple[Int64Array, list[Future[NDArray[Any] | None]]]] = []
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

    def _cached(self, cache: NDArray[Any], slots: Int64Array) -> Float32Array | Tensor:
        """Films in some places of the cache, float32 (b, size, size)."""
        if self._on_device is None:
            return _as_float(cache[slots])
        import torch

        return as_float_on_device(
            self._on_device[torch.from_numpy(slots).to(self._on_device.device, non_blocking=True)]
        )

    def _gather(self, rows: Int64Array, futures: list[Future[NDArray[Any] | None]]) -> tuple[Any, Any, Any]:
        images = np.zeros((len(rows), *self._shape), dtype=np.float32)
        readable = np.zeros(len(rows), dtype=bool)
        for position, future in enumerate(futures):
            image = future.result()
            if image is not None:
                images[position] = _as_float(image)
                readable[position] = True
        return rows, _fill_gaps(images, readable), readable

    def _read_all(self, rows: Int64Array, progress: Progress | None) -> NDArray[Any]:
        cache = np.zeros((len(rows), *self._shape), dtype=self._dtype)
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

    def _read(self, row: int) -> NDArray[Any] | None:
        if row in self.problems:
            return None
        try:
            pixels = self.table.read_pixels(row, colour=self._colour)
            film = (prepare_colours if self._colour else prepare_film)(pixels, self.size)
            return film if self._dtype == np.float32 else np.rint(film * 255).astype(np.uint8)
        except (GraphretError, OSError) as error:
            problem = FilmProblem(
                str(self.table.ids[row]), str(self.table.paths[row]), str(getattr(error, "reason", error))
            )
            self.problems[row] = problem
            logger.warning("film %s is left out: %s", problem.id, problem.reason)
            return None


def _as_float(images: NDArray[Any]) -> Float32Array:
    """Films as they are stored, float32 in [0, 1]."""
    return images if images.dtype == np.float32 else images.astype(np.float32) / np.float32(255)


def as_float_on_device(images: Tensor) -> Tensor:
    """Films as they are stored, float32 in [0, 1], with the bits of `_as_float`.

    On CUDA torch multiplies by 1 / 255 where the divisor is a number, which rounds some values otherwise. It divides
    where the divisor lies on the device.
    """
    import torch

    if images.dtype == torch.float32:
        return images
    return images.float() / torch.full((), 255.0, device=images.device)


def _fill_gaps(of_films: NDArray[T], readable: BoolArray) -> NDArray[T]:
    """Put what belongs to the first film that can be read in the place of those that cannot."""
    if readable.any() and not readable.all():
        of_films[~readable] = of_films[np.argmax(readable)]
    return of_films
