"""Attention-based triplet hashing: a triplet loss and a classification loss together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from graphret._errors import InvalidParameterError
from graphret.encoders.objectives.classification import Classification
from graphret.encoders.objectives.objective import NetworkOutputs, Objective, Targets
from graphret.encoders.objectives.relations import known_films, mean_where, pair_relations, squared_distances, triplets

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["ATH"]


class ATH(Objective):
    """The triplet cross-entropy loss of ATH (Fang, Fu, Liu, Medical Image Analysis 2021).

    ``L = mean over triplets of max(0, m - ||h_i - h_k||^2 + ||h_i - h_j||^2) + c mean over films of the cross
    entropy``, for j similar and k dissimilar to i.

    Departures from the paper and the authors' code: films have several labels, so the cross entropy is that of Haq et
    al. 2021 over the known ones and not a softmax; all triplets of the batch in the place of one sampled for each film.
    The authors' code divides the distances by the number of bits but not the margin of half of it, which such distances
    rarely reach: here both are per code, as in the code that it cites. Uncertain labels make no triplet.

    Parameters
    ----------
    labels, n_bits
        As for every :class:`Objective`.
    margin
        ``m`` as a multiple of the number of bits, > 0; 0.5 in the authors' code.
    classification
        Weight ``c`` of the cross entropy, >= 0.

    Notes
    -----
    O(b^3) memory and time beside the distances.
    """

    def __init__(
        self,
        labels: NDArray[np.int8],
        n_bits: int | None = None,
        margin: float = 0.5,
        classification: float = 1.0,
    ) -> None:
        super().__init__()
        if margin <= 0 or classification < 0:
            raise InvalidParameterError(
                "margin, classification", (margin, classification), "margin > 0 and classification >= 0"
            )
        self.margin, self.classification = margin, classification
        self.cross_entropy = Classification(labels, n_bits)

    def forward(self, outputs: NetworkOutputs, targets: Targets) -> Tensor:
        """Loss of a batch."""
        outputs, targets = known_films(outputs, targets)
        codes = outputs.codes
        similar, known = pair_relations(targets.labels)
        itself = torch.eye(len(codes), dtype=torch.bool, device=codes.device)
        distances = squared_distances(codes)
        loss = torch.relu(self.margin * codes.shape[1] + distances[:, :, None] - distances[:, None, :])
        loss = mean_where(loss, triplets(similar & ~itself, known & ~itself))
        if len(codes):
            loss = loss + self.classification * self.cross_entropy(outputs, targets)
        return loss
