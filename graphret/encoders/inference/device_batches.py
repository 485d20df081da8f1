"""Batches through a network on a device: copies to it, arithmetic and copies back of neighbouring batches overlap."""

from __future__ import annotations

import logging
import threading
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from graphret._notes import note_once
from graphret.encoders.inference.device import arithmetic

if TYPE_CHECKING:
    from collections.abc import Callable

    from graphret._types import Float32Array

__all__ = ["BegunOnDevice", "DeviceBatches", "films_at_once", "largest_batch"]

logger = logging.getLogger(__name__)

N_SLOTS = 3
"""Batches on their way: one is copied to the device, one is computed, one is copied back."""
GRAPH_AFTER = 4
"""Full batches after which a CUDA graph is captured: it takes as long as a few of them."""
MOST_AT_ONCE, LEAST_AT_ONCE = 256, 8
MEMORY_SHARE = 0.5
"""Of the free memory of a device that batches may take."""


class DeviceBatches:
    """Run a function of images on batches, and return before their results are there.

    On CUDA a batch is copied from page-locked memory in a stream of its own, while the batch before is computed. After
    the first full batches their kernels are captured as a CUDA graph, which starts all of them at once. A graph holds
    the same kernels in the same order, so that results are those of the kernels alone. On a processor the batches run
    one after the other, by the same lines.

    Parameters
    ----------
    function
        From float (b, 1, s, s) to (b, n_outputs), on the device.
    device
        Where it runs.
    precision
        "float32" or "bfloat16".
    size, n_outputs, batch_size
        s; length of a result; images of a full batch.

    Notes
    -----
    Safe to call from several threads. Page-locked and device memory: three batches of images and of results each.

    Examples
    --------
    >>> import numpy as np
    >>> half_mean = lambda images: images.mean(dim=(2, 3)) / 2
    >>> halves = DeviceBatches(half_mean, torch.device("cpu"), "float32", (1, 2, 2), 1, 4)
    >>> halves.begin(np.ones((3, 2, 2), np.float32)).result().ravel().tolist()
    [0.5, 0.5, 0.5]
    """

    def __init__(
        self,
        function: Callable[[Tensor], Tensor],
        device: torch.device,
        precision: str,
        shape: tuple[int, int, int],
        n_outputs: int,
        batch_size: int,
    ) -> None:
        self._function, self._device, self._precision = function, device, precision
        self._shape, self._batch_size = shape, batch_size
        self._is_cuda = device.type == "cuda"
        self._lock = threading.RLock()
        self._slots = [self._slot(n_outputs) for _ in range(N_SLOTS)]
        self._turn = self._n_full = 0
        none: tuple[torch.cuda.Stream | None, torch.cuda.Stream | None] = (None, None)
        self._copying, self._computing = _streams() if self._is_cuda else none
        if self._computing is not None:
            self._computing.wait_stream(torch.cuda.current_stream())  # the weights are on their way in that one
        self._graph: tuple[Any, Tensor, Tensor] | None = None
        self._may_capture = self._is_cuda

    def begin(self, images: Float32Array) -> BegunOnDevice:
        """Begin a batch of float32 (b, s, s) or (b, 3, s, s), b at most ``batch_size``, which may change afterwards."""
        with self._lock, torch.inference_mode(), arithmetic(self._device, self._precision):
            slot = self._slots[self._turn]
            self._turn = (self._turn + 1) % N_SLOTS
            if slot.begun is not None:
                slot.begun.result()  # nobody asked for it yet; its place is needed
            n = len(images)
            slot.host_images[:n].copy_(torch.from_numpy(images).view(n, *self._shape))
            with self._stream(self._copying):
                slot.images[:n].copy_(slot.host_images[:n], non_blocking=True)
            if self._copying is not None and self._computing is not None:
                self._computing.wait_stream(self._copying)
            # What reads this slot has ended before its turn comes again: its codes were waited for.
            with self._stream(self._computing):
                codes = self._compute(slot.images[:n])
                slot.host_codes[:n].copy_(codes, non_blocking=True)
                if slot.done is not None:
                    slot.done.record(self._computing)
            slot.begun = BegunOnDevice(self, slot, n)
            return slot.begun

    def _compute(self, images: Tensor) -> Tensor:
        """Codes of a batch on the device, by the graph where there is one of its size."""
        if len(images) < self._batch_size:
            return self._function(images)
        if self._graph is None:
            self._n_full += 1
            if not (self._may_capture and self._n_full > GRAPH_AFTER and self._capture(images)):
                return self._function(images)
        graph, taken, given = self._graph  # type: ignore[misc]  # mypy does not see what _capture sets
        taken.copy_(images)
        graph.replay()
        return given

    def _capture(self, images: Tensor) -> bool:
        """Capture the kernels of a full batch; False, said once, of a network that waits for the device meanwhile."""
        graph = torch.cuda.CUDAGraph()
        taken = images.clone(memory_format=torch.preserve_format)
        try:
            with torch.cuda.graph(graph, stream=self._computing, capture_error_mode="thread_local"):
                given = self._function(taken)
        except RuntimeError as error:
            self._may_capture = False
            reason = str(error).splitlines()[0]
            note_once(logger, f"no CUDA graph of this network, which runs kernel by kernel: {reason}", logging.INFO)
            return False
        self._graph = graph, taken, given
        return True

    def _stream(self, stream: torch.cuda.Stream | None) -> Any:
        return nullcontext() if stream is None else torch.cuda.stream(stream)

    def _slot(self, n_outputs: int) -> _Slot:
        images, codes = (self._batch_size, *self._shape), (self._batch_size, n_outputs)
        return _Slot(
            torch.empty(images, pin_memory=self._is_cuda),
            torch.empty(images, device=self._device),
            torch.empty(codes, pin_memory=self._is_cuda),
            torch.cuda.Event() if self._is_cuda else None,
        )


