"""PCA whitening of descriptors: directions of the films themselves, each brought to variance one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from graphret._checks import check_integer
from graphret._errors import InvalidParameterError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Whitening", "whitening_axes"]

_LEAST_VARIANCE = 1e-6
"""Share of the largest variance below which a direction is none: it would become noise of any size."""


class Whitening(nn.Module):
    """Whitening by principal components (Jegou, Chum, ECCV 2012), as SPoC, CroW, CAM and R-MAC have it.

    Of a descriptor x that is brought to length one: ``D^(-1/2) U^T (x - m)``, brought to length one again, with the
    mean m, the eigenvectors U and the eigenvalues D of the covariance of many descriptors, largest first. The paper's
    text was not at hand; this is what the papers that cite it print.

    Until :meth:`fit` has seen films, nothing is shifted or turned. A descriptor of zeros stays zeros: it has no
    direction, and counts in nothing.

    Parameters
    ----------
    channels
        Of a descriptor.
    n_values
        Directions that are kept, 1 to ``channels``; 0 for all of them.

    Raises
    ------
    InvalidParameterError
        More directions than channels.
    """

    mean: Tensor
    axes: Tensor

    def __init__(self, channels: int, n_values: int = 0) -> None:
        super().__init__()
        if check_integer("n_values", n_values, 0) > channels:
            raise InvalidParameterError("n_values", n_values, f"at most {channels}, the channels of the backbone")
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("axes", torch.eye(channels)[:, : n_values or channels].contiguous())

    def forward(self, descriptors: Tensor) -> Tensor:
        """Descriptors (..., channels) -> (..., n_values), of length one, in float32 or float64."""
        with torch.autocast(descriptors.device.type, enabled=False):  # small variances are divided by
            precise = descriptors if descriptors.dtype == torch.float64 else descriptors.float()
            mean, axes = self.mean.to(precise.dtype), self.axes.to(precise.dtype)
            turned = (normalize(precise, dim=-1) - mean) @ axes
            return normalize(turned, dim=-1) * _directed(precise)

    @torch.no_grad()
    def fit(self, batches: Iterable[Tensor]) -> int:
        """Learn mean and directions; the same batches give the same numbers.

        Parameters
        ----------
        batches
            Descriptors (..., channels), of any length.

        Returns
        -------
        int
            How many directions have a variance; the values of others are 0.

        Raises
        ------
        InvalidParameterError
            There are less than two descriptors that are not zeros.

        Notes
        -----
        O(n channels^2 + channels^3) for n descriptors, with O(channels^2) memory.
        """
        channels = len(self.mean)
        total, products, count = torch.zeros(channels).double(), torch.zeros(channels, channels).double(), 0
        for batch in batches:
            rows = batch.detach().reshape(-1, channels).cpu().double()
            rows = normalize(rows[_directed(rows)[:, 0] > 0], dim=1)
            total += rows.sum(dim=0)
            products += rows.T @ rows
            count += len(rows)
        if count < 2:
            raise InvalidParameterError("batches", f"{count} descriptors", "those of two films or more")
        mean = total / count
        axes = whitening_axes(products / count - torch.outer(mean, mean))[:, : self.axes.shape[1]]
        self.mean.copy_(mean)
        self.axes.copy_(axes)
        return int((axes != 0).any(dim=0).sum())


def whitening_axes(covariance: Tensor) -> Tensor:
    """Eigenvectors of a covariance, each over the root of its eigenvalue, (c, c) -> (c, c) with a column an axis.

    The largest eigenvalue comes first; a direction without variance is a column of zeros. The largest entry of a column
    is positive, so that the same films give the same signs.

    Examples
    --------
    >>> whitening_axes(torch.diag(torch.tensor([4.0, 0.25, 0.0])).double())
    tensor([[0.5000, 0.0000, 0.0000],
            [0.0000, 2.0000, 0.0000],
            [0.0000, 0.0000, 0.0000]], dtype=torch.float64)
    """
    values, vectors = torch.linalg.eigh(covariance)
    values, vectors = values.flip(0), vectors.flip(1)
    largest = vectors.gather(0, vectors.abs().argmax(dim=0, keepdim=True))
    scale = torch.where(values > _LEAST_VARIANCE * values.max(), values.clamp_min(1e-300).rsqrt(), 0.0)
    axes: Tensor = vectors * torch.where(largest < 0, -scale, scale)
    return axes


def _directed(descriptors: Tensor) -> Tensor:
    """1 where a descriptor has a direction, 0 where it is all zeros: (..., 1), of its dtype."""
    return (descriptors != 0).any(dim=-1, keepdim=True).to(descriptors.dtype)
