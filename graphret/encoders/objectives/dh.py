"""Supervised deep hashing: codes that lose little in quantisation, with much variance between unlike films."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from graphret._errors import InvalidParameterError
from graphret.encoders.objectives.objective import NetworkOutputs, Objective, Targets
from graphret.encoders.objectives.relations import known_films, mean_where, pair_relations, signs, squared_distances

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["DH"]


class DH(Objective):
    """Supervised deep hashing (Erin Liong, Lu, Wang, Moulin, Zhou, CVPR 2015, Eq. 11), with ``h = tanh(u)``.

    ``J = 1/2 ||B - H||^2 - lambda_1/2 (tr(H H^T) / N + alpha tr(Sigma_B - Sigma_W)) + lambda_2/2 ||C - I||^2``

    - quantisation, with ``B = sign(H)``,
    - balance: the variance of the bits over the batch,
    - scatter: ``tr Sigma_W`` is the mean ``||h_i - h_j||^2`` of similar pairs, ``tr Sigma_B`` of dissimilar ones,
    - independence: ``C`` is the covariance of the bits over the batch.

    Departures from the paper: each term is a mean over films (or pairs) and bits, so that one set of weights serves
    every batch size and code length, and their weights are therefore ours. The paper asks for balanced and independent
    bits, and writes tr(H H^T) for codes whose mean is 0, and orthogonal weights of its fully connected layers; behind a
    convolutional backbone neither holds the codes apart (all films got one code, or one of two), so balance is the
    variance about the mean, and independence is asked of the bits themselves. The paper's fourth term, the norm of the
    weights, is the weight decay of the optimiser. Pairs whose relation uncertain labels leave open have no part.

    Parameters
    ----------
    labels, n_bits
        As for every :class:`Objective`.
    balance, scatter, independence
        ``lambda_1``, ``alpha`` and ``lambda_2``, >= 0; ``alpha`` is 1 in the paper. The default of ``lambda_2`` was
        chosen on validation films of two real sets.
    """

    def __init__(
        self,
        labels: NDArray[np.int8],  # noqa: ARG002 - one signature for all
        n_bits: int | None = None,  # noqa: ARG002
        balance: float = 1.0,
        scatter: float = 1.0,
        independence: float = 20.0,
    ) -> None:
        super().__init__()
        weights = (balance, scatter, independence)
        if min(weights) < 0:
            raise InvalidParameterError("balance, scatter, independence", weights, "numbers >= 0")
        self.balance, self.scatter, self.independence = weights

    def forward(self, outputs: NetworkOutputs, targets: Targets) -> Tensor:
        """Loss of a batch."""
        outputs, targets = known_films(outputs, targets)
        codes = torch.tanh(outputs.codes)
        if not len(codes):
            return codes.sum()
        similar, known = pair_relations(targets.labels)
        pairs = known.triu(diagonal=1)
        distances = squared_distances(codes) / codes.shape[1]
        within, between = mean_where(distances, pairs & similar), mean_where(distances, pairs & ~similar)
        quantisation = (signs(codes) - codes).square().mean()
        centred = codes - codes.mean(dim=0)
        variance = centred.square().mean() + self.scatter * (between - within)
        dependence = centred.T @ centred / len(codes) - torch.eye(codes.shape[1], device=codes.device)
        return (quantisation - self.balance * variance + self.independence * dependence.square().mean()) / 2
