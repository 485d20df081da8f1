"""The objective of Haq et al. 2021, weighted cross entropy of the classifier; by option with a loss of the codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from graphret._checks import check_number
from graphret._errors import EncoderError
from graphret.encoders.losses import label_weights, weighted_cross_entropy
from graphret.encoders.objectives.contrast import supervised_contrast
from graphret.encoders.objectives.objective import NetworkOutputs, Objective, Targets

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Classification"]


class Classification(Objective):
    """Weighted binary cross entropy over the known labels (Haq et al. 2021, Eq. 1), for networks with a classifier.

    Parameters
    ----------
    labels, n_bits
        As for every :class:`Objective`.
    label_smoothing
        s in [0, 1) takes a positive label for ``1 - s / 2`` and a negative one for ``s / 2`` (Szegedy et al. 2016, of
        two classes); 0 is the formula of the paper.
    contrast
        Weight of :func:`supervised_contrast` of the codes, >= 0, which is added; 0 is the formula of the paper.
    temperature
        Of the contrast, > 0.
    """

    weights: Tensor

    def __init__(
        self,
        labels: NDArray[np.int8],
        n_bits: int | None = None,  # noqa: ARG002 - one signature for all
        *,
        label_smoothing: float = 0.0,
        contrast: float = 0.0,
        temperature: float = 0.1,
    ) -> None:
        super().__init__()
        self._smoothing = check_number("label_smoothing", label_smoothing, at_least=0, below=1)
        self._contrast = check_number("contrast", contrast, at_least=0)
        self._temperature = check_number("temperature", temperature, above=0)
        # Made of the labels at every start, so no part of a checkpoint.
        weights = torch.as_tensor(label_weights(labels), dtype=torch.float32)
        self.register_buffer("weights", weights, persistent=False)

    def forward(self, outputs: NetworkOutputs, targets: Targets) -> Tensor:
        """Loss of a batch."""
        if outputs.logits is None:
            raise EncoderError("this network has no classifier: choose an objective that reads codes only")
        entropy = weighted_cross_entropy(outputs.logits, targets.labels, self.weights, self._smoothing)
        if not self._contrast:
            return entropy
        contrast = supervised_contrast(outputs.codes, targets.labels, self._temperature)
        self.parts = {"classification": entropy.detach(), "contrast": contrast.detach()}
        return entropy + self._contrast * contrast
