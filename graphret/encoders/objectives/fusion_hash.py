"""The loss of Guan et al. 2023: contrastive, quantisation and cross entropy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from graphret._errors import EncoderError, InvalidParameterError
from graphret.encoders.losses import label_weights, weighted_cross_entropy
from graphret.encoders.objectives.objective import NetworkOutputs, Objective, Targets
from graphret.encoders.objectives.relations import known_films, mean_where, pair_relations, squared_distances

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["FusionLoss"]


class FusionLoss(Objective):
    """``contrastive + quantisation * mean || |h| - 1 ||_1 + classification * cross entropy`` (Guan et al. 2023).

    The contrastive part is ``s/2 D + (1 - s)/2 max(m - D, 0)`` with squared Euclidean D over the pairs i < j of a
    batch.

    Departures from the paper: its equations do not survive in our copy, only the names of the three parts; their forms
    are those of DSH and Haq et al. 2021, Eq. 1 (which knows several labels at once), their weights are ours. Pairs
    whose relation uncertain labels leave open have no part. The paper sets one or two parameters to .5, whose names and
    places cannot be read in our copy; if they weigh these parts, ``quantisation=0.5, classification=0.5`` is its loss.

    Parameters
    ----------
    labels, n_bits
        As for every :class:`Objective`.
    margin
        ``m`` as a multiple of the length of the code, > 0.
    quantisation, classification
        Weights of the other parts, >= 0.
    """

    weights: Tensor

    def __init__(
        self,
        labels: NDArray[np.int8],
        n_bits: int | None = None,  # noqa: ARG002 - one signature for all
        margin: float = 2.0,
        quantisation: float = 0.01,
        classification: float = 1.0,
    ) -> None:
        super().__init__()
        if margin <= 0 or min(quantisation, classification) < 0:
            raise InvalidParameterError(
                "margin, quantisation, classification",
                (margin, quantisation, classification),
                "margin > 0, weights >= 0",
            )
        self.margin, self.quantisation, self.classification = margin, quantisation, classification
        weights = torch.as_tensor(label_weights(labels), dtype=torch.float32)
        self.register_buffer("weights", weights, persistent=False)

    def forward(self, outputs: NetworkOutputs, targets: Targets) -> Tensor:
        """Loss of a batch."""
        if outputs.logits is None:
            raise EncoderError("fusion_hash reads a classifier, and this network has none: choose another objective")
        entropy = weighted_cross_entropy(outputs.logits, targets.labels, self.weights)
        outputs, targets = known_films(outputs, targets)
        codes = outputs.codes
        similar, known = pair_relations(targets.labels)
        distances = squared_distances(codes)
        apart = torch.relu(self.margin * codes.shape[1] - distances)
        contrast = mean_where(torch.where(similar, distances, apart) / 2, known.triu(diagonal=1))
        quantisation = (codes.abs() - 1).abs().sum() / max(len(codes), 1)
        return contrast + self.quantisation * quantisation + self.classification * entropy
