"""OrthoHash: one loss, the cosine between a code and the binary target of its class, with a margin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn.functional import normalize

from graphret._checks import check_integer, check_number
from graphret.encoders.objectives.centers import ClassCenters
from graphret.encoders.objectives.classes import class_cross_entropy
from graphret.encoders.objectives.objective import NetworkOutputs, Objective, Targets

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["OrthoHash"]


class OrthoHash(Objective):
    """OrthoHash (Hoe, Ng, Zhang, Chan, Song, Xiang, NeurIPS 2021), averaged over the films of a batch.

    ``L = -log(e^(scale (cos t_y - margin)) / (e^(scale (cos t_y - margin)) + sum_(c != y) e^(scale cos t_c)))`` where
    ``t_c`` is the angle between the code v and the binary target ``o_c`` of class c. The network normalises the codes
    over the batch before they are read (batch normalisation), which balances the bits; their signs are the bits.

    Several labels, as in the paper: the softmax is asked for equal shares of the film's classes, each with the margin.
    Ours: films without any finding are a class of their own; uncertain labels are left out of the softmax; films of
    which no class is known are left out.

    Written from the authors' code (scale, margin and drawn targets are its defaults) and public knowledge of the paper,
    whose text was not at hand. Its targets are drawn bit by bit; see
    :func:`~graphret.encoders.objectives.centers.hash_centers` for ours.

    Parameters
    ----------
    labels, n_bits
        As for every :class:`Objective`; ``n_bits`` is needed.
    scale
        > 0; 8 in the authors' code.
    margin
        >= 0; .2 in the authors' code (.3 for CIFAR-10).
    centers
        ``"auto"``, ``"hadamard"`` (orthogonal to the letter) or ``"bernoulli"``.
    seed
        Of drawn targets.
    """

    def __init__(
        self,
        labels: NDArray[np.int8],
        n_bits: int | None = None,
        scale: float = 8.0,
        margin: float = 0.2,
        centers: str = "bernoulli",
        seed: int = 0,
    ) -> None:
        super().__init__()
        length = check_integer("n_bits", n_bits, 1, "orthohash has targets of that length")
        self.scale, self.margin = check_number("scale", scale, above=0), check_number("margin", margin, at_least=0)
        self.centers = ClassCenters(labels, length, centers, seed)

    def forward(self, outputs: NetworkOutputs, targets: Targets) -> Tensor:
        """Loss of a batch."""
        codes = outputs.codes
        membership = self.centers.membership(targets.labels)
        cosines = normalize(codes, dim=1) @ normalize(self.centers.centers.to(codes.dtype), dim=1).T
        return class_cross_entropy(self.scale * (cosines - self.margin * (membership == 1)), membership)
