"""Images through a network: batches, a few at a time in every thread of a processor, whole on a GPU."""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._checks import check_integer
from graphret._errors import InvalidParameterError, UnknownNameError
from graphret.encoders.inference.device import arithmetic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import torch
    from numpy.typing import NDArray

    from graphret._types import Float32Array
    from graphret.encoders.inference.device_batches import BegunOnDevice, DeviceBatches
    from graphret.encoders.inference.workers import Begun
    from graphret.encoders.own_network import OwnNetwork, StoredNetwork

__all__ = ["ON_PROCESSOR", "PRECISIONS", "Forward"]

PRECISIONS = ("float32", "bfloat16")
ON_PROCESSOR = 32
"""Images of a batch where there is no GPU; its threads take a few of them at a time."""
KINDS_KEPT = 4
"""Kinds of batches (method, precision, size) whose room on a device is kept."""
PIXELS_AT_ONCE = 4 * 224 * 224
"""Input pixels that one thread of a processor takes at once: what its network then works on stays in the cache."""


class Forward:
    """Run methods of a network on images float32 (b, size, size), or (b, 3, size, size) with colours.

    Parameters
    ----------
    network
        In evaluation mode, on its device.
    size
        Side of its input in px.
    colour
        Its images have three channels.
    """

    def __init__(self, network: OwnNetwork | StoredNetwork, size: int, *, colour: bool = False) -> None:
        self.network, self.size, self.n_channels = network, size, 3 if colour else 1
        self._image_shape = (3, size, size) if colour else (size, size)
        self._kept: dict[tuple[str, str, int], DeviceBatches] = {}
        self._at_once: dict[tuple[str, str], int] = {}

    @property
    def device(self) -> torch.device:
        """Where the network runs."""
        return self.network.device

    def apply(self, method: str, images: Float32Array, n_outputs: int, precision: str, batch_size: int) -> Float32Array:
        """Return what a method of the network makes of the images, float32 (b, n_outputs).

        Raises
        ------
        InvalidParameterError
            Images of another shape or dtype, or an unknown precision.
        """
        import torch

        from graphret.encoders.inference.workers import Begun, single_threaded_workers, threads_of_torch

        if self._overlaps:
            return self._on_device(method, self._checked(images, batch_size), n_outputs, precision, batch_size)
        out, fill = self._work(method, images, n_outputs, precision, batch_size)
        in_threads, n_threads = self._works_in_threads(precision), threads_of_torch()
        if in_threads:
            parts = self._parts(len(out), batch_size)
        else:
            parts = [slice(start, start + batch_size) for start in range(0, len(out), batch_size)]
        workers = min(n_threads, len(parts))
        if in_threads and workers > 1:
            with single_threaded_workers(workers) as pool:
                return Begun(out, [pool.submit(fill, part) for part in parts]).result()
        # A single image stays in the caller's thread, with all of its torch threads.
        with torch.inference_mode(), arithmetic(self.device, precision):
            for part in parts:
                fill(part)
        return out

    @contextmanager
    def beginning(
        self, method: str, n_outputs: int, precision: str, batch_size: int
    ) -> Iterator[Callable[[Float32Array], Begun | BegunOnDevice]]:
        """Give a function that begins a batch and returns at once; see `Encoder.encoding`."""
        from graphret.encoders.inference.workers import Begun, single_threaded_workers, threads_of_torch

        if self._overlaps:
            batches = self._batches(method, n_outputs, precision, batch_size)

            def begin_on_device(images: Float32Array) -> Begun | BegunOnDevice:
                array = self._checked(images, batch_size)
                if 0 < len(array) <= batch_size:
                    return batches.begin(array)
                return Begun(self._on_device(method, array, n_outputs, precision, batch_size), [])

            yield begin_on_device
            return
        if not self._works_in_threads(precision):
            yield lambda images: Begun(self.apply(method, images, n_outputs, precision, batch_size), [])
            return
        with single_threaded_workers(threads_of_torch()) as pool:

            def begin(images: Float32Array) -> Begun:
                out, fill = self._work(method, images, n_outputs, precision, batch_size)
                return Begun(out, [pool.submit(fill, part) for part in self._parts(len(out), batch_size)])

            yield begin

    def films_at_once(self, method: str, precision: str) -> int:
        """Return how many images a batch should have: on a GPU by a trial of its memory, elsewhere `ON_PROCESSOR`."""
        if not self._overlaps:
            return ON_PROCESSOR
        from graphret.encoders.inference.device_batches import films_at_once

        if (method, precision) not in self._at_once:
            self._at_once[method, precision] = films_at_once(
                getattr(self.network.on_device, method), (self.n_channels, self.size, self.size), _known(precision)
            )
        return self._at_once[method, precision]

    def _on_device(
        self, method: str, images: Float32Array, n_outputs: int, precision: str, batch_size: int
    ) -> Float32Array:
        """Run batches so that copies and arithmetic overlap."""
        batches = self._batches(method, n_outputs, precision, batch_size)
        out = np.empty((len(images), n_outputs), dtype=np.float32)
        begun: deque[tuple[slice, BegunOnDevice]] = deque()
        for start in range(0, len(images), batch_size):
            rows = slice(start, start + batch_size)
            begun.append((rows, batches.begin(np.ascontiguousarray(images[rows]))))
            if len(begun) > 1:
                done, work = begun.popleft()
                out[done] = work.result()
        for done, work in begun:
            out[done] = work.result()
        return out

    def _batches(self, method: str, n_outputs: int, precision: str, batch_size: int) -> DeviceBatches:
        """Room, streams and graph for batches of one kind; those of the last kinds are kept for the next call."""
        from graphret.encoders.inference.device_batches import DeviceBatches

        check_integer("batch_size", batch_size, 1)
        key = method, _known(precision), batch_size
        kept = self._kept.get(key)
        if kept is None:
            function = getattr(self.network.on_device, method)
            shape = (self.n_channels, self.size, self.size)
            kept = DeviceBatches(function, self.device, precision, shape, n_outputs, batch_size)
            others = list(self._kept.items())[1 - KINDS_KEPT :]
            self._kept = dict([*others, (key, kept)])  # replaced in one step, for other threads
        return kept

    def saliency(self, images: Float32Array, batch_size: int) -> Float32Array | None:
        """Return where the network looks, float32 (b, size, size); None for a network without a spatial attention."""
        maps: Float32Array | None = self._pixel_maps("saliency", images, batch_size, np.dtype(np.float32))
        return maps

    def segmentation(self, images: Float32Array, batch_size: int) -> NDArray[np.uint8] | None:
        """Return the class of every pixel, uint8 (b, size, size); None for a network that draws no masks."""
        maps: NDArray[np.uint8] | None = self._pixel_maps("segmentation", images, batch_size, np.dtype(np.uint8))
        return maps

    def _pixel_maps(self, method: str, images: Float32Array, batch_size: int, dtype: np.dtype[Any]) -> Any:
        import torch

        from graphret.encoders.inference.workers import threads_of_torch

        array = self._checked(images, batch_size)
        out = np.empty((len(array), self.size, self.size), dtype=dtype)
        threads_of_torch()  # one in a forked process
        with torch.inference_mode(), arithmetic(self.device, "float32"):
            for start in range(0, max(len(array), 1), batch_size):
                block = torch.from_numpy(self._with_channels(array[start : start + batch_size]))
                maps = getattr(self.network.module, method)(block.to(self.device))
                if maps is None:
                    return None
                out[start : start + batch_size] = maps.cpu().numpy()
        return out

    def position_features(self, images: Float32Array) -> Float32Array | None:
        """Return what the network has at every position before it averages, float32 (b, code_length, h, w), or None."""
        import torch

        from graphret.encoders.inference.workers import threads_of_torch

        array = self._checked(images, 1)
        threads_of_torch()  # one in a forked process
        with torch.inference_mode(), arithmetic(self.device, "float32"):
            block = torch.from_numpy(self._with_channels(array)).to(self.device)
            maps = self.network.module.position_features(block)
            return None if maps is None else maps.float().cpu().numpy()

    def _work(
        self, method: str, images: Float32Array, n_outputs: int, precision: str, batch_size: int
    ) -> tuple[Float32Array, Callable[[slice], None]]:
        """Check the images; return room for what the network makes of them, and a function that fills some rows."""
        import torch

        _known(precision)
        array = self._checked(images, batch_size)
        out = np.empty((len(array), n_outputs), dtype=np.float32)
        function = getattr(self.network.folded if self._works_in_threads(precision) else self.network.module, method)

        def fill(rows: slice) -> None:
            block = torch.from_numpy(self._with_channels(array[rows]))
            block = block.to(self.device).contiguous(memory_format=torch.channels_last)
            out[rows] = function(block).float().cpu().numpy()

        return out, fill

    def _checked(self, images: Float32Array, batch_size: int) -> Float32Array:
        check_integer("batch_size", batch_size, 1)
        array = np.asarray(images)
        if array.shape[1:] != self._image_shape or array.dtype != np.float32:
            raise InvalidParameterError(
                "images",
                f"{array.dtype} {array.shape}",
                f"float32 (b, {', '.join(map(str, self._image_shape))})",
                "encoder.prepare(film) makes one image of a film",
            )
        return array

    def _with_channels(self, images: Float32Array) -> Float32Array:
        """Images as a network takes them, (b, channels, size, size)."""
        return np.ascontiguousarray(images).reshape(len(images), self.n_channels, self.size, self.size)

    @property
    def _overlaps(self) -> bool:
        """Whether batches are begun one behind the other on a device."""
        return self.device.type == "cuda"

    def _works_in_threads(self, precision: str) -> bool:
        """Whether a few images at a time go through the network in each of several threads."""
        return self.device.type == "cpu" and precision == "float32"

    def _parts(self, n: int, batch_size: int) -> list[slice]:
        from graphret.encoders.inference.workers import parts_of, threads_of_torch

        return parts_of(n, min(batch_size, max(1, PIXELS_AT_ONCE // self.size**2)), threads_of_torch())


def _known(precision: str) -> str:
    if precision not in PRECISIONS:
        raise UnknownNameError("precision", precision, PRECISIONS)
    return precision
