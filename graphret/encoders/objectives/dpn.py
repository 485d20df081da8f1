"""Deep polarized network: every bit is pushed past a margin on the side that the target of its class has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from graphret._checks import check_integer, check_number
from graphret.encoders.objectives.centers import ClassCenters
from graphret.encoders.objectives.objective import NetworkOutputs, Objective, Targets
from graphret.encoders.objectives.relations import mean_where

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["DPN"]


class DPN(Objective):
    """DPN (Fan, Ng, Ju, Zhang, Chan, IJCAI 2020), averaged over the films of a batch.

    ``L = sum_k max(0, margin - u_k t_k)`` with the network's outputs u and the random target t in {-1, 1}^K of the
    film's class: a hinge for every bit, so that a bit on the wrong side costs at least the margin.

    Several labels, as in the authors' code: the sum over the film's classes. Ours: films without any finding are a
    class of their own; uncertain labels have no part; films of which no class is known are left out.

    Written from the authors' code and public knowledge of the paper, whose text was not at hand. Targets stay as they
    are drawn (:func:`~graphret.encoders.objectives.centers.hash_centers`): the variants that update them between the
    passes, or round codes to -1, 0 and 1, are not part of this.

    Parameters
    ----------
    labels, n_bits
        As for every :class:`Objective`; ``n_bits`` is needed.
    margin
        > 0; 1 in the paper.
    centers
        ``"auto"``, ``"hadamard"`` or ``"bernoulli"``.
    seed
        Of drawn targets.

    Notes
    -----
    O(b C n_bits) time and memory for C classes.
    """

    def __init__(
        self,
        labels: NDArray[np.int8],
        n_bits: int | None = None,
        margin: float = 1.0,
        centers: str = "bernoulli",
        seed: int = 0,
    ) -> None:
        super().__init__()
        length = check_integer("n_bits", n_bits, 1, "dpn has targets of that length")
        self.margin = check_number("margin", margin, above=0)
        self.centers = ClassCenters(labels, length, centers, seed)

    def forward(self, outputs: NetworkOutputs, targets: Targets) -> Tensor:
        """Loss of a batch."""
        codes = outputs.codes
        member = self.centers.membership(targets.labels) == 1
        hinges = torch.relu(self.margin - codes[:, None, :] * self.centers.centers.to(codes.dtype)).sum(dim=2)
        return mean_where(torch.where(member, hinges, 0.0).sum(dim=1), member.any(dim=1))
