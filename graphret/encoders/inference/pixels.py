"""From films in [0, 1] to what a pretrained backbone was fed with: a part of the network, so none forgets it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["PIXELS", "ImageNetPixels", "XrayVisionPixels"]


class ImageNetPixels(nn.Module):
    """Repeat grey to three channels, or take three colours, and normalise each with ImageNet's mean and deviation."""

    n_channels = 3
    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        # Constants of the model, not weights: they are not saved and not loaded.
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """(b, 1, s, s) or (b, 3, s, s) in [0, 1] -> (b, 3, s, s)."""
        return (images - self.mean) / self.std


class XrayVisionPixels(nn.Module):
    """Scale grey to [-1024, 1024], one channel, as every network of torchxrayvision expects it."""

    n_channels = 1

    def forward(self, images: Tensor) -> Tensor:
        """(b, 1, s, s) in [0, 1] -> (b, 1, s, s)."""
        return images * 2048.0 - 1024.0


PIXELS: dict[str, type[ImageNetPixels] | type[XrayVisionPixels]] = {
    "imagenet": ImageNetPixels,
    "xrayvision": XrayVisionPixels,
}
