"""Codes on a CUDA device: rounded unit rows for the join, canonical scores, and the scan of rows that are not sure.

Everything here also works on torch tensors of the processor, where Triton's interpreter runs the kernels.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from graphret._checks import check_codes
from graphret._threads import available_threads
from graphret.neighbors._kernels import _cosines
from graphret.neighbors.exact_search import ROUNDING, TILE, row_lengths

if TYPE_CHECKING:
    from graphret._types import Codes, Float32Array, Float64Array, Int64Array

__all__ = [
    "CHUNK_VALUES",
    "DEPTH",
    "FUSED",
    "SCALE",
    "SCAN_VALUES",
    "TILE_ROWS",
    "DeviceCodes",
    "float32_margin",
    "hopeful_columns",
    "padded_shape",
    "unit_halves",
    "upload",
]

Tensor: TypeAlias = Any
"""A tensor of torch, which is imported where it is used."""

TILE_ROWS = 128
"""Rows of a tile of the join."""
DEPTH = 64
"""Values of a row that a tile reads at a time; rows are padded to whole steps."""
SCALE = 128.0
"""Unit rows are multiplied by it before they become float16, whose smallest normal number is 2^-14."""
CHUNK_VALUES = 2**24
"""Values that are converted at a time."""
SCAN_VALUES = 2**25
"""Products of a batch of rows that are scanned."""
FUSED = {"enable_fp_fusion": True}
"""Of kernels: products may be added without being rounded, which the bounds allow for."""
PAIR_BLOCK, PAIR_DEPTH = 16, 64
"""Pairs of a program of `_pair_products`, and values that it reads at a time."""
BORDER_ULPS = 4.0
"""Times d 2^-53: how far two float64 sums of d products, over two lengths, may lie apart."""
NOBODY = 2**63 - 1


def padded_shape(n_rows: int, n_dimensions: int) -> tuple[int, int]:
    """Rows and values of a row once padded to whole tiles and whole steps."""
    return -(-n_rows // TILE_ROWS) * TILE_ROWS, -(-n_dimensions // DEPTH) * DEPTH


def upload(codes: Codes, device: str) -> Tensor:
    """Copy codes to a device, in chunks, so that memory-mapped ones are never whole in the memory of the host."""
    import torch

    out = torch.empty(codes.shape, dtype=torch.float32, device=device)
    rows = max(1, CHUNK_VALUES // codes.shape[1])
    pinned = out.is_cuda
    stages = [torch.empty((min(rows, len(codes)), codes.shape[1]), pin_memory=pinned) for _ in range(1 + pinned)]
    copied: list[Any] = [None] * len(stages)
    for number, first in enumerate(range(0, len(codes), rows)):
        place = number % len(stages)
        if copied[place] is not None:
            copied[place].synchronize()
        part = codes[first : first + rows]
        np.copyto(stages[place].numpy()[: len(part)], part)
        out[first : first + len(part)].copy_(stages[place][: len(part)], non_blocking=pinned)
        if pinned:
            copied[place] = torch.cuda.Event()
            copied[place].record()
    if pinned:
        torch.cuda.current_stream(out.device).synchronize()
    return out


def unit_halves(codes: Tensor) -> tuple[Tensor, Tensor]:
    """Lengths, float64 (n,), and unit rows times ``SCALE`` rounded to float16, padded with zeros to whole tiles.

    Lengths that are zero or not finite are left as they are, for the caller to look at.
    """
    import torch

    n_rows, n_dimensions = codes.shape
    lengths = torch.empty(n_rows, dtype=torch.float64, device=codes.device)
    halves = torch.zeros(padded_shape(n_rows, n_dimensions), dtype=torch.float16, device=codes.device)
    rows = max(1, CHUNK_VALUES // n_dimensions)
    for first in range(0, n_rows, rows):
        part = codes[first : first + rows].double()
        of_part = (part * part).sum(dim=1).sqrt()
        lengths[first : first + rows] = of_part
        halves[first : first + len(part), :n_dimensions] = part.mul_((SCALE / of_part)[:, None]).half()
    return lengths, halves


def float32_margin(n_dimensions: int) -> float:
    """How far below the k-th largest float32 product of unit rows one of the k most similar rows may lie.

    An entry of a unit row is rounded by 2^-24, a sum of d terms by ``d 2^-24`` in any order. So a product is within
    ``(d + 4) 2^-23`` of its cosine, which is twice what is needed, and two of them may be wrong. The rounding of
    similarities to 1e-6 comes on top.

    Examples
    --------
    >>> float32_margin(1024) < 3e-4
    True
    """
    return 2.0 * (n_dimensions + 4) * 2.0**-23 + 3.0 * ROUNDING


def hopeful_columns(products: Tensor, k: int, margin: float) -> tuple[Tensor, Tensor]:
    """Columns of every row that lie below its k-th product by ``margin`` at most; -inf is none.

    Parameters
    ----------
    products
        float32 (r, n), -inf where a column may not come.
    k, margin
        1 to n; at least 0.

    Returns
    -------
    tuple
        int64 (r, w), ascending, w of the longest row; and bool (r, w): which of them count.
    """
    import torch

    hopeful = (products >= products.topk(k, dim=1).values[:, -1:] - margin) & (products > float("-inf"))
    counts = hopeful.sum(dim=1)
    places = torch.nonzero(hopeful)
    begins = counts.cumsum(0) - counts
    column = torch.arange(len(places), device=products.device) - begins[places[:, 0]]
    columns = torch.zeros((len(products), int(counts.max())), dtype=torch.int64, device=products.device)
    columns[places[:, 0], column] = places[:, 1]
    there = torch.arange(columns.shape[1], device=products.device)[None, :] < counts[:, None]
    return columns, there


class DeviceCodes:
    """All codes on one device, as given and as rounded unit rows.

    Parameters
    ----------
    codes
        float32 (n, d), C-contiguous; may be memory-mapped.
    device
        Of torch: "cuda:0", ...; "cpu" where Triton's interpreter runs the kernels.

    Raises
    ------
    CodesError
        Values that are not finite, or rows of zeros, as `check_codes` says.
    """

    def __init__(self, codes: Codes, device: str) -> None:
        self.host = codes
        self.device = device
        self.codes = upload(codes, device)
        self.lengths, self.halves = unit_halves(self.codes)
        if not (self.lengths.min() > 0 and self.lengths.max() < float("inf")):  # false for NaN as well
            check_codes(codes)
        self._host_lengths: dict[int, Float64Array] = {}

    def scores(self, left: Tensor, right: Tensor) -> Tensor:
        """Canonical similarities of pairs of rows in millionths, int64 (pairs,): those of the processor, to the bit.

        The canonical cosine is a sum in float64 over two lengths, rounded to 1e-6. A float64 sum of d exact products
        in any order is within ``d 2^-53 |x| |y|`` of the truth, a length within ``(d / 2 + 1) 2^-53`` of its own, and
        so device and processor differ by at most ``(4 d + 16) 2^-53``. Where a number lies nearer than that to the
        border of two millionths, the processor scores the pair; that is about one pair of a million.
        """
        import torch

        from graphret.neighbors._device_kernels import _pair_products

        products = torch.empty(len(left), dtype=torch.float64, device=self.codes.device)
        if len(left) == 0:
            return products.long()
        width = self.codes.shape[1]
        grid = (-(-len(left) // PAIR_BLOCK),)
        _pair_products[grid](
            *(self.codes, left, right, products, len(left), width),
            block=PAIR_BLOCK,
            depth=PAIR_DEPTH,
            **FUSED,
        )
        cosines = products.div_(self.lengths[left] * self.lengths[right]).clamp_(-1.0, 1.0)
        scaled = cosines.mul_(1e6).add_(0.5)
        below = scaled.floor()
        border = 1e6 * BORDER_ULPS * (width + 4) * 2.0**-53 + 1e-9
        rest = scaled - below
        doubtful = torch.nonzero((rest < border) | (rest > 1.0 - border))[:, 0]
        below = below.long()
        if len(doubtful):
            pairs = [side[doubtful].cpu().numpy().astype(np.int64) for side in (left, right)]
            below[doubtful] = torch.from_numpy(self._scores_of_processor(*pairs)).to(below.device)
        return below

    def _scores_of_processor(self, left: Int64Array, right: Int64Array) -> Int64Array:
        """Score pairs by the canonical routine itself."""
        rows, places = np.unique(np.concatenate([left, right]), return_inverse=True)
        codes, lengths = np.ascontiguousarray(self.host[rows]), self._lengths_of_processor(rows)
        mine, theirs = places[: left.size], places[left.size :].astype(np.int32)
        out = np.empty((left.size, 1), np.float32)
        _cosines(codes[mine], lengths[mine], codes, lengths, theirs[:, None], out)
        millionths: Int64Array = np.rint(out[:, 0].astype(np.float64) * 1e6).astype(np.int64)
        return millionths

    def _lengths_of_processor(self, rows: Int64Array) -> Float64Array:
        """Lengths with the bits of `row_lengths`, which works in blocks: only the blocks of these rows are summed."""
        blocks = [int(block) for block in np.unique(rows // TILE) if int(block) not in self._host_lengths]
        with ThreadPoolExecutor(max(1, min(len(blocks), available_threads()))) as pool:
            parts = [self.host[block * TILE : (block + 1) * TILE] for block in blocks]
            self._host_lengths.update(zip(blocks, pool.map(row_lengths, parts), strict=True))
        return np.array([self._host_lengths[int(row) // TILE][int(row) % TILE] for row in rows])

    def rank(self, rows: Tensor, candidates: Tensor, there: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Score candidates and take the k best of every row, ties by smaller id.

        Parameters
        ----------
        rows
            int64 (r,), rows of the codes.
        candidates, there
            Integers (r, w), ids without the row itself, and bool (r, w): which of them count.
        k
            At least 1.

        Returns
        -------
        tuple
            int32 (r, k) and float32 (r, k); -1 and 0 where a row has fewer.
        """
        import torch

        places = torch.nonzero(there)
        others = candidates[places[:, 0], places[:, 1]].long()
        keys = torch.full((len(rows), max(k, candidates.shape[1])), NOBODY, device=self.codes.device)
        scores = self.scores(rows[places[:, 0]], others)
        keys[places[:, 0], places[:, 1]] = ((1_000_000 - scores) << 32) | others  # best first is smallest first
        best = keys.topk(k, dim=1, largest=False, sorted=True).values
        nobody = best == NOBODY
        neighbors = (best & 0xFFFFFFFF).masked_fill(nobody, -1).int()
        similarities = (1_000_000 - (best >> 32)).double().div(1e6).float()
        return neighbors, similarities.masked_fill(nobody, 0.0)

    def scan(self, rows: Int64Array, k: int) -> tuple[np.ndarray, Float32Array]:
        """Find the k nearest of some rows among all codes, proven, whatever the number of ties.

        Products are formed in float32. What lies below the k-th product by less than `float32_margin` is scored.

        Parameters
        ----------
        rows
            int64 (r,).
        k
            1 to n - 1.

        Returns
        -------
        tuple
            int32 (r, k) and float32 (r, k) in the memory of the host; O(r n d).
        """
        import torch

        n_rows, n_dimensions = self.codes.shape
        margin = float32_margin(n_dimensions)
        batch, chunk = max(1, SCAN_VALUES // n_rows), max(1, CHUNK_VALUES // n_dimensions)
        out = np.empty((rows.size, k), np.int32), np.empty((rows.size, k), np.float32)
        for start in range(0, rows.size, batch):
            mine = torch.from_numpy(rows[start : start + batch]).to(self.codes.device)
            unit = (self.codes[mine].double() / self.lengths[mine, None]).float()
            products = torch.empty((len(mine), n_rows), device=self.codes.device)
            for first in range(0, n_rows, chunk):
                part = self.codes[first : first + chunk].double() / self.lengths[first : first + chunk, None]
                products[:, first : first + len(part)] = unit @ part.float().T
            products[torch.arange(len(mine), device=mine.device), mine] = float("-inf")
            candidates, there = hopeful_columns(products, k, margin)
            found = self.rank(mine, candidates, there, k)
            for array, tensor in zip(out, found, strict=True):
                array[start : start + batch] = tensor.cpu().numpy()
        return out
