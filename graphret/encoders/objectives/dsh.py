"""Deep supervised hashing: similar codes together, others at least a margin apart, all values near -1 or 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from graphret._errors import InvalidParameterError
from graphret.encoders.objectives.objective import NetworkOutputs, Objective, Targets
from graphret.encoders.objectives.relations import known_films, mean_where, pair_relations, squared_distances

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["DSH"]


class DSH(Objective):
    """DSH (Liu, Wang, Shan, Chen, CVPR 2016, Eq. 4), averaged over the pairs i < j of a batch.

    ``L = s/2 ||b_i - b_j||^2 + (1 - s)/2 max(m - ||b_i - b_j||^2, 0) + alpha (|| |b_i| - 1 ||_1 + || |b_j| - 1 ||_1)``
    with ``s = 1`` for films that share a positive label (the paper's rule for NUS-WIDE) or are both without findings.

    Departures from the paper: the mean over the pairs in the place of their sum; pairs whose relation uncertain labels
    leave open have no part.

    Parameters
    ----------
    labels, n_bits
        As for every :class:`Objective`.
    alpha
        Weight of the quantisation, >= 0; 0.01 in the paper.
    margin
        ``m`` as a multiple of the number of bits, > 0; 2 in the paper, so that dissimilar codes differ in half the
        bits.
    """

    def __init__(
        self,
        labels: NDArray[np.int8],  # noqa: ARG002 - one signature for all
        n_bits: int | None = None,  # noqa: ARG002
        alpha: float = 0.01,
        margin: float = 2.0,
    ) -> None:
        super().__init__()
        if alpha < 0 or margin <= 0:
            raise InvalidParameterError("alpha, margin", (alpha, margin), "alpha >= 0 and margin > 0")
        self.alpha, self.margin = alpha, margin

    def forward(self, outputs: NetworkOutputs, targets: Targets) -> Tensor:
        """Loss of a batch."""
        outputs, targets = known_films(outputs, targets)
        codes = outputs.codes
        similar, known = pair_relations(targets.labels)
        distances = squared_distances(codes)
        apart = torch.relu(self.margin * codes.shape[1] - distances)
        quantisation = (codes.abs() - 1).abs().sum(dim=1)
        loss = torch.where(similar, distances, apart) / 2 + self.alpha * (quantisation[:, None] + quantisation[None, :])
        return mean_where(loss, known.triu(diagonal=1))
