"""Batch norms of a trained network folded into its convolutions: the same function with less arithmetic.

In evaluation mode a batch norm is ``a x + b`` for every channel, with constants ``a`` and ``b``. Behind a convolution
it goes into the weights. In front of a ReLU and a convolution it does too: ``relu(a x + b)`` is ``a clamp(x, low, high)
+ b``, so that one bound a channel remains to be applied, and scale and shift go into the convolution that follows.
Everything is folded in float64 and rounded once.
"""

from __future__ import annotations

from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Clamp", "GreyStem", "clamp_of", "fold_batch_norms", "fold_into", "scale_and_shift"]


class Clamp(NamedTuple):
    """``relu(a x + b) = scale * clamp(x, low, high) + shift`` for every channel: bounds float32, the others float64."""

    low: Tensor
    high: Tensor
    scale: Tensor
    shift: Tensor


def scale_and_shift(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """The float64 (c,) constants ``a`` and ``b`` of a batch norm ``a x + b`` in evaluation mode."""
    mean, variance = norm.get_buffer("running_mean").double(), norm.get_buffer("running_var").double()
    scale = norm.weight.detach().double() / torch.sqrt(variance + norm.eps)
    return scale, norm.bias.detach().double() - scale * mean


def clamp_of(norm: nn.BatchNorm2d) -> Clamp:
    """Write a batch norm and the ReLU behind it as a clamp, a scale and a shift.

    Examples
    --------
    >>> norm = nn.BatchNorm2d(2, eps=0.0).eval()
    >>> _ = norm.weight.data.copy_(torch.tensor([2.0, -1.0])), norm.bias.data.copy_(torch.tensor([-4.0, 3.0]))
    >>> clamp = clamp_of(norm)
    >>> clamp.low.tolist(), clamp.high.tolist()
    ([2.0, -inf], [inf, 3.0])
    """
    scale, shift = scale_and_shift(norm)
    zero = (-shift / scale).float()
    infinity = torch.full_like(zero, torch.inf)
    low, high = torch.where(scale > 0, zero, -infinity), torch.where(scale > 0, infinity, zero)
    # A scale that is zero, or as good as zero beside its shift: the channel is a constant whatever x is.
    constant = ~zero.isfinite()
    low, high = low.masked_fill(constant, 0), high.masked_fill(constant, 0)
    return Clamp(low, high, scale, torch.where(constant, shift.clamp_min(0), shift))


def fold_into(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Weight and bias, float64, of a convolution with the batch norm that comes directly behind it."""
    scale, shift = scale_and_shift(norm)
    bias = shift if convolution.bias is None else shift + scale * convolution.bias.detach().double()
    return convolution.weight.detach().double() * scale.view(-1, 1, 1, 1), bias


def fold_batch_norms(module: nn.Module) -> None:
    """Fold, in place, every batch norm that is registered directly behind a convolution, and put an identity there.

    Only for networks that run such pairs in the order of their registration, as those of torchvision's ResNets.
    """
    children = list(module.named_children())
    for (_, first), (behind, second) in pairwise(children):
        if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
            weight, bias = fold_into(first, second)
            first.weight = nn.Parameter(weight.float(), requires_grad=False)
            first.bias = nn.Parameter(bias.float(), requires_grad=False)
            setattr(module, behind, nn.Identity())
    for _, child in children:
        fold_batch_norms(child)


class GreyStem(nn.Module):
    """First convolution of a network, straight from grey values, or from colours.

    Pixels are an affine function of grey values, and a convolution is linear: the weights of its input channels add up
    to one channel, and what the pixels of a black film give, borders included, is added as a constant map. Of colours
    every channel keeps its own weights.

    Parameters
    ----------
    pixels
        From grey to what the convolution expects; affine and the same at every position.
    convolution
        The first convolution (its stride and padding are kept).
    weight, bias
        Used in the place of its own, float64: a batch norm may be folded into them.
    """

    def __init__(self, pixels: nn.Module, convolution: nn.Conv2d, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        black = torch.zeros(1, 1, 1, 1, device=weight.device)
        slopes = pixels(black + 1).double() - pixels(black).double()
        self.pixels = pixels
        self.colour_weight, self.bias = weight, bias
        self.slopes = slopes
        self.weight = (weight * slopes).sum(1, keepdim=True).float().contiguous(memory_format=torch.channels_last)
        self.stride, self.padding = convolution.stride, convolution.padding
        self._black_maps: dict[tuple[int, ...], Tensor] = {}

    def forward(self, images: Tensor) -> Tensor:
        """(b, 1, s, s), or (b, 3, s, s) with colours, in [0, 1] -> (b, c, s', s')."""
        if images.shape[1] != 1:
            maps = functional.conv2d(images, self._weights_of_colours, None, self.stride, self.padding)
            return maps.add_(self._black_map(images))
        # With one channel both layouts are the same memory; the strides decide which one the result gets.
        b, _, height, width = images.shape
        images = images.reshape(b, height, width, 1).permute(0, 3, 1, 2)
        maps = functional.conv2d(images, self.weight, None, self.stride, self.padding)
        return maps.add_(self._black_map(images))

    @cached_property
    def _weights_of_colours(self) -> Tensor:
        weights: Tensor = self.colour_weight * self.slopes
        return weights.float().contiguous(memory_format=torch.channels_last)

    def _black_map(self, images: Tensor) -> Tensor:
        size = tuple(images.shape[2:])
        if size not in self._black_maps:
            pixels = self.pixels(images.new_zeros(1, 1, *size)).double()
            black = functional.conv2d(pixels, self.colour_weight, self.bias, self.stride, self.padding)
            self._black_maps[size] = black.float().contiguous(memory_format=torch.channels_last)
        return self._black_maps[size]
