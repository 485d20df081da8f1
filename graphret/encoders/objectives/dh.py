"""Supervised deep hashing: codes that lose little in quantisation, with much variance between unlike films."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from graphret._errors import InvalidParameterError
from graphret.encoders.objectives.drh import orthogonality
from graphret.encoders.objectives.objective import NetworkOutputs, Objective, Targets
from graphret.encoders.objectives.relations import known_films, mean_where, pair_relations, signs, squared_distances

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["DH"]


class DH(Objective):
    """Supervised deep hashing (Erin Liong, Lu, Wang, Moulin, Zhou, CVPR 2015, Eq. 11), with ``h = tanh(u)``.

    ``J = 1/2 ||B - H||^2 - lambda_1/2 (tr(H H^T) / N + alpha tr(Sigma_B - Sigma_W)) + lambda_2/2 ||W W^T - I||^2``

    - quantisation, with ``B = sign(H)``,
    - balance: the variance of the bits,
    - scatter: ``tr Sigma_W`` is the mean ``||h_i - h_j||^2`` of similar pairs, ``tr Sigma_B`` of dissimilar ones,
    - independence: orthogonal weights W of the hash layer.

    Departures from the paper: each term is a mean over films (or pairs) and bits, so that one set of weights serves
    every batch size and code length, and their weights are therefore ours; only the hash layer is made orthogonal, the
    paper's three fully connected layers being a convolutional backbone here; its fourth term, the norm of the weights,
    is the weight decay of the optimiser. Pairs whose relation uncertain labels leave open have no part.

    Parameters
    ----------
    labels, n_bits
        As for every :class:`Objective`.
    balance, scatter, orthogonal
        ``lambda_1``, ``alpha`` and ``lambda_2``, >= 0; ``alpha`` is 1 in the paper.
    """

    def __init__(
        self,
        labels: NDArray[np.int8],  # noqa: ARG002 - one signature for all
        n_bits: int | None = None,  # noqa: ARG002
        balance: float = 1.0,
        scatter: float = 1.0,
        orthogonal: float = 0.01,
    ) -> None:
        super().__init__()
        weights = (balance, scatter, orthogonal)
        if min(weights) < 0:
            raise InvalidParameterError("balance, scatter, orthogonal", weights, "numbers >= 0")
        self.balance, self.scatter, self.orthogonal = weights

    def forward(self, outputs: NetworkOutputs, targets: Targets) -> Tensor:
        """Loss of a batch."""
        independence = orthogonality(outputs)
        outputs, targets = known_films(outputs, targets)
        codes = torch.tanh(outputs.codes)
        if not len(codes):
            return self.orthogonal / 2 * independence + codes.sum()
        similar, known = pair_relations(targets.labels)
        pairs = known.triu(diagonal=1)
        distances = squared_distances(codes) / codes.shape[1]
        within, between = mean_where(distances, pairs & similar), mean_where(distances, pairs & ~similar)
        quantisation = (signs(codes) - codes).square().mean()
        variance = codes.square().mean() + self.scatter * (between - within)
        return (quantisation - self.balance * variance + self.orthogonal * independence) / 2
