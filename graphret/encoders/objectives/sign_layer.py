"""A sign whose gradient passes through as if it were not there, and how far values are from theirs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from graphret.encoders.objectives.relations import signs

__all__ = ["cubic_quantisation", "straight_sign"]


class _StraightSign(torch.autograd.Function):
    @staticmethod
    def forward(values: Tensor) -> Tensor:
        return signs(values)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Keep nothing: the gradient does not depend on the values."""

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:  # noqa: ARG004 - torch's signature
        return gradients[0]


def straight_sign(values: Tensor) -> Tensor:
    """-1 and 1; backwards, the gradient as it comes (Su et al. 2018). The sign of 0 is 1, as everywhere in graphret.

    Examples
    --------
    >>> values = torch.tensor([-2.0, 0.0, 0.5], requires_grad=True)
    >>> (straight_sign(values) * torch.tensor([1.0, 2.0, 3.0])).sum().backward()
    >>> values.grad
    tensor([1., 2., 3.])
    """
    result: Tensor = _StraightSign.apply(values)  # type: ignore[no-untyped-call]
    return result


def cubic_quantisation(values: Tensor) -> Tensor:
    """``| |u| - 1 |^3`` of every value, the penalty of Su et al. 2018.

    Examples
    --------
    >>> cubic_quantisation(torch.tensor([-1.0, 0.0, 3.0]))
    tensor([0., 1., 8.])
    """
    return (values.abs() - 1).abs().pow(3)
