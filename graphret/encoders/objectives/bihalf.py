"""Bi-half: half of the films of a batch get 1 for a bit and half -1, so that every bit says as much as it can."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from graphret._checks import check_number
from graphret.encoders.objectives.feature_pairs import cosine_difference, features_of
from graphret.encoders.objectives.objective import NetworkOutputs, Objective, Targets

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["BiHalf", "bi_half"]


class BiHalf(Objective):
    """Bi-half (Li, van Gemert, AAAI 2021).

    ``L = mean((cos(b_i, b_j) - cos(x_i, x_j))^2)`` over pairs of films of a batch, with the bits b of
    :func:`bi_half` and the features x of a pretrained network that stays as it is. No label is read. A film that could
    not be read has the pixels of another one, and takes part. The layer stands in the training only: at the end, the
    bits are the signs of the network's outputs.

    Written from the authors' code and public knowledge of the paper, whose text was not at hand. The authors' network
    is VGG-16; here it is any backbone.

    Parameters
    ----------
    labels, n_bits
        As for every :class:`Objective`; not read.
    gamma
        Weight of the transport from outputs to bits, >= 0; 6 in the authors' code for CIFAR-10.
    """

    def __init__(
        self,
        labels: NDArray[np.int8],  # noqa: ARG002 - one signature for all
        n_bits: int | None = None,  # noqa: ARG002
        gamma: float = 6.0,
    ) -> None:
        super().__init__()
        self.gamma = check_number("gamma", gamma, at_least=0)

    def forward(self, outputs: NetworkOutputs, targets: Targets) -> Tensor:  # noqa: ARG002
        """Loss of a batch."""
        return cosine_difference(bi_half(outputs.codes, self.gamma), features_of(outputs))


class _BiHalf(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, gamma: float) -> Tensor:
        order = values.argsort(dim=0, descending=True, stable=True)
        sides = torch.ones_like(values)
        sides[len(values) // 2 :] = -1
        bits = torch.empty_like(values).scatter_(0, order, sides)
        ctx.save_for_backward(values, bits)
        ctx.gamma = gamma
        return bits

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        values, bits = ctx.saved_tensors
        return gradients[0] + ctx.gamma * (values - bits) / bits.numel(), None


def bi_half(values: Tensor, gamma: float) -> Tensor:
    """In every column, 1 for the larger half of the values (b // 2 of them), -1 for the others; equal ones by place.

    Backwards, ``gamma (u - b) / (b n_bits)`` is added to the gradient, which else passes through unchanged.

    Examples
    --------
    >>> values = torch.tensor([[0.5], [2.0], [9.0], [1.0]], requires_grad=True)
    >>> bi_half(values, 0.0).flatten().tolist()
    [-1.0, 1.0, 1.0, -1.0]
    """
    result: Tensor = _BiHalf.apply(values, gamma)  # type: ignore[no-untyped-call]
    return result