@dataclass(eq=False)
class _Slot:
    """Room for a batch on its way there and back; images of one channel lie in memory as channels last do."""

    host_images: Tensor
    images: Tensor
    host_codes: Tensor
    done: torch.cuda.Event | None
    begun: BegunOnDevice | None = None


class BegunOnDevice:
    """A batch that was begun."""

    def __init__(self, batches: DeviceBatches, slot: _Slot, n: int) -> None:
        self._batches, self._slot, self._n = batches, slot, n
        self._codes: Float32Array | None = None

    def result(self) -> Float32Array:
        """Wait for the results, float32 (b, n_outputs)."""
        with self._batches._lock:
            if self._codes is None:
                if self._slot.done is not None:
                    self._slot.done.synchronize()
                self._codes = self._slot.host_codes[: self._n].numpy().copy()
                self._slot.begun = None
            return self._codes


@cache
def _streams() -> tuple[torch.cuda.Stream, torch.cuda.Stream]:
    """The streams of all batches of this process: one for copies, one for kernels."""
    return torch.cuda.Stream(), torch.cuda.Stream()


def films_at_once(function: Callable[[Tensor], Tensor], shape: tuple[int, int, int], precision: str) -> int:
    """Images of a batch on the CUDA device: a power of two, at most 256, by a trial of what an image takes of memory.

    Parameters
    ----------
    function
        From images on the device to results.
    shape, precision
        Of one image, (channels, s, s); "float32" or "bfloat16".

    Returns
    -------
    int
        At least 8. The same for the same free memory: nothing is timed. The device's count of peak memory is reset.
    """
    peaks = []
    with torch.inference_mode(), arithmetic(torch.device("cuda"), precision):
        for n in (LEAST_AT_ONCE, 2 * LEAST_AT_ONCE):
            before = torch.cuda.memory_allocated()
            torch.cuda.reset_peak_memory_stats()
            function(torch.zeros((n, *shape), device="cuda"))
            peaks.append(torch.cuda.max_memory_allocated() - before)
    return largest_batch(torch.cuda.mem_get_info()[0], *peaks)


def largest_batch(free: int, peak: int, peak_of_twice: int) -> int:
    """Images whose batch fits in a share of free bytes, by the peaks of 8 and of 16; a power of two.

    Examples
    --------
    >>> largest_batch(80 * 10**9, 1 * 10**9, 2 * 10**9), largest_batch(10**9, 10**9, 2 * 10**9)
    (256, 8)
    >>> largest_batch(10 * 10**9, 10**9, 18 * 10**8)
    32
    """
    each = max((peak_of_twice - peak) / LEAST_AT_ONCE, 1.0)
    n = LEAST_AT_ONCE
    while n < MOST_AT_ONCE and peak + (2 * n - LEAST_AT_ONCE) * each <= MEMORY_SHARE * free:
        n *= 2
    return n
