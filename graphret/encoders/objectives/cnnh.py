"""CNNH: codes are made from the labels first, and a network is then trained to give them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from graphret._checks import check_integer
from graphret._errors import InvalidParameterError
from graphret.encoders.objectives.classification import Classification
from graphret.encoders.objectives.cnnh_codes import codes_of_labels
from graphret.encoders.objectives.objective import NetworkOutputs, Objective, Targets
from graphret.encoders.objectives.relations import known_films

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["CNNH"]


class CNNH(Objective):
    """CNNH+ (Xia, Pan, Lai, Liu, Yan, AAAI 2014).

    Stage 1, once: codes H of the training films from their labels, :func:`codes_of_labels`. Stage 2, the loss:
    ``L = mean over films and bits of (tanh(u) - H)^2 + c cross entropy of the classifier``; ``c = 0`` is the paper's
    CNNH, which does not use the labels again.

    Departures from the paper: stage 1 gives films with equal labels equal codes (see there); the squared error and
    Haq et al.'s cross entropy of several labels stand for the paper's output layer of ``n_bits + L`` units. Films
    without any known pair have no code, and no part in the first term.

    Parameters
    ----------
    labels, n_bits
        As for every :class:`Objective`; ``n_bits`` is needed.
    classification
        ``c``, >= 0.
    sweeps, max_sets, seed
        Of stage 1, see :func:`codes_of_labels`.
    """

    codes: Tensor

    def __init__(
        self,
        labels: NDArray[np.int8],
        n_bits: int | None = None,
        classification: float = 0.1,
        sweeps: int = 10,
        max_sets: int = 2048,
        seed: int = 0,
    ) -> None:
        super().__init__()
        length = check_integer("n_bits", n_bits, 1, "cnnh makes a code for every training film")
        if classification < 0:
            raise InvalidParameterError("classification", classification, "a number >= 0")
        self.classification = classification
        self.cross_entropy = Classification(labels, n_bits)
        codes = codes_of_labels(labels, length, sweeps=sweeps, max_sets=max_sets, seed=check_integer("seed", seed, 0))
        # A part of the checkpoint: another processor may round another value to the other side of zero.
        self.register_buffer("codes", torch.from_numpy(codes))

    def forward(self, outputs: NetworkOutputs, targets: Targets) -> Tensor:
        """Loss of a batch."""
        outputs, targets = known_films(outputs, targets)
        wanted = self.codes[targets.places].to(outputs.codes.dtype)
        errors = torch.where(wanted != 0, torch.tanh(outputs.codes) - wanted, 0.0).square().sum()
        loss = errors / (wanted != 0).sum().clamp_min(1)
        if self.classification and len(wanted):
            loss = loss + self.classification * self.cross_entropy(outputs, targets)
        return loss
