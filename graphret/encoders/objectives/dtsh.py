"""Deep supervised hashing with triplet labels: the likelihood that the similar film of a triplet is the nearer one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn.functional import softplus

from graphret._checks import check_number
from graphret.encoders.objectives.objective import NetworkOutputs, Objective, Targets
from graphret.encoders.objectives.relations import known_films, mean_where, pair_relations, signs, triplets

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["DTSH"]


class DTSH(Objective):
    """DTSH (Wang, Shi, Kitani, ACCV 2016), averaged over the triplets of a batch, and over its films.

    ``L = -mean_ijk(t - log(1 + e^t)) + quantisation mean_i ||sign(u_i) - u_i||^2`` with ``t = theta_ij - theta_ik -
    margin n_bits`` for j similar and k dissimilar to i, and ``theta_ij = u_i . u_j / 2``.

    Departures from the authors' code: all triplets of the batch, where each film had 22,500 sampled ones, of codes that
    all films had when they were last seen. Pairs whose relation uncertain labels leave open have no part. Similar films
    are those that share a label, or have no finding both.

    Written from the authors' code and public knowledge of the paper, whose text was not at hand.

    Parameters
    ----------
    labels, n_bits
        As for every :class:`Objective`.
    margin
        Margin for each bit, >= 0; half the length of the code in the authors' code.
    quantisation
        >= 0; 1/225 by default: 100 for 22,500 triplets a film in the authors' code for CIFAR-10.

    Notes
    -----
    O(b^3) memory and time beside the products: 32 MB for a batch of 200.
    """

    def __init__(
        self,
        labels: NDArray[np.int8],  # noqa: ARG002 - one signature for all
        n_bits: int | None = None,  # noqa: ARG002
        margin: float = 0.5,
        quantisation: float = 1 / 225,
    ) -> None:
        super().__init__()
        self.margin = check_number("margin", margin, at_least=0)
        self.quantisation = check_number("quantisation", quantisation, at_least=0)

    def forward(self, outputs: NetworkOutputs, targets: Targets) -> Tensor:
        """Loss of a batch."""
        outputs, targets = known_films(outputs, targets)
        codes = outputs.codes
        similar, known = pair_relations(targets.labels)
        others = ~torch.eye(len(codes), dtype=torch.bool, device=codes.device)
        theta = codes @ codes.T / 2
        ahead = theta[:, :, None] - theta[:, None, :] - self.margin * codes.shape[1]
        loss = mean_where(softplus(-ahead), triplets(similar & others, known & others))
        return loss + self.quantisation * (signs(codes) - codes).square().sum() / max(len(codes), 1)
