"""Lloyd's k-means and a bounded sample of rows: what a codebook is made of."""

from __future__ import annotations

import torch
from torch import Tensor

from graphret._checks import check_integer

__all__ = ["RowSample", "kmeans", "nearest_rows"]


class RowSample:
    """A uniform sample without replacement of rows that come in blocks, the same for the same seed.

    Every row draws a key; those with the smallest keys are kept.

    Parameters
    ----------
    capacity
        Rows that are kept at most, >= 1.
    seed
        Of the keys.

    Examples
    --------
    >>> sample = RowSample(3, seed=0)
    >>> for start in (0.0, 4.0):
    ...     sample.add(torch.arange(start, start + 4)[:, None])
    >>> sample.rows.shape
    torch.Size([3, 1])
    """

    def __init__(self, capacity: int, seed: int) -> None:
        self._capacity = check_integer("capacity", capacity, 1)
        self._generator = torch.Generator().manual_seed(seed)
        self._keys = torch.empty(0, dtype=torch.float64)
        self._rows: Tensor | None = None

    def add(self, rows: Tensor) -> None:
        """Offer a block of rows (n, d)."""
        keys = torch.cat([self._keys, torch.rand(len(rows), dtype=torch.float64, generator=self._generator)])
        rows = rows.detach().float().cpu()
        rows = rows if self._rows is None else torch.cat([self._rows, rows])
        kept = torch.argsort(keys)[: self._capacity].sort().values
        self._keys, self._rows = keys[kept], rows[kept]

    @property
    def rows(self) -> Tensor:
        """The sample, float32 (n, d), in the order in which the rows came."""
        return torch.empty(0, 0) if self._rows is None else self._rows


def kmeans(rows: Tensor, n_centres: int, *, iterations: int = 20, seed: int = 0) -> Tensor:
    """Centres of clusters of rows, float32 (n_centres, d), by Lloyd's iterations from distinct rows.

    A centre without rows moves to the row that is farthest from its own centre. With fewer rows than centres, some
    centres are copies.

    Parameters
    ----------
    rows
        float32 (n, d), n >= 1.
    n_centres
        >= 1.
    iterations
        At most; they end when no row changes its centre.
    seed
        Of the first centres.

    Notes
    -----
    O(iterations n n_centres d).

    Examples
    --------
    >>> kmeans(torch.tensor([[0.0], [1.0], [10.0], [12.0]]), 2).sort(dim=0).values.tolist()
    [[0.5], [11.0]]
    """
    check_integer("n_centres", n_centres, 1)
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(rows), generator=generator)
    centres = rows[order.repeat(-(-n_centres // len(rows)))[:n_centres]].clone()
    before = None
    for _ in range(iterations):
        nearest, distances = nearest_rows(rows, centres)
        if before is not None and torch.equal(nearest, before):
            break
        before = nearest
        counts = torch.bincount(nearest, minlength=n_centres)
        sums = torch.zeros(n_centres, rows.shape[1], dtype=torch.float64).index_add_(0, nearest, rows.double())
        centres = torch.where(counts[:, None] > 0, (sums / counts[:, None].clamp_min(1)).float(), centres)
        empty = torch.nonzero(counts == 0)[:, 0][: len(rows)]
        farthest = torch.argsort(distances, descending=True, stable=True)[: len(empty)]
        centres[empty] = rows[farthest]
    return centres


def nearest_rows(rows: Tensor, centres: Tensor, block: int = 8192) -> tuple[Tensor, Tensor]:
    """For every row the nearest centre, int64 (n,), the smaller number of equals, and the squared distance, (n,)."""
    lengths = centres.square().sum(dim=1)
    nearest, distances = [], []
    for part in rows.split(block):
        least, number = (lengths - 2 * part @ centres.T).min(dim=1)
        nearest.append(number)
        distances.append((least + part.square().sum(dim=1)).clamp_min(0))
    return torch.cat(nearest), torch.cat(distances)
