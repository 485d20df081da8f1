"""Kernels of the kNN table on a CUDA device, in Triton: products of tiles that keep what passes, thresholds, scores.

They are also run by Triton's interpreter (``TRITON_INTERPRET=1``), on tensors of the processor. Import this file where
Triton is there only.
"""

from __future__ import annotations

import triton
import triton.language as tl

__all__ = ["_join_pairs", "_pair_products", "_tighten"]


@triton.jit
def _append(total, hits, of, others, counts, ids, values, capacity, axis: tl.constexpr):
    """Append the pairs that passed to the lists of rows ``of``, one step of a counter a row and tile.

    ``others`` lie along ``axis`` of the tile, ``of`` along the other one. What no longer fits is counted and not kept.
    """
    number = hits.to(tl.int32)
    n_new = tl.sum(number, axis)
    if tl.max(n_new, 0) > 0:
        before = tl.atomic_add(counts + of, n_new, mask=n_new > 0, sem="relaxed")
        slots = tl.expand_dims(before, axis) + tl.cumsum(number, axis) - 1
        places = tl.expand_dims(of, axis).to(tl.int64) * capacity + slots
        fits = hits & (slots < capacity)
        tl.store(ids + places, tl.expand_dims(others, 1 - axis) + tl.zeros_like(number), mask=fits)
        tl.store(values + places, total, mask=fits)


@triton.jit
def _join_pairs(
    left,
    right,
    thresholds,
    counts,
    ids,
    values,
    left_first,
    left_stop,
    left_start,
    right_first,
    right_stop,
    right_start,
    width,
    scale,
    capacity,
    symmetric: tl.constexpr,
    tile: tl.constexpr,
    depth: tl.constexpr,
    group: tl.constexpr,
):
    """Multiply a tile of rows of ``left`` with one of ``right`` and append pairs that reach the threshold of a row.

    ``left`` and ``right`` are float16 (n, width), rows padded to whole tiles with zeros; rows from ``first`` to before
    ``stop`` are joined, and row 0 is row ``start`` of all codes. ``thresholds``, ``counts``, ``ids`` and ``values``
    belong to the rows of ``left``. ``symmetric``: both are the same, a pair of tiles is formed once, for both rows.
    """
    n_left = tl.cdiv(left_stop - left_first, tile)
    n_right = tl.cdiv(right_stop - right_first, tile)
    program = tl.program_id(0)
    of_group = group * n_right
    first = program // of_group * group  # programs that run side by side share tiles, which then stay in the cache
    size = tl.minimum(n_left - first, group)
    left_tile = first + (program % of_group) % size
    right_tile = (program % of_group) // size
    if symmetric:  # noqa: SIM102 - Triton decides this when it compiles
        if right_tile < left_tile:
            return
    rows = left_first + left_tile * tile + tl.arange(0, tile)
    columns = right_first + right_tile * tile + tl.arange(0, tile)
    deep = tl.arange(0, depth)
    left_at = left + (left_first + left_tile * tile).to(tl.int64) * width
    right_at = right + (right_first + right_tile * tile).to(tl.int64) * width
    of_rows = tl.arange(0, tile)[:, None] * width + deep[None, :]
    of_columns = tl.arange(0, tile)[None, :] * width + deep[:, None]
    total = tl.zeros((tile, tile), tl.float32)
    for start in range(0, width, depth):
        total = tl.dot(tl.load(left_at + start + of_rows), tl.load(right_at + start + of_columns), total)
    total *= scale
    real = (rows < left_stop)[:, None] & (columns < right_stop)[None, :]
    real &= (rows + left_start)[:, None] != (columns + right_start)[None, :]
    least = tl.load(thresholds + rows, mask=rows < left_stop, other=float("inf"))
    hits = real & (total >= least[:, None])
    _append(total, hits, rows, columns + right_start, counts, ids, values, capacity, 1)
    if symmetric:  # noqa: SIM102 - as above
        if right_tile > left_tile:
            least = tl.load(thresholds + columns, mask=columns < right_stop, other=float("inf"))
            hits = real & (total >= least[None, :])
            _append(total, hits, columns, rows + left_start, counts, ids, values, capacity, 0)


@triton.jit
def _tighten(
    thresholds,
    counts,
    ids,
    values,
    proven,
    first,
    stop,
    k,
    margin,
    capacity: tl.constexpr,
    block: tl.constexpr,
):
    """Raise the threshold of rows to their k-th value so far, less ``margin``, and drop what is below.

    ``proven``: the threshold that follows from the k-th value is no lower than what pairs were kept by. A list that ran
    over is emptied for good: its threshold becomes infinite, its ``proven`` 2.
    """
    rows = first + tl.program_id(0) * block + tl.arange(0, block)
    real = rows < stop
    found = tl.load(counts + rows, mask=real, other=0)
    threshold = tl.load(thresholds + rows, mask=real, other=0.0)
    begins = (rows.to(tl.int64) * capacity)[:, None]
    places = tl.arange(0, capacity)[None, :]
    there = places < found[:, None]
    mine = tl.load(values + begins + places, mask=there, other=-float("inf"))
    others = tl.load(ids + begins + places, mask=there, other=-1)
    over = found > capacity
    full = (found >= k) & (found <= capacity)
    # halve the range in which the k-th value lies: at least k are >= low, always
    low = tl.where(full, tl.min(tl.where(there, mine, float("inf")), 1), 0.0)
    high = tl.where(full, tl.max(mine, 1), 0.0)
    for _ in range(24):
        middle = 0.5 * (low + high)
        enough = tl.sum((mine >= middle[:, None]).to(tl.int32), 1) >= k
        low = tl.where(enough, middle, low)
        high = tl.where(enough, high, middle)
    raised = low - margin
    state = tl.where(over, 2, (raised >= threshold).to(tl.int32))
    tl.store(proven + rows, state.to(tl.int8), mask=real & (full | over))
    threshold = tl.where(over, float("inf"), tl.where(full, tl.maximum(threshold, raised), threshold))
    kept = there & (mine >= threshold[:, None]) & full[:, None]
    new = begins + tl.cumsum(kept.to(tl.int32), 1) - 1
    n_kept = tl.sum(kept.to(tl.int32), 1)
    tl.debug_barrier()  # all of a list is read before any of it is written
    tl.store(values + new, mine, mask=kept)
    tl.store(ids + new, others, mask=kept)
    tl.store(counts + rows, tl.where(full, n_kept, tl.where(over, 0, found)), mask=real)
    tl.store(thresholds + rows, threshold, mask=real)


@triton.jit
def _pair_products(codes, left, right, out, n_pairs, width, block: tl.constexpr, depth: tl.constexpr):
    """Inner products of pairs of rows, summed in float64: products of two float32 are exact there."""
    pairs = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)
    there = pairs < n_pairs
    left_at = tl.load(left + pairs, mask=there, other=0).to(tl.int64) * width
    right_at = tl.load(right + pairs, mask=there, other=0).to(tl.int64) * width
    total = tl.zeros((block, depth), tl.float64)
    for start in range(0, width, depth):
        deep = start + tl.arange(0, depth)
        inside = there[:, None] & (deep < width)[None, :]
        x = tl.load(codes + left_at[:, None] + deep[None, :], mask=inside, other=0.0)
        y = tl.load(codes + right_at[:, None] + deep[None, :], mask=inside, other=0.0)
        total += x.to(tl.float64) * y.to(tl.float64)
    tl.store(out + pairs, tl.sum(total, 1), mask=there)
