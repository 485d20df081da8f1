"""Convolutional networks without a head: from pixels to the last maps, for every model that chooses one by name."""

from __future__ import annotations

import re
from collections import OrderedDict
from copy import deepcopy
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn
from torchvision.models import DenseNet121_Weights, ResNet18_Weights, ResNet50_Weights
from torchvision.models.densenet import DenseNet
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

from graphret.encoders.inference.folding import GreyStem, fold_batch_norms
from graphret.encoders.inference.pixels import ImageNetPixels
from graphret.encoders.networks.backbone_names import backbone_channels
from graphret.encoders.networks.densenet121 import DenseNet121
from graphret.encoders.networks.network import EncoderNetwork

if TYPE_CHECKING:
    from torchvision.models import WeightsEnum

__all__ = ["BackboneNetwork", "create_backbone"]


class _ResNetMaps(ResNet):  # type: ignore[misc]
    """torchvision's ResNet without average and classifier."""

    def __init__(self, block: type[BasicBlock | Bottleneck], layers: list[int]) -> None:
        super().__init__(block, layers)
        self.fc = nn.Identity()

    def forward(self, pixels: Tensor) -> Tensor:
        """(b, 3, s, s) -> (b, c, s/32, s/32), never negative."""
        maps = self.maxpool(self.relu(self.bn1(self.conv1(pixels))))
        last: Tensor = self.layer4(self.layer3(self.layer2(self.layer1(maps))))
        return last


class _DenseNetMaps(nn.Sequential):
    """torchvision's DenseNet-121 without average and classifier, with the final ReLU."""

    def __init__(self) -> None:
        super().__init__(OrderedDict(DenseNet(32, (6, 12, 24, 16), 64).features.named_children()))

    def forward(self, pixels: Tensor) -> Tensor:
        """(b, 3, s, s) -> (b, 1024, s/32, s/32), never negative."""
        return torch.relu(super().forward(pixels))


class _SmallMaps(nn.Sequential):
    """Four convolutions with stride 2, for tests and small machines; films of 32 px give maps of 2 x 2."""

    def __init__(self) -> None:
        layers: list[tuple[str, nn.Module]] = []
        channels = (3, 16, 32, 64, 64)
        for number in range(1, 5):
            convolution = nn.Conv2d(channels[number - 1], channels[number], 3, stride=2, padding=1, bias=False)
            nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
            layers += [
                (f"conv{number}", convolution),
                (f"bn{number}", nn.BatchNorm2d(channels[number])),
                (f"relu{number}", nn.ReLU(inplace=True)),
            ]
        super().__init__(OrderedDict(layers))


_MAKERS: dict[str, tuple[Any, WeightsEnum | None]] = {
    "densenet121": (_DenseNetMaps, DenseNet121_Weights.IMAGENET1K_V1),
    "resnet18": (lambda: _ResNetMaps(BasicBlock, [2, 2, 2, 2]), ResNet18_Weights.IMAGENET1K_V1),
    "resnet50": (lambda: _ResNetMaps(Bottleneck, [3, 4, 6, 3]), ResNet50_Weights.IMAGENET1K_V1),
    "small_cnn": (_SmallMaps, None),
}


def create_backbone(name: str) -> nn.Module:
    """Make a backbone with random weights: ImageNet pixels (b, 3, s, s), s >= 32, to maps (b, c, h, w), never negative.

    ``backbone_channels(name)`` is c. Tensors have torchvision's names, without those of the classifier.

    Raises
    ------
    UnknownNameError
        As `backbone_channels`.

    Examples
    --------
    >>> create_backbone("small_cnn")(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 64, 2, 2])
    """
    backbone_channels(name)
    backbone: nn.Module = _MAKERS[name][0]()
    return backbone


class BackboneNetwork(EncoderNetwork):
    """An encoder network over a backbone that an option chooses.

    Parameters
    ----------
    backbone
        Name of the backbone.
    """

    heads: ClassVar[tuple[str, ...]] = ("classifier", "attention", "hash", "pooling", "proposals", "turn", "whitening")

    def __init__(self, backbone: str) -> None:
        super().__init__()
        self.pixels: nn.Module = ImageNetPixels()
        self.backbone = create_backbone(backbone)
        self.channels = backbone_channels(backbone)
        # Of the backbone, where others have it of the class.
        self.imagenet_weights = _MAKERS[backbone][1]  # type: ignore[misc]

    def maps(self, images: Tensor) -> Tensor:
        """Last maps of the backbone, float (b, channels, h, w), never negative."""
        maps: Tensor = self.backbone(self.pixels(images))
        return maps

    def for_device(self) -> BackboneNetwork:
        """The copy of `for_inference`: it is made where the network is, and runs there."""
        return self.for_inference()

    def for_inference(self) -> BackboneNetwork:
        """A copy with batch norms folded into the convolutions, and grey values fed to the first one.

        A DenseNet's norms stand before its convolutions, out of the reach of this; it is the network itself.
        """
        if isinstance(self.backbone, _DenseNetMaps):
            return self
        copy = deepcopy(self).eval().requires_grad_(False)
        backbone: Any = copy.backbone
        fold_batch_norms(backbone)
        first = backbone.conv1
        backbone.conv1 = GreyStem(self.pixels, first, first.weight.double(), first.bias.double())
        copy.pixels = nn.Identity()
        return copy.to(memory_format=torch.channels_last)

    @staticmethod
    def own_key(key: str) -> str:
        """Our name of a tensor of torchvision's ResNet or DenseNet, or of a classifier over either."""
        if key.startswith(("backbone.", "pixels.", *(f"{head}." for head in BackboneNetwork.heads))):
            return key
        if key.startswith("features."):
            return DenseNet121.own_key(key)
        return re.sub(r"^backbone\.fc\.", "classifier.", f"backbone.{key}")
