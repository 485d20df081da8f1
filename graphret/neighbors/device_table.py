"""The kNN table by CUDA devices: ranges of rows are shared among them, what is not proven is scanned there.

Where codes, rounded unit rows and lists fit on a device, everything is done there: codes go up once, and ids and
similarities come back. Larger codes pass the device in blocks; the processor then scores the candidates.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._errors import DeviceError, InvalidParameterError
from graphret.neighbors.device_codes import TILE_ROWS, DeviceCodes, padded_shape, unit_halves, upload
from graphret.neighbors.device_join import MAX_CAPACITY, DeviceJoin, Guess
from graphret.neighbors.neighbor_table import NeighborTable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from graphret._types import BoolArray, Codes, Float32Array, Int32Array, Int64Array, Progress
    from graphret.neighbors.filling_table import FillingTable

__all__ = ["DeviceTable", "device_memory", "fits_device_lists"]

MEMORY_SHARE = 0.8
"""Of the memory that is free on a device, what may be used."""
SCRATCH = 2**32
"""Bytes for products of a guess, of scans, and for scores."""
RANK_VALUES = 2**24
"""Places of lists that are scored at a time."""
CHECKED_ROWS = 64
"""Proven rows that are scanned all the same."""
RECALL_SAMPLE = 256
"""Rows that the recall of the approximate method is measured on."""


def fits_device_lists(n_rows: int, k: int) -> bool:
    """Whether k neighbours of each of so many rows are few enough for the lists of `DeviceJoin`."""
    return Guess.of(n_rows, k).capacity <= MAX_CAPACITY


def device_memory(devices: Sequence[str]) -> int:
    """Bytes that may be used on each of some CUDA devices: a share of what is free on the fullest."""
    import torch

    return int(MEMORY_SHARE * min(torch.cuda.mem_get_info(device)[0] for device in devices))


@dataclass(frozen=True)
class _Plan:
    """Rows of a range, rows of a block of columns (0: all codes stay on the device)."""

    range_rows: int
    block_rows: int

    @classmethod
    def of(cls, n_rows: int, n_dimensions: int, capacity: int, n_devices: int, memory: int) -> _Plan:
        """Divide the rows so that nothing needs more than ``memory`` bytes on a device."""
        of_half = 2 * padded_shape(1, n_dimensions)[1]
        of_code, of_list = 4 * n_dimensions + 8, 8 * capacity + 16
        share = _tiles(-(-n_rows // n_devices))
        left = memory - min(SCRATCH, memory // 4)
        for_lists = left - n_rows * (of_half + of_code)
        if for_lists >= TILE_ROWS * of_list and for_lists >= left // 4:
            return cls(min(share, _tiles(for_lists // of_list, down=True)), 0)
        rows = _tiles(left // 2 // (of_half + of_list + of_code), down=True)
        block = _tiles(left // 2 // (of_half + of_code), down=True)
        if min(rows, block) < TILE_ROWS:
            least = 4 * TILE_ROWS * (of_half + of_list + of_code)
            raise InvalidParameterError(
                "max_memory", memory, f"at least {least} bytes on a device", "None sets no limit"
            )
        return cls(min(rows, share), block)


def _tiles(rows: int, *, down: bool = False) -> int:
    return (rows if down else rows + TILE_ROWS - 1) // TILE_ROWS * TILE_ROWS


class DeviceTable:
    """Fills a table on devices.

    Parameters
    ----------
    codes
        float32 (n, d), C-contiguous; values are checked on the device.
    k
        1 to n - 1, such that `fits_device_lists`.
    devices
        Of torch, each of which takes ranges of rows in a thread of its own: ``["cuda:0", "cuda:1"]``; ``["cpu"]`` where
        Triton's interpreter runs the kernels.
    memory
        Bytes that may be used on each.
    progress
        Called as ``progress("neighbors", rows done, n)``.
    """

    def __init__(
        self, codes: Codes, k: int, devices: Sequence[str], memory: int, progress: Progress | None = None
    ) -> None:
        self.codes, self.k, self.devices, self.progress = codes, k, devices, progress
        n_rows, n_dimensions = codes.shape
        self.guess = Guess.of(n_rows, k)
        self.plan = _Plan.of(n_rows, n_dimensions, self.guess.capacity, len(devices), memory)
        self.neighbors = np.empty((n_rows, k), np.int32)
        self.similarities = np.empty((n_rows, k), np.float32)
        self.unsure = np.ones(n_rows, np.bool_)
        self._done = 0.0
        self._on_device: dict[str, DeviceCodes] = {}
        self._lock = threading.Lock()

    @property
    def stays(self) -> bool:
        """Whether all codes stay on each device."""
        return self.plan.block_rows == 0

    def exact(self, generator: np.random.Generator) -> NeighborTable:
        """Find the k nearest of every row, proven; the sample that thresholds are guessed on does not change them.

        The proof rests on what drivers and compilers promise. So a few proven rows are scanned as well.

        Raises
        ------
        DeviceError
            A proven row differs from its scan.
        """
        n_scanned = self._run(generator, exact=True)
        n_rows = len(self.codes)
        checked = np.sort(generator.choice(n_rows, size=min(n_rows, CHECKED_ROWS), replace=False))
        with _on(self.devices[0]):
            neighbors, similarities = self._resident(self.devices[0]).scan(checked, self.k)
        wrong = (self.neighbors[checked] != neighbors) | (self.similarities[checked] != similarities)
        if wrong.any():
            raise DeviceError(
                f"the CUDA device found other neighbours than a scan does for {wrong.any(axis=1).sum()} of "
                f"{checked.size} rows (a fault of a driver or compiler): use backend='faiss'"
            )
        return NeighborTable(self.neighbors, self.similarities, "exact", 1.0, n_rows - n_scanned, n_scanned)

    def approximate(self, recall: float, generator: np.random.Generator) -> NeighborTable:
        """Take the k largest products of every row, measure the recall on some rows, and prove all if it is short."""
        n_scanned = self._run(generator, exact=False)
        n_rows = len(self.codes)
        checked = np.sort(generator.choice(n_rows, size=min(n_rows, RECALL_SAMPLE), replace=False))
        with _on(self.devices[0]):
            truth, _ = self._resident(self.devices[0]).scan(checked, self.k)
        shared = sum(np.intersect1d(a, b).size for a, b in zip(self.neighbors[checked], truth, strict=True))
        measured = shared / truth.size
        if measured < recall:
            return self.exact(generator)
        return NeighborTable(self.neighbors, self.similarities, "approximate", measured, 0, n_scanned)

    def stream(self, table: FillingTable, generator: np.random.Generator) -> NeighborTable:
        """Find candidates of codes that pass the device in blocks; the processor scores them, and scans some rows."""
        self._each_range(lambda device, rows, sample: self._stream_range(device, rows, sample, table), generator)
        return table.finish()

    def _run(self, generator: np.random.Generator, *, exact: bool) -> int:
        """Fill the table; rows that were scanned."""
        self.unsure[:] = True
        self._done = 0.0
        self._each_range(lambda device, rows, sample: self._range(device, rows, sample, exact=exact), generator)
        unsure = np.flatnonzero(self.unsure)
        self._each(np.array_split(unsure, len(self.devices)), self._scan)
        if self.progress is not None:
            self.progress("neighbors", len(self.codes), len(self.codes))
        return unsure.size

    def _each_range(self, work: Callable[[str, range, Int64Array], None], generator: np.random.Generator) -> None:
        n_rows, size = len(self.codes), self.plan.range_rows
        sample = np.sort(generator.choice(n_rows, size=self.guess.n_sampled, replace=False))
        ranges = [range(first, min(first + size, n_rows)) for first in range(0, n_rows, size)]
        self._each(ranges, lambda device, rows: work(device, rows, sample))

    def _each(self, parts: Sequence[Any], work: Callable[[str, Any], None]) -> None:
        """Hand out parts to the devices, one thread each; the first error ends all."""
        queue: SimpleQueue[Any] = SimpleQueue()
        for part in parts:
            queue.put(part)
        failed = threading.Event()

        def serve(device: str) -> None:
            with _on(device):
                while not failed.is_set():
                    try:
                        part = queue.get_nowait()
                    except Empty:
                        return
                    try:
                        work(device, part)
                    except BaseException:
                        failed.set()
                        raise

        if len(self.devices) == 1:
            serve(self.devices[0])
            return
        with ThreadPoolExecutor(len(self.devices)) as pool:
            for done in [pool.submit(serve, device) for device in self.devices]:
                done.result()

    def _resident(self, device: str) -> DeviceCodes:
        if device not in self._on_device:  # each device has one thread
            self._on_device[device] = DeviceCodes(self.codes, device)
        return self._on_device[device]

    def _range(self, device: str, rows: range, sample: Int64Array, *, exact: bool) -> None:
        """Join the rows of a range with all, score what was kept, and write what is sure."""
        import torch

        mine = self._resident(device)
        n_rows, n_dimensions = self.codes.shape
        halves = mine.halves[rows.start : rows.start + _tiles(len(rows))]
        join = DeviceJoin(halves, rows, self.k, n_dimensions, self.guess, exact=exact)
        join.start(mine.halves[torch.from_numpy(sample).to(mine.halves.device)])
        others = [part for part in (range(rows.start), range(rows.stop, n_rows)) if len(part)]
        share = len(rows) / (len(rows) + sum(map(len, others)))
        join.join_itself(lambda n: self._progress(share * n))
        for part in others:
            join.join_others(mine.halves[part.start : part.start + _tiles(len(part))], part)
            self._progress(len(part) / n_rows * len(rows))
        enough = join.proven if exact else (join.counts >= self.k) & ~join.overflowed
        batch = max(1, RANK_VALUES // self.guess.capacity)
        for first in range(0, len(rows), batch):
            stop = min(first + batch, len(rows))
            counts = join.counts[first:stop]
            width = max(1, int(counts.max()))
            there = torch.arange(width, device=counts.device)[None, :] < counts[:, None]
            there &= enough[first:stop, None]
            numbers = torch.arange(rows.start + first, rows.start + stop, device=counts.device)
            found = mine.rank(numbers, join.ids[first:stop, :width], there, self.k)
            here = slice(rows.start + first, rows.start + stop)
            self.neighbors[here], self.similarities[here] = (tensor.cpu().numpy() for tensor in found)
        self.unsure[rows.start : rows.stop] = (~enough).cpu().numpy()

    def _scan(self, device: str, rows: Int64Array) -> None:
        if rows.size:
            self.neighbors[rows], self.similarities[rows] = self._resident(device).scan(rows, self.k)

    def _stream_range(self, device: str, rows: range, sample: Int64Array, table: FillingTable) -> None:
        """Join the rows of a range with all, blocks of which go up one after the other."""

        def halves_of(codes: Codes) -> Any:
            return unit_halves(upload(codes, device))[1]

        n_rows, n_dimensions = self.codes.shape
        join = DeviceJoin(halves_of(self.codes[rows.start : rows.stop]), rows, self.k, n_dimensions, self.guess)
        if sample.size:
            join.start(halves_of(self.codes[sample])[: sample.size])
        join.join_itself(lambda n: self._progress(n * len(rows) / n_rows))
        for others in (range(rows.start), range(rows.stop, n_rows)):
            for first in range(others.start, others.stop, self.plan.block_rows):
                part = range(first, min(first + self.plan.block_rows, others.stop))
                join.join_others(halves_of(self.codes[part.start : part.stop]), part)
                self._progress(len(part) / n_rows * len(rows))
        self._settle(join, table)

    def _settle(self, join: DeviceJoin, table: FillingTable) -> None:
        """Let the processor score the candidates; nothing else comes near a row's threshold."""
        batch = max(1, RANK_VALUES // self.guess.capacity)
        for first in range(0, len(join.rows), batch):
            here = slice(first, first + batch)
            counts: Int32Array = join.counts[here].cpu().numpy()
            width = max(self.k, int(counts.max()))
            ids: Int32Array = join.ids[here, :width].cpu().numpy()
            there: BoolArray = np.arange(width)[None, :] < counts[:, None]
            bounds: Float32Array = (join.thresholds[here] + join.error).cpu().numpy()
            bounds[~join.proven[here].cpu().numpy()] = np.inf
            numbers = np.arange(join.rows.start + first, join.rows.start + first + counts.size)
            with self._lock:
                table.settle(numbers, np.where(there, ids, -1).astype(np.int32), bounds)

    def _progress(self, rows: float) -> None:
        """Say how far all devices are, in rows that are done; the last one is for the end."""
        if self.progress is None:
            return
        with self._lock:
            self._done += rows
            self.progress("neighbors", min(round(self._done), len(self.codes) - 1), len(self.codes))


def _on(device: str) -> Any:
    """Make a device the one that torch and Triton launch kernels on."""
    import torch

    return torch.cuda.device(device) if device.startswith("cuda") else nullcontext()
