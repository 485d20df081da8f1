"""The losses of SOLAR: triplets, and how alike two similar films see a third one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn.functional import normalize

from graphret._checks import check_number
from graphret.encoders.objectives.objective import NetworkOutputs, Objective, Targets
from graphret.encoders.objectives.relations import mean_where, pair_relations, squared_distances, triplets

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["SecondOrder"]


class SecondOrder(Objective):
    """First- and second-order similarity (Ng, Balntas, Tian, Mikolajczyk, ECCV 2020, section 3.2; SOSNet, CVPR 2019).

    Over triplets of a film a, a similar film p and a dissimilar film n, with squared distances d of codes of length
    one: ``mean max(0, d(a, p) - d(a, n) + margin) + weight * sqrt(mean (d(a, n) - d(p, n))^2)``.

    Read from the authors' code, whose training script has the weight 5 and a margin of 0.7; the paper itself could not
    be read. Departures: all triplets of a batch, where the authors take five hard films for each; the root is of the
    mean over them, not of the sum. Uncertain labels make no triplet.

    Parameters
    ----------
    labels, n_bits
        As for every :class:`Objective`.
    margin
        > 0.
    weight
        Of the second-order part, >= 0; 0 is the plain triplet loss.

    Notes
    -----
    O(b^3) memory and time beside the distances.
    """

    def __init__(
        self,
        labels: NDArray[np.int8],  # noqa: ARG002 - one signature for all
        n_bits: int | None = None,  # noqa: ARG002
        margin: float = 0.7,
        weight: float = 5.0,
    ) -> None:
        super().__init__()
        self.margin = check_number("margin", margin, above=0)
        self.weight = check_number("weight", weight, at_least=0)

    def forward(self, outputs: NetworkOutputs, targets: Targets) -> Tensor:
        """Loss of a batch."""
        similar, known = pair_relations(targets.labels)
        itself = torch.eye(len(similar), dtype=torch.bool, device=similar.device)
        chosen = triplets(similar & ~itself, known & ~itself)
        distances = squared_distances(normalize(outputs.codes, dim=1))
        to_similar, to_other = distances[:, :, None], distances[:, None, :]
        first = mean_where(torch.relu(to_similar - to_other + self.margin), chosen)
        # distances[p, n] for every a, so that it has the shape of the triplets
        unlike = mean_where((to_other - distances[None]).square(), chosen)
        second = torch.where(unlike > 0, unlike.clamp_min(1e-12).sqrt(), 0 * unlike)
        return first + self.weight * second
