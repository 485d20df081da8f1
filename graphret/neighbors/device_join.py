"""Candidates of rows on a CUDA device: tiles of float16 products, of which only pairs that may be neighbours are kept.

**The bound.** Let x and y be unit rows, and h(x) the float16 numbers nearest to ``SCALE x``, over ``SCALE``. Then

    <x, y> - s(x, y) = <x - h(x), y> + <h(x), y - h(y)> + (<h(x), h(y)> - s(x, y)),

s being what the device computes. Term by term:

1. float16 has 11 significant bits, as TF32 has (10 are stored), so a value is rounded by at most 2^-11 of itself, and
   by 2^-25 where it is below float16's normal numbers. With |x| = 1 and the scale divided out,
   ``|x - h(x)| <= r = 2^-11 (1 + 2^-12) + sqrt(d) 2^-25 / SCALE``; the 2^-12 is for a first rounding to float32 on the
   way. By Cauchy-Schwarz the first two terms are at most ``r + (1 + r) r``.
2. Products of two float16 are exact in float32. Their sum is formed in float32 by tensor cores, which are not IEEE: the
   addends of a step are aligned to the largest and cut, not rounded, and so is the result (Fasi, Higham, Mikaitis and
   Pranesh 2021). An addition then loses less than 2^-23 of the largest addend or partial sum. By Cauchy-Schwarz none of
   them is above ``|h(x)| |h(y)| <= (1 + r)^2``. A sum of d terms, d additions and at most d further cuts, loses at most
   ``2 d 2^-23 (1 + r)^2``, whatever the order; the doubled number of cuts is the margin for how a step is formed.

So ``|<x, y> - s(x, y)| <= E = r (2 + r) + d 2^-22 (1 + r)^2``: 1.2e-3 for d = 1,024. TF32, which cuts its inputs and
does not round them, would have twice the first part at half the rate.

**What is kept.** If at least k pairs of a row have ``s >= a``, its k-th cosine is at least ``a - E``, so whatever has
``s < a - 2 E`` is not among its k best. ``a - 2 E``, less the rounding of canonical similarities, is the threshold of
the row: pairs below it are dropped in the kernel. It starts from a guess on a sample of the rows (as the join of the
processor does), and rises with what was found. A guess may be too high; whether it was follows from the k-th value in
the end, and such a row is not *proven*. Neither is one whose list ran over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from graphret.neighbors.device_codes import DEPTH, FUSED, SCALE, TILE_ROWS
from graphret.neighbors.exact_search import ROUNDING
from graphret.neighbors.join_plan import guess_rank

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MAX_CAPACITY", "DeviceJoin", "Guess", "product_error"]

Tensor: TypeAlias = Any
"""A tensor of torch, which is imported where it is used."""

GUESS_SHARE = 1 / 16
LEAST_SAMPLE, MOST_SAMPLE, LEAST_SHARE = 1_024, 16_384, 1 / 256
"""Rows that the first guess is made on: a share of all, within these limits, but never less than the least share."""
LEAST_CAPACITY, MAX_CAPACITY = 512, 4_096
"""Places of the list of a row: a power of two."""
PANELS = 16
"""Parts of the rows after each of which thresholds are raised."""
GROUP = 8
"""Tiles of rows that share tiles of columns."""
TIGHTEN_VALUES = 4_096
"""Places of lists that a program of `_tighten` holds: a power of two."""
GUESS_VALUES = 2**27
"""Products that a guess forms at a time."""


def product_error(n_dimensions: int) -> float:
    """Bound on the difference between a cosine and the product that the device forms: E of this file.

    Examples
    --------
    >>> product_error(1024) < 1.3e-3
    True
    """
    of_row = 2.0**-11 * (1.0 + 2.0**-12) + np.sqrt(n_dimensions) * 2.0**-25 / SCALE
    return float(of_row * (2.0 + of_row) + n_dimensions * 2.0**-22 * (1.0 + of_row) ** 2)


@dataclass(frozen=True)
class Guess:
    """How thresholds begin, and how long the lists are.

    Parameters
    ----------
    n_sampled
        Rows of the sample; 0: no guess is needed, because a list holds all rows.
    rank
        Place in the sample, the row itself counted, that its k-th neighbour surpasses with a chance of 0.999.
    capacity
        Places of a list.
    """

    n_sampled: int
    rank: int
    capacity: int

    @classmethod
    def of(cls, n_rows: int, k: int) -> Guess:
        """Plan for a number of rows and neighbours; twice as many places as the guess is expected to let pass.

        Examples
        --------
        >>> Guess.of(112_120, 50).capacity
        512
        """
        wanted = min(max(round(GUESS_SHARE * n_rows), LEAST_SAMPLE), MOST_SAMPLE)
        n_sampled = min(n_rows, max(wanted, round(LEAST_SHARE * n_rows)))
        share = n_sampled / n_rows
        rank = min(guess_rank(k, share), n_sampled) if share < 1.0 else min(k + 1, n_sampled)
        places = max(2.0 * rank / share, 4.0 * k, LEAST_CAPACITY)
        capacity = 1 << int(np.ceil(np.log2(places)))
        return cls(0, 0, capacity) if capacity >= n_rows else cls(n_sampled, rank, capacity)


class DeviceJoin:
    """Lists of candidates of a range of rows, which fill as columns are joined.

    Parameters
    ----------
    halves
        float16 (rows padded, width padded): the rounded unit rows of the range, see `unit_halves`.
    rows
        The range of rows of the codes.
    k
        Neighbours of a row.
    n_dimensions
        Length of a code, before it was padded.
    guess
        See `Guess`.
    exact
        Whether lists must hold all k nearest, proven; otherwise the k largest products are enough.
    """

    def __init__(
        self, halves: Tensor, rows: range, k: int, n_dimensions: int, guess: Guess, *, exact: bool = True
    ) -> None:
        import torch

        self.halves, self.rows, self.k, self.guess = halves, rows, k, guess
        self.error = product_error(n_dimensions)
        self.margin = 2.0 * self.error + 3.0 * ROUNDING if exact else 0.0
        n, device = len(rows), halves.device
        self.thresholds = torch.full((n,), float("-inf"), device=device)
        self.counts = torch.zeros(n, dtype=torch.int32, device=device)
        self.ids = torch.empty((n, guess.capacity), dtype=torch.int32, device=device)
        self.values = torch.empty((n, guess.capacity), dtype=torch.float32, device=device)
        self._state = torch.zeros(n, dtype=torch.int8, device=device)

    @property
    def proven(self) -> Tensor:
        """Which lists hold every row of the joined columns that may be among the k best, bool (rows,)."""
        return (self._state == 1) & (self.counts >= self.k)

    @property
    def overflowed(self) -> Tensor:
        """For which rows more passed than a list has places, bool (rows,)."""
        return self._state == 2

    def start(self, sample: Tensor) -> None:
        """Guess every threshold from the rounded unit rows of a sample of all rows, float16 (sampled, width)."""
        if self.guess.n_sampled == 0:
            return
        batch = max(1, GUESS_VALUES // len(sample))
        for first in range(0, len(self.rows), batch):
            products = self.halves[first : min(first + batch, len(self.rows))] @ sample.T
            at_rank = products.topk(self.guess.rank, dim=1).values[:, -1].float() / SCALE**2
            self.thresholds[first : first + batch] = at_rank - self.margin

    def join_itself(self, panel_done: Callable[[int], None] | None = None) -> None:
        """Join the rows of the range with each other; every pair of tiles is multiplied once, for the rows of both."""
        n = len(self.rows)
        n_tiles = -(-n // TILE_ROWS)
        cuts = np.unique(np.arange(PANELS + 1) * n_tiles // PANELS) * TILE_ROWS
        for first, stop in zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True):
            here = range(first, min(stop, n))
            self._launch(self.halves, here, range(first, n), self.rows.start, symmetric=True)
            self._tighten(first)
            if panel_done is not None:
                panel_done(len(here))

    def join_others(self, halves: Tensor, columns: range) -> None:
        """Join the rows of the range with other rows: ``halves`` are those of ``columns``, padded to whole tiles."""
        self._launch(halves, range(len(self.rows)), range(len(columns)), columns.start, symmetric=False)
        self._tighten(0)

    def _launch(self, right: Tensor, rows: range, columns: range, start: int, *, symmetric: bool) -> None:
        from graphret.neighbors._device_kernels import _join_pairs

        n_left, n_right = (-(-len(part) // TILE_ROWS) for part in (rows, columns))
        _join_pairs[(n_left * n_right,)](
            *(self.halves, right, self.thresholds, self.counts, self.ids, self.values),
            *(rows.start, rows.stop, self.rows.start, columns.start, columns.stop, start),
            *(self.halves.shape[1], SCALE**-2, self.guess.capacity),
            symmetric=symmetric,
            tile=TILE_ROWS,
            depth=DEPTH,
            group=GROUP,
            num_warps=8,
            num_stages=3,
            **FUSED,
        )

    def _tighten(self, first: int) -> None:
        from graphret.neighbors._device_kernels import _tighten

        block = max(1, TIGHTEN_VALUES // self.guess.capacity)
        _tighten[(-(-(len(self.rows) - first) // block),)](
            *(self.thresholds, self.counts, self.ids, self.values, self._state),
            *(first, len(self.rows), self.k, self.margin),
            capacity=self.guess.capacity,
            block=block,
            **FUSED,
        )
