"""Nearest films of many queries by a device of torch: products and what may be among the best there, scores here."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from graphret._checks import check_codes, check_integer
from graphret._errors import DeviceError, UnknownNameError
from graphret._threads import borrow_threads, is_forked
from graphret.neighbors._kernels import _cosines, _rank_candidates
from graphret.neighbors.backends import full_float32, import_library
from graphret.neighbors.device_codes import CHUNK_VALUES, SCAN_VALUES, float32_margin, hopeful_columns, upload
from graphret.neighbors.device_table import device_memory
from graphret.neighbors.exact_search import ExactSearch, allowed_mask, ragged_lists, row_lengths
from graphret.neighbors.graph_search import GraphSearch
from graphret.neighbors.neighbor_table import NeighborTable, SearchCounts
from graphret.neighbors.sharded_search import ShardedSearch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from graphret._types import BoolArray, Codes, Float32Array, Float64Array, Int32Array
    from graphret.neighbors.exact_search import Search

__all__ = ["SEARCH_DEVICES", "DeviceSearch", "check_search_device", "search_alike", "search_on"]

Tensor: TypeAlias = Any
"""A tensor of torch, which is imported where it is used."""

SEARCH_DEVICES = ("auto", "cpu", "cuda")
BYTES_OF_PRODUCT = 32
"""A product, whether it is hopeful, its place, and what top-k of them takes; rounded up."""


class DeviceSearch:
    """Exact search of many queries by matrix products of a device.

    Products of unit codes are formed in float32, never in TF32, and are within ``(d + 4) 2^-23`` of their cosines in
    any order of the sum (`float32_margin`). Whatever may be among the k best by that bound is scored by the canonical
    routine of the processor. So the result is that of `ExactSearch` to the bit, whatever the device.

    Parameters
    ----------
    exact
        Search over the same codes by the processor.
    device
        Of torch: "cuda", or "cpu" for the same lines without a GPU.
    memory
        Bytes that codes and products may take on the device; ``None``: four fifths of what is free on a GPU. Unit codes
        stay there where they fit in half of it, until this object goes; otherwise, and on "cpu", blocks of them are
        made anew for every batch of queries.

    Notes
    -----
    Calls from several threads wait for each other. Codes that have checksums are all compared with them before the
    first query.

    Examples
    --------
    >>> search = DeviceSearch(ExactSearch(np.eye(3, dtype=np.float32)), "cpu")
    >>> search.search(np.array([[1, 0.5, 0]], dtype=np.float32), 2).neighbors.tolist()
    [[0, 1]]
    """

    def __init__(self, exact: ExactSearch, device: str, memory: int | None = None) -> None:
        self.exact, self.device = exact, device
        self._memory = memory
        self._unit: Tensor | None = None
        self._lock = threading.Lock()

    @property
    def codes(self) -> Codes:
        """Codes of the films, float32 (n, d), as stored."""
        return self.exact.codes

    @property
    def lengths(self) -> Float64Array:
        """Lengths of the codes, float64 (n,)."""
        return self.exact.lengths

    def read_codes(self, rows: Any = None) -> Codes:
        """Codes of some films, or of all; see `ExactSearch.read_codes`."""
        return self.exact.read_codes(rows)

    def similarities(self, queries: Codes, positions: Int32Array, *, n_threads: int | None = None) -> Float32Array:
        """Score given films for every query, on the processor; see `ExactSearch.similarities`."""
        return self.exact.similarities(queries, positions, n_threads=n_threads)

    def search(
        self,
        queries: Codes,
        k: int,
        *,
        allowed: BoolArray | None = None,
        forbidden: Sequence[Int32Array] | None = None,
        n_threads: int | None = None,
    ) -> NeighborTable:
        """Find the k nearest films of every query; see `ExactSearch.search`, whose table this is.

        Raises
        ------
        CodesError, InvalidParameterError
            As there.
        DeviceError
            The device has not enough memory, or fails.

        Notes
        -----
        O(q n d) time on the device, for all n films whether they are allowed or not.
        """
        n_films, n_dimensions = self.codes.shape
        k = min(check_integer("k", k, 1), n_films)
        queries = check_codes(queries, name="query codes", n_dimensions=n_dimensions)
        mask = None if allowed is None else allowed_mask(allowed, n_films)
        lengths = row_lengths(queries)
        neighbors = np.empty((len(queries), k), np.int32)
        similarities = np.empty((len(queries), k), np.float32)
        with borrow_threads(n_threads), self._lock:
            for rows, candidates in self._candidates(queries, lengths, k, mask, forbidden):
                scored = np.empty(candidates.shape, np.float32)
                _cosines(queries[rows], lengths[rows], self.codes, self.lengths, candidates, scored)
                nobody = np.full(len(candidates), -1, np.int64)
                wanted = np.full(len(candidates), k, np.int64)
                _rank_candidates(candidates, scored, nobody, wanted, neighbors[rows], similarities[rows])
        n_allowed = n_films if mask is None else int(np.count_nonzero(mask))
        return NeighborTable(neighbors, similarities, counts=SearchCounts.scanned(len(queries), n_allowed))

    def _candidates(
        self,
        queries: Codes,
        lengths: Float64Array,
        k: int,
        mask: BoolArray | None,
        forbidden: Sequence[Int32Array] | None,
    ) -> Iterator[tuple[slice, Int32Array]]:
        """Yield rows of queries with all films that may be among their k best, int32 (b, w), -1 pads."""
        import torch

        n_films, n_dimensions = self.codes.shape
        try:
            batch = self._prepare()
            out = None if mask is None else torch.from_numpy(~mask).to(self.device)
            for first in range(0, len(queries), batch):
                rows = slice(first, min(first + batch, len(queries)))
                unit = (queries[rows] / lengths[rows, None]).astype(np.float32)
                lists = [()] * len(unit) if forbidden is None else forbidden[rows]
                with full_float32(), torch.inference_mode():
                    products = self._products(torch.from_numpy(unit).to(self.device))
                    if out is not None:
                        products.masked_fill_(out, float("-inf"))
                    starts, films = ragged_lists(lists)
                    known = (films >= 0) & (films < n_films)
                    places = np.stack([np.repeat(np.arange(len(unit)), np.diff(starts)), films])[:, known]
                    products[tuple(torch.from_numpy(places).to(self.device))] = float("-inf")
                    columns, there = hopeful_columns(products, k, float32_margin(n_dimensions))
                    candidates = columns.masked_fill_(~there, -1).int().cpu().numpy()
                yield rows, candidates
        except RuntimeError as error:  # torch reports a full or a broken device so
            reason = " ".join(str(error).split())[:300]
            raise DeviceError(
                f"device={self.device!r} cannot search {n_films:,} codes of {n_dimensions} values: {reason} "
                "(leave the device out: the processor finds the same films)"
            ) from error

    def _prepare(self) -> int:
        """Put unit codes on the device where they fit; the number of queries of a batch."""
        n_films, n_dimensions = self.codes.shape
        if self._memory is None:
            self._memory = device_memory([self.device]) if self.device != "cpu" else 0
        if self._unit is None:
            self.read_codes()  # all are compared with their checksums
            if 4 * n_films * n_dimensions <= self._memory // 2:
                self._unit = self._upload(range(n_films))
        left = self._memory - (0 if self._unit is None else 4 * n_films * n_dimensions)
        at_once = SCAN_VALUES if self._unit is not None else max(SCAN_VALUES, left // BYTES_OF_PRODUCT)
        return max(1, int(at_once // n_films))

    def _products(self, unit: Tensor) -> Tensor:
        """Products of unit queries with all unit codes, float32 (b, n)."""
        import torch

        if self._unit is not None:
            return unit @ self._unit.T
        n_films, n_dimensions = self.codes.shape
        size = max(1, CHUNK_VALUES // n_dimensions)
        products = torch.empty((len(unit), n_films), device=self.device)
        for first in range(0, n_films, size):
            part = range(first, min(first + size, n_films))
            products[:, part.start : part.stop] = unit @ self._upload(part).T
        return products

    def _upload(self, rows: range) -> Tensor:
        """Unit codes of some rows on the device, divided in float64 and rounded once."""
        import torch

        n_dimensions = self.codes.shape[1]
        codes = upload(self.codes[rows.start : rows.stop], self.device)
        lengths = torch.from_numpy(np.array(self.lengths[rows.start : rows.stop])).to(self.device)
        size = max(1, CHUNK_VALUES // n_dimensions)
        for first in range(0, len(rows), size):
            here = slice(first, first + size)
            codes[here] = (codes[here].double() / lengths[here, None]).float()
        return codes


def check_search_device(device: str | None) -> str | None:
    """Check the device that queries are to be compared on, and say which it is: "cpu", "cuda", or ``None``.

    Parameters
    ----------
    device
        One of `SEARCH_DEVICES`, or ``None`` for the processor without torch. "auto" is "cuda" where there is one.

    Raises
    ------
    UnknownNameError
        None of these.
    DeviceError, MissingDependencyError
        It is not there, or this process was forked and cannot use its parent's GPU.

    Examples
    --------
    >>> check_search_device("cpu"), check_search_device(None)
    ('cpu', None)
    """
    if device is None:
        return None
    if device not in SEARCH_DEVICES:
        raise UnknownNameError("device", device, SEARCH_DEVICES, "CUDA_VISIBLE_DEVICES chooses among several")
    import_library("torch", f"device={device!r}")
    import torch

    forked = is_forked()
    if device == "cpu" or (torch.cuda.is_available() and not forked):
        return "cpu" if device == "cpu" else "cuda"
    if device == "auto":
        return None
    why = "a process that was forked cannot use a GPU: start it by 'spawn'" if forked else "torch finds no CUDA device"
    raise DeviceError(f"device='cuda': {why} (leave the device out, or give 'auto' or 'cpu': the hits are the same)")


def search_on(search: Search, device: str | None) -> Search:
    """Return exact search over the same films by a device; by the processor where ``device`` is None.

    Parameters
    ----------
    search
        Any search of graphret: what follows links gives way to one that compares with every code.
    device
        As `check_search_device` says.

    Examples
    --------
    >>> search = search_on(ExactSearch(np.eye(2, dtype=np.float32)), "cpu")
    >>> type(search).__name__, type(search_on(search, None)).__name__
    ('DeviceSearch', 'ExactSearch')
    """
    if isinstance(search, ShardedSearch):
        return ShardedSearch([search_on(shard, device) for shard in search.shards])
    exact = search.exact if isinstance(search, GraphSearch | DeviceSearch) else search
    if device is None or not isinstance(exact, ExactSearch):
        return exact
    return DeviceSearch(exact, device)


def search_alike(search: Search, codes: Codes) -> Search:
    """Return exact search over other codes, on the device that ``search`` works on; few queries are screened."""
    exact = ExactSearch(codes, screened=True)
    return DeviceSearch(exact, search.device) if isinstance(search, DeviceSearch) else exact
