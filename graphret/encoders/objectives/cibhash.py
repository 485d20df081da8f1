"""CIBHash: two changed views of a film get the same bits, and other films do not, without any label."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from torch.nn.functional import logsigmoid, normalize

from graphret._checks import check_flag, check_number
from graphret.encoders.objectives.objective import NetworkOutputs, Objective, Targets
from graphret.encoders.objectives.sign_layer import straight_sign

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["CIBHash"]


class CIBHash(Objective):
    """CIBHash (Qiu, Su, Ou, Yu, Chen, IJCAI 2021), averaged over the views of the films of a batch.

    ``L = -log(e^(cos(b, b') / temperature) / sum_(o != b) e^(cos(b, o) / temperature)) + weight (KL(p || p') + KL(p' ||
    p)) / 2`` for the bits b and b' of two views of a film, the bits o of all views of the batch but b itself, and the
    chances ``p = sigmoid(u)`` of the bits to be 1. KL is summed over the bits; the second of its arguments is a
    constant. Bits are drawn, ``b = sign(p - r)`` with r uniform in [0, 1] and the gradient passed through unchanged;
    ``sampled=False`` takes r = 1/2, as the authors' code does, and so does a loss that is not in training. No label is
    read. A film that could not be read has the pixels of another one, and takes part.

    Written from the authors' code and public knowledge of the paper, whose text was not at hand: the drawn bits are the
    paper's. Its views are crops, mirrored, of other colours and blurred; ours are those of the training's
    ``augmentation``. The network under it is VGG-16 there, and any backbone here.

    Parameters
    ----------
    labels, n_bits
        As for every :class:`Objective`; not read.
    temperature
        > 0; .3 in the authors' code.
    weight
        Of the divergence, >= 0; .001 in the authors' code.
    sampled
        Whether bits are drawn in training.

    Notes
    -----
    O(b^2 n_bits) time and O(b^2) memory.
    """

    uses_views: ClassVar[bool] = True

    def __init__(
        self,
        labels: NDArray[np.int8],  # noqa: ARG002 - one signature for all
        n_bits: int | None = None,  # noqa: ARG002
        temperature: float = 0.3,
        weight: float = 0.001,
        sampled: bool = True,
    ) -> None:
        super().__init__()
        self.temperature = check_number("temperature", temperature, above=0)
        self.weight = check_number("weight", weight, at_least=0)
        self.sampled = check_flag("sampled", sampled)

    def forward(self, outputs: NetworkOutputs, targets: Targets) -> Tensor:  # noqa: ARG002
        """Loss of a batch: the first half of the outputs is one view of every film, the second half the other."""
        codes = outputs.codes
        chances = torch.sigmoid(codes)
        threshold = torch.rand_like(chances) if self.sampled and self.training else torch.full_like(chances, 0.5)
        bits = normalize(straight_sign(chances - threshold), dim=1)
        itself = torch.eye(len(bits), dtype=torch.bool, device=bits.device)
        scores = (bits @ bits.T / self.temperature).masked_fill(itself, torch.finfo(bits.dtype).min)
        half = len(bits) // 2
        other_view = torch.arange(len(bits), device=bits.device).roll(half)
        contrast = -torch.log_softmax(scores, dim=1).gather(1, other_view[:, None]).mean()
        first, second = codes[:half], codes[half:]
        return contrast + self.weight * (_divergence(first, second) + _divergence(second, first)) / 2


def _divergence(codes: Tensor, others: Tensor) -> Tensor:
    """KL of Bernoulli bits with the logits ``codes`` from those with the logits ``others``, which are constants."""
    others = others.detach()
    of_one = torch.sigmoid(codes) * (logsigmoid(codes) - logsigmoid(others))
    of_zero = torch.sigmoid(-codes) * (logsigmoid(-codes) - logsigmoid(-others))
    return (of_one + of_zero).sum(dim=1).mean()
