"""The objective of Haq et al. 2021: weighted cross entropy of the classifier."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from graphret._checks import check_number
from graphret._errors import EncoderError
from graphret.encoders.losses import label_weights, weighted_cross_entropy
from graphret.encoders.objectives.objective import NetworkOutputs, Objective, Targets

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Classification"]


class Classification(Objective):
    """Weighted binary cross entropy over the known labels (Haq et al. 2021, Eq. 1), for networks with a classifier.

    ``label_smoothing`` s, in [0, 1), takes a positive label for ``1 - s / 2`` and a negative one for ``s / 2`` (Szegedy
    et al. 2016, of two classes); 0 is the formula of the paper.
    """

    weights: Tensor

    def __init__(self, labels: NDArray[np.int8], n_bits: int | None = None, *, label_smoothing: float = 0.0) -> None:  # noqa: ARG002 - one signature for all
        super().__init__()
        self._smoothing = check_number("label_smoothing", label_smoothing, at_least=0, below=1)
        # Made of the labels at every start, so no part of a checkpoint.
        weights = torch.as_tensor(label_weights(labels), dtype=torch.float32)
        self.register_buffer("weights", weights, persistent=False)

    def forward(self, outputs: NetworkOutputs, targets: Targets) -> Tensor:
        """Loss of a batch."""
        if outputs.logits is None:
            raise EncoderError("this network has no classifier: choose an objective that reads codes only")
        return weighted_cross_entropy(outputs.logits, targets.labels, self.weights, self._smoothing)
