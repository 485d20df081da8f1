"""DenseNet without gradients, for a processor: torchvision's function in another order of work.

Three things make it faster than the module that was trained. Every dense block has one array of pixels (rows) and
channels (columns), into which each layer writes its new columns, where the module copies all channels together before
every layer. Batch norms are folded (`graphret.encoders.inference.folding`), and 1 x 1 convolutions are matrix products
over a few hundred rows at a time, which are still in the cache when the product reads them. A transition averages
before its 1 x 1 convolution, with which averaging commutes: a quarter of the products.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from graphret.encoders.inference.folding import GreyStem, clamp_of, fold_into, scale_and_shift

if TYPE_CHECKING:
    from torchvision.models.densenet import _DenseLayer, _Transition

    from graphret.encoders.inference.pixels import ImageNetPixels, XrayVisionPixels

__all__ = ["DenseNetInference"]

TILE_VALUES = 1 << 17
"""Values of the rows that are clamped and multiplied at a time: they stay in a second-level cache, and are rows enough
for the product to arrange the weights anew for them."""


class _Trained(Protocol):
    """What is read of a `DenseNet121`, or of layers that hold its weights."""

    @property
    def backbone(self) -> Any: ...
    @property
    def pixels(self) -> ImageNetPixels | XrayVisionPixels: ...
    @property
    def classifier(self) -> nn.Linear: ...


class DenseNetInference:
    """What `DenseNet121` computes in evaluation mode, from a copy of its weights.

    Parameters
    ----------
    network
        Its weights are read once; later changes of them are not seen.

    Notes
    -----
    Differs from the module by float32 rounding: codes agree to about 1e-6 of their largest value.
    """

    def __init__(self, network: _Trained) -> None:
        backbone = network.backbone
        self.stem = GreyStem(network.pixels, backbone.conv0, *fold_into(backbone.conv0, backbone.norm0))
        self.blocks: list[_Block] = []
        for number in range(1, 5):
            layers = list(getattr(backbone, f"denseblock{number}").values())
            transition = getattr(backbone, f"transition{number}", None)
            self.blocks.append(_Block(layers, None if transition is None else _Averaging(transition)))
        self.scale, self.shift = (values.float() for values in scale_and_shift(backbone.norm5))
        self.classifier = nn.Linear(network.classifier.in_features, network.classifier.out_features)
        self.classifier.requires_grad_(False).load_state_dict(network.classifier.state_dict())

    def features(self, images: Tensor) -> Tensor:
        """Codes (b, 1024)."""
        maps = functional.max_pool2d(self.stem(images).relu_(), kernel_size=3, stride=2, padding=1)
        grid = maps.permute(0, 2, 3, 1)
        for block in self.blocks:
            grid = block(grid)
        return torch.addcmul(self.shift, grid, self.scale).relu_().mean(dim=(1, 2))

    def forward(self, images: Tensor) -> Tensor:
        """Logits (b, n_labels)."""
        logits: Tensor = self.classifier(self.features(images))
        return logits


class _ClampedProduct:
    """Batch norm, ReLU, 1 x 1 convolution and perhaps the batch norm behind it: a clamp and a matrix product."""

    def __init__(self, norm: nn.BatchNorm2d, convolution: nn.Conv2d, behind: nn.BatchNorm2d | None = None) -> None:
        clamp = clamp_of(norm)
        self.low, self.high = clamp.low, clamp.high
        if behind is None:
            weight, bias = convolution.weight.detach().double(), torch.zeros(convolution.out_channels).double()
        else:
            weight, bias = fold_into(convolution, behind)
        columns = weight[:, :, 0, 0].T
        self.weight = (clamp.scale[:, None] * columns).float().contiguous()
        self.bias = (bias + clamp.shift @ columns).float()

    def clamp(self, rows: Tensor, out: Tensor) -> Tensor:
        return torch.clamp(rows, self.low, self.high, out=out)

    def multiply(self, rows: Tensor, out: Tensor) -> Tensor:
        return torch.addmm(self.bias, rows, self.weight, out=out)


class _Layer:
    """One dense layer: from all channels so far to a few new ones."""

    def __init__(self, layer: _DenseLayer) -> None:
        self.reduce = _ClampedProduct(layer.norm1, layer.conv1, layer.norm2)
        self.weight = layer.conv2.weight.detach().contiguous(memory_format=torch.channels_last)
        self.n_in, self.n_out = layer.conv1.in_channels, layer.conv2.out_channels

    def __call__(self, grid: Tensor, reduced: Tensor, scratch: Tensor) -> None:
        """Fill the columns behind the first ``n_in`` of ``grid`` (n, h, w, c)."""
        rows = grid.view(-1, grid.shape[3])[:, : self.n_in]
        step = max(1, TILE_VALUES // self.n_in)
        for part, product in zip(rows.split(step), reduced.split(step), strict=True):
            tile = self.reduce.clamp(part, out=scratch[: part.numel()].view(part.shape))
            self.reduce.multiply(tile, out=product).relu_()
        maps = reduced.view(*grid.shape[:3], -1).permute(0, 3, 1, 2)
        new = functional.conv2d(maps, self.weight, padding=1)
        grid[..., self.n_in : self.n_in + self.n_out] = new.permute(0, 2, 3, 1)


class _Averaging:
    """A transition: half of the channels, half of the side."""

    def __init__(self, transition: _Transition) -> None:
        self.product = _ClampedProduct(transition.norm, transition.conv)

    def __call__(self, grid: Tensor) -> Tensor:
        clamped = self.product.clamp(grid, out=torch.empty_like(grid)).permute(0, 3, 1, 2)
        means = functional.avg_pool2d(clamped, kernel_size=2, stride=2).permute(0, 2, 3, 1)
        rows = means.reshape(-1, means.shape[3])
        out = rows.new_empty(len(rows), len(self.product.bias))
        return self.product.multiply(rows, out=out).view(*means.shape[:3], -1)


class _Block:
    """A dense block and, but for the last, the transition behind it."""

    def __init__(self, layers: list[_DenseLayer], transition: _Averaging | None) -> None:
        self.layers = [_Layer(layer) for layer in layers]
        self.transition = transition
        self.n_in = self.layers[0].n_in
        self.n_channels = self.n_in + sum(layer.n_out for layer in self.layers)
        self.n_reduced = len(self.layers[0].reduce.bias)

    def __call__(self, grid: Tensor) -> Tensor:
        """(n, h, w, c) -> (n, h', w', c')."""
        n, height, width, _ = grid.shape
        block = grid.new_empty(n, height, width, self.n_channels)
        block[..., : self.n_in] = grid
        reduced = grid.new_empty(n * height * width, self.n_reduced)
        scratch = grid.new_empty(max(TILE_VALUES, self.n_channels))
        for layer in self.layers:
            layer(block, reduced, scratch)
        return block if self.transition is None else self.transition(block)
