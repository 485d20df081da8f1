"""Order-sensitive deep hashing: films that share more labels are to be nearer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from graphret._errors import InvalidParameterError
from graphret.encoders.objectives.classification import Classification
from graphret.encoders.objectives.objective import NetworkOutputs, Objective, Targets
from graphret.encoders.objectives.relations import known_films, mean_where, pair_relations, shared_labels

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["OSDH"]


class OSDH(Objective):
    """OSDH (Chen, Cai, Lu, Feng, Zhou, MICCAI 2018), with ``h = tanh(u)``.

    For a film q of the batch and films i, j of which i shares more labels with it, ``r_i > r_j``:
    ``L_q = sum_ij (2^r_i - 2^r_j) / Z_q max(0, D(q, i) - D(q, j) + rho)``, where ``Z_q`` is the sum of the weights
    ``2^r_i - 2^r_j`` and ``D = (n_bits - h_q . h_i) / 2`` is the Hamming distance of binary codes; averaged over the
    films q that have such a pair. To it comes ``c`` times the cross entropy of the classifier.

    Departures from the paper: its text was not at hand; the order-sensitive term is that of a public implementation
    (which also drops pairs with ``r_i - r_j > 2``: not here), the classification term is Haq et al.'s cross entropy,
    and ``c`` is ours. Two films known to have no finding share one label, "healthy". ``r`` counts the labels that are
    certainly shared; pairs whose relation uncertain labels leave open have no part.

    Parameters
    ----------
    labels, n_bits
        As for every :class:`Objective`.
    rho
        Margin in bits, > 0.
    classification
        ``c``, >= 0.

    Notes
    -----
    O(b^3) memory and time beside the distances.
    """

    def __init__(
        self, labels: NDArray[np.int8], n_bits: int | None = None, rho: float = 5.0, classification: float = 0.5
    ) -> None:
        super().__init__()
        if rho <= 0 or classification < 0:
            raise InvalidParameterError("rho, classification", (rho, classification), "rho > 0 and classification >= 0")
        self.rho, self.classification = rho, classification
        self.cross_entropy = Classification(labels, n_bits)

    def forward(self, outputs: NetworkOutputs, targets: Targets) -> Tensor:
        """Loss of a batch."""
        outputs, targets = known_films(outputs, targets)
        codes = torch.tanh(outputs.codes)
        _, known = pair_relations(targets.labels)
        known = known & ~torch.eye(len(codes), dtype=torch.bool, device=codes.device)
        gain = torch.exp2(shared_labels(targets.labels)).to(codes.dtype)
        gains = torch.relu(gain[:, :, None] - gain[:, None, :]) * (known[:, :, None] & known[:, None, :])
        distances = (codes.shape[1] - codes @ codes.T) / 2
        hinge = torch.relu(distances[:, :, None] - distances[:, None, :] + self.rho)
        total = gains.sum(dim=(1, 2))
        by_film = (gains * hinge).sum(dim=(1, 2)) / torch.where(total > 0, total, 1.0)
        loss = mean_where(by_film, total > 0)
        if len(codes):
            loss = loss + self.classification * self.cross_entropy(outputs, targets)
        return loss
