"""Deep neural network hashing: a margin between the distances to a similar and to a dissimilar film."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from graphret._errors import InvalidParameterError
from graphret.encoders.objectives.objective import NetworkOutputs, Objective, Targets
from graphret.encoders.objectives.relations import known_films, mean_where, pair_relations, squared_distances, triplets

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["DNNH", "piecewise_threshold"]


class DNNH(Objective):
    """DNNH (Lai, Pan, Liu, Yan, CVPR 2015, Eq. 3), averaged over the triplets of a batch.

    ``L = max(0, ||f_i - f_j||^2 - ||f_i - f_k||^2 + margin)`` for j similar and k dissimilar to i, where
    ``f = g(sigmoid(u))`` lies in [0, 1] and ``g`` is the piece-wise threshold of the divide-and-encode module:
    0 below ``1/2 - epsilon``, 1 above ``1/2 + epsilon``, the value itself between them. A bit is 1 where
    ``sigmoid(u) > 1/2``, so where u > 0.

    Departures from the paper: it does not print its epsilon; ours is wide, because g has no gradient outside of it. All
    triplets of the batch in the place of sampled ones. Pairs whose relation uncertain labels leave open have no part.

    Parameters
    ----------
    labels, n_bits
        As for every :class:`Objective`.
    margin
        > 0; 1 in the paper.
    epsilon
        Half width of the band in which g is the identity, in (0, 0.5].

    Notes
    -----
    O(b^3) memory and time beside the distances: 32 MB for a batch of 200.
    """

    def __init__(
        self,
        labels: NDArray[np.int8],  # noqa: ARG002 - one signature for all
        n_bits: int | None = None,  # noqa: ARG002
        margin: float = 1.0,
        epsilon: float = 0.45,
    ) -> None:
        super().__init__()
        if margin <= 0 or not 0 < epsilon <= 0.5:
            raise InvalidParameterError("margin, epsilon", (margin, epsilon), "margin > 0 and epsilon in (0, 0.5]")
        self.margin, self.epsilon = margin, epsilon

    def forward(self, outputs: NetworkOutputs, targets: Targets) -> Tensor:
        """Loss of a batch."""
        outputs, targets = known_films(outputs, targets)
        similar, known = pair_relations(targets.labels)
        similar = similar & ~torch.eye(len(similar), dtype=torch.bool, device=similar.device)
        known = known & ~torch.eye(len(known), dtype=torch.bool, device=known.device)
        distances = squared_distances(piecewise_threshold(torch.sigmoid(outputs.codes), self.epsilon))
        loss = torch.relu(distances[:, :, None] - distances[:, None, :] + self.margin)
        return mean_where(loss, triplets(similar, known))


def piecewise_threshold(values: Tensor, epsilon: float) -> Tensor:
    """0 below ``1/2 - epsilon``, 1 above ``1/2 + epsilon``, the value itself between them (DNNH, Eq. 5).

    Examples
    --------
    >>> import torch
    >>> piecewise_threshold(torch.tensor([0.1, 0.3, 0.6, 0.9]), 0.3)
    tensor([0.0000, 0.3000, 0.6000, 1.0000])
    """
    values = torch.where(values < 0.5 - epsilon, 0.0, values)
    return torch.where(values > 0.5 + epsilon, 1.0, values)
