"""GreedyHash: a classifier over the signs themselves, whose gradients pass through the sign unchanged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from graphret._checks import check_integer, check_number
from graphret.encoders.objectives.classes import class_cross_entropy, class_membership, has_healthy_films
from graphret.encoders.objectives.objective import NetworkOutputs, Objective, Targets
from graphret.encoders.objectives.relations import known_films
from graphret.encoders.objectives.sign_layer import cubic_quantisation, straight_sign

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["GreedyHash"]


class GreedyHash(Objective):
    """GreedyHash (Su, Zhang, Han, Tian, NeurIPS 2018), averaged over the films of a batch.

    ``L = CE(W b, y) + quantisation mean(| |u| - 1 |^3)`` with ``b = sign(u)`` of the network's outputs u. Backwards the
    gradient of b is taken for that of u. The classifier W, without a bias, is part of the loss and dropped at the end.

    The paper has one class an image. Ours: a film of several is wanted in each with an equal share (as Hoe et al. 2021
    do it; for one class this is the paper's cross entropy); films without any finding are a class of their own;
    uncertain labels are left out of the softmax; films of which no label is known are left out.

    Written from the authors' code and public knowledge of the paper, whose text was not at hand.

    Parameters
    ----------
    labels, n_bits
        As for every :class:`Objective`; ``n_bits`` is needed.
    quantisation
        >= 0; .1 in the authors' code for CIFAR-10.
    """

    def __init__(self, labels: NDArray[np.int8], n_bits: int | None = None, quantisation: float = 0.1) -> None:
        super().__init__()
        length = check_integer("n_bits", n_bits, 1, "greedyhash has a classifier over the bits")
        self.quantisation = check_number("quantisation", quantisation, at_least=0)
        self.healthy = has_healthy_films(labels)
        self.classifier = nn.Linear(length, labels.shape[1] + self.healthy, bias=False)

    def forward(self, outputs: NetworkOutputs, targets: Targets) -> Tensor:
        """Loss of a batch."""
        outputs, targets = known_films(outputs, targets)
        codes = outputs.codes
        membership = class_membership(targets.labels, self.healthy)
        loss = class_cross_entropy(self.classifier(straight_sign(codes)), membership)
        return loss + self.quantisation * cubic_quantisation(codes).sum() / max(codes.numel(), 1)
