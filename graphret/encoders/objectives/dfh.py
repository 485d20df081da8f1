"""Deep Fisher hashing: pairs with a margin, and codes drawn to class centres that are driven apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn.functional import softplus

from graphret._checks import check_number
from graphret.encoders.objectives.classes import class_membership, has_healthy_films
from graphret.encoders.objectives.code_memory import CodeMemory
from graphret.encoders.objectives.relations import known_films, mean_where, signs

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from graphret.encoders.objectives.objective import NetworkOutputs, Targets

__all__ = ["DFH", "moved_centers"]

_STEPS, _RATE, _SLOWER = 200, 0.03, (148, 178)


class DFH(CodeMemory):
    """DFH (Li, Pei, Zha, van Gemert, BMVC 2019), of the films of a batch with all training films.

    ``L = mean_ij(s_ij log(1 + e^(margin - theta_ij)) + (1 - s_ij) log(1 + e^(margin + theta_ij))) + quantisation
    mean(||b_i - u_i||^2)`` with ``theta_ij = u_i . u_j / 2``, i in the batch and j any training film (its code as it
    was when last in a batch), and the bits ``b_i = sign(u_i + pull sum of sign(v_c))`` over the classes c of film i.
    The relaxed centres V go on, at every step, by gradient descent on ``mean((V Y - B)^2) + apart mean((V^T V - n_bits
    (2 I - 1))^2) + binary mean((V - sign V)^2)`` with the members Y of the batch: the Fisher part, near to the codes of
    their class, far from each other (:func:`moved_centers`). They start at 0, and the sign of such a centre is 0.

    Several labels, as in the authors' code: a film is near to the sum of its centres; films are similar where they
    share a label. Ours: films without any finding are a class of their own; uncertain labels are no membership, and
    pairs whose relation they leave open have no part; a film makes no pair with itself; films that were in no batch yet
    are left out (in the code their codes are 0).

    Written from the authors' code and public knowledge of the paper, whose text was not at hand. The margin is on both
    kinds of pairs, and 3, as in a public implementation; the authors' file for COCO has it switched off.

    Parameters
    ----------
    labels, n_bits
        As for every :class:`Objective`; ``n_bits`` is needed.
    margin
        >= 0.
    pull
        Weight of the centres in the bits, >= 0; 1 in the authors' code.
    apart, binary
        Weights of the centres' distances and of their quantisation, >= 0; 1 and 1 in the authors' code.
    quantisation
        >= 0; .5 in the authors' code.

    Notes
    -----
    O(b n_train n_bits + 200 (b + C) C n_bits) a step for C classes, and 4 n_train n_bits bytes in every checkpoint.
    """

    relaxed: Tensor

    def __init__(
        self,
        labels: NDArray[np.int8],
        n_bits: int | None = None,
        margin: float = 3.0,
        pull: float = 1.0,
        apart: float = 1.0,
        binary: float = 1.0,
        quantisation: float = 0.5,
    ) -> None:
        super().__init__(labels, n_bits, "dfh")
        self.margin, self.pull = check_number("margin", margin, at_least=0), check_number("pull", pull, at_least=0)
        self.apart, self.binary = check_number("apart", apart, at_least=0), check_number("binary", binary, at_least=0)
        self.quantisation = check_number("quantisation", quantisation, at_least=0)
        self.healthy = has_healthy_films(labels)
        n_classes = labels.shape[1] + self.healthy
        self.register_buffer("relaxed", torch.zeros(self.seen_codes.shape[1], n_classes))

    def forward(self, outputs: NetworkOutputs, targets: Targets) -> Tensor:
        """Loss of a batch; while training, its codes are kept and the centres move."""
        outputs, targets = known_films(outputs, targets)
        codes = outputs.codes
        member = (class_membership(targets.labels, self.healthy) == 1).to(codes.dtype)
        bits = signs(codes + self.pull * member @ torch.sign(self.relaxed.to(codes.dtype)).T).detach()
        if self.training and len(codes):
            moved = moved_centers(self.relaxed.to(codes.dtype), member, bits, self.apart, self.binary)
            self.relaxed.copy_(moved)
        theta, similar, counted = self.pairs(codes, targets)
        loss = mean_where(softplus(self.margin + torch.where(similar, -theta, theta)), counted)
        return loss + self.quantisation * (bits - codes).square().sum() / max(codes.numel(), 1)


def moved_centers(relaxed: Tensor, member: Tensor, bits: Tensor, apart: float, binary: float) -> Tensor:
    """Centres after 200 steps of gradient descent (Li et al. 2019, as in the authors' ``Gradient_center``).

    The rate is .03, a tenth of it from the 149th step, and a hundredth from the 179th.

    Parameters
    ----------
    relaxed
        float (n_bits, C), V before.
    member
        float (b, C) of 0 and 1.
    bits
        float (b, n_bits) of -1 and 1.
    apart, binary
        As for :class:`DFH`.

    Returns
    -------
    Tensor
        float (n_bits, C).
    """
    n_bits, n_classes = relaxed.shape
    centers, rate = relaxed.clone(), _RATE
    wanted = n_bits * (2 * torch.eye(n_classes, dtype=centers.dtype, device=centers.device) - 1)
    for step in range(_STEPS):
        rate = rate / 10 if step in _SLOWER else rate
        intra = (centers @ member.T - bits.T) @ member / bits.numel()
        inter = 2 * centers @ (centers.T @ centers - wanted) / n_classes**2
        to_signs = (centers - torch.sign(centers)) / centers.numel()
        centers -= 2 * rate * (intra + apart * inter + binary * to_signs)
    return centers
