"""GreedyHash without labels: bits as similar as the features of a pretrained network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphret._checks import check_number
from graphret.encoders.objectives.feature_pairs import cosine_difference, features_of
from graphret.encoders.objectives.objective import NetworkOutputs, Objective, Targets
from graphret.encoders.objectives.sign_layer import cubic_quantisation, straight_sign

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["GreedyHashUnsupervised"]


class GreedyHashUnsupervised(Objective):
    """The unsupervised form of GreedyHash (Su, Zhang, Han, Tian, NeurIPS 2018).

    ``L = mean((cos(b_i, b_j) - cos(x_i, x_j))^2) + quantisation mean(| |u| - 1 |^3)`` over pairs of films of a batch,
    with ``b = sign(u)`` of the network's outputs u, whose gradient passes through unchanged, and the features x of a
    pretrained network that stays as it is. No label is read. A film that could not be read has the pixels of another
    one, and takes part.

    Written from the authors' code and public knowledge of the paper, whose text was not at hand. The authors' network
    is VGG-16; here it is any backbone.

    Parameters
    ----------
    labels, n_bits
        As for every :class:`Objective`; not read.
    quantisation
        >= 0; .1 in the authors' code.
    """

    def __init__(
        self,
        labels: NDArray[np.int8],  # noqa: ARG002 - one signature for all
        n_bits: int | None = None,  # noqa: ARG002
        quantisation: float = 0.1,
    ) -> None:
        super().__init__()
        self.quantisation = check_number("quantisation", quantisation, at_least=0)

    def forward(self, outputs: NetworkOutputs, targets: Targets) -> Tensor:  # noqa: ARG002
        """Loss of a batch."""
        codes = outputs.codes
        loss = cosine_difference(straight_sign(codes), features_of(outputs))
        return loss + self.quantisation * cubic_quantisation(codes).mean()
