"""Central similarity quantisation: every code is drawn to the centre of its class."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch.nn.functional import softplus

from graphret._checks import check_integer, check_number
from graphret.encoders.objectives.centers import ClassCenters
from graphret.encoders.objectives.objective import NetworkOutputs, Objective, Targets
from graphret.encoders.objectives.relations import mean_where

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["CSQ"]


class CSQ(Objective):
    """CSQ (Yuan, Wang, Zhang, Tay, Jie, Liu, Feng, CVPR 2020), averaged over the bits and the films of a batch.

    ``L = -mean(c log h + (1 - c) log(1 - h)) + quantisation mean(log cosh(|2 h - 1| - 1))`` with ``h = (tanh(u) + 1) /
    2`` of the network's outputs u and the centre c of the film's class, both in [0, 1]. The bits are the signs of u.
    Centres are rows of a Hadamard matrix, or drawn (:func:`~graphret.encoders.objectives.centers.hash_centers`).

    Several labels, as in the paper: the centroid of the centres, each bit by majority, ties by one vector drawn once.
    Ours, because the paper has no such images: films without any finding are a class of their own; uncertain labels
    take no part in the centroid; films of which no class is known are left out.

    Written from the authors' code, and from public knowledge of the paper, whose text was not at hand: means in the
    place of sums, and the weight, are the code's; log cosh is the paper's, where the code has ``(|tanh u| - 1)^2``.

    Parameters
    ----------
    labels, n_bits
        As for every :class:`Objective`; ``n_bits`` is needed.
    quantisation
        >= 0; .0001 in the authors' code.
    centers
        ``"auto"``, ``"hadamard"`` or ``"bernoulli"``.
    seed
        Of drawn centres and ties.
    """

    def __init__(
        self,
        labels: NDArray[np.int8],
        n_bits: int | None = None,
        quantisation: float = 1e-4,
        centers: str = "auto",
        seed: int = 0,
    ) -> None:
        super().__init__()
        length = check_integer("n_bits", n_bits, 1, "csq has centres of that length")
        self.quantisation = check_number("quantisation", quantisation, at_least=0)
        self.centers = ClassCenters(labels, length, centers, seed)

    def forward(self, outputs: NetworkOutputs, targets: Targets) -> Tensor:
        """Loss of a batch."""
        codes = outputs.codes
        wanted, has_class = self.centers.centroids(targets.labels, codes.dtype)
        counted = has_class[:, None].expand_as(codes)
        # h is the logistic function of 2 u, so these are the stable forms of -log h and -log(1 - h).
        to_center = mean_where(softplus(-2 * codes * wanted), counted)
        return to_center + self.quantisation * mean_where(log_cosh(torch.tanh(codes).abs() - 1), counted)


def log_cosh(values: Tensor) -> Tensor:
    """``log((e^x + e^-x) / 2)``, which does not overflow.

    Examples
    --------
    >>> log_cosh(torch.tensor([0.0, 100.0]))
    tensor([ 0.0000, 99.3069])
    """
    size = values.abs()
    return size + softplus(-2 * size) - math.log(2)
