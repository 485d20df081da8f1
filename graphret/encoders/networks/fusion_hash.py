"""Fusion hash (Guan et al. 2023): a global feature of the film, a local one of what spatial attention points at."""

from __future__ import annotations

import re
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import ResNet50_Weights
from torchvision.models.resnet import Bottleneck

from graphret._errors import UnknownNameError
from graphret.encoders.inference.pixels import ImageNetPixels
from graphret.encoders.networks.backbones import create_backbone
from graphret.encoders.networks.network import EncoderNetwork, resized_to
from graphret.encoders.objectives.objective import NetworkOutputs

__all__ = ["DESCRIPTORS", "FEATURES", "FusionHash", "RefinementBlock", "SpatialAttention"]

DESCRIPTORS = {
    "full": ("maximum", "mean", "max_pooling"),
    "without_max_pooling": ("maximum", "mean"),
    "without_max_pooling_and_mean": ("maximum",),
}
"""Rows of Guan et al. 2023, Table 4, and the descriptors of the spatial attention that each has."""

FEATURES = ("fused", "global", "local")
"""Rows of Guan et al. 2023, Table 5."""

CHANNELS = 2048


class SpatialAttention(nn.Module):
    """One weight in (0, 1) for every position, from up to three descriptors of the maps.

    Parameters
    ----------
    descriptors
        Of ``"maximum"`` and ``"mean"`` over the channels, and ``"max_pooling"``: the mean over the channels of the
        maxima of 3x3 neighbours.
    """

    def __init__(self, descriptors: tuple[str, ...]) -> None:
        super().__init__()
        self.descriptors = descriptors
        self.convolution = nn.Conv2d(len(descriptors), 1, 7, padding=3)

    def forward(self, maps: Tensor) -> Tensor:
        """(b, c, h, w) -> (b, 1, h, w)."""
        found = []
        if "maximum" in self.descriptors:
            found.append(maps.amax(dim=1, keepdim=True))
        if "mean" in self.descriptors:
            found.append(maps.mean(dim=1, keepdim=True))
        if "max_pooling" in self.descriptors:
            found.append(functional.max_pool2d(maps, 3, stride=1, padding=1).mean(dim=1, keepdim=True))
        return torch.sigmoid(self.convolution(torch.cat(found, dim=1)))


class RefinementBlock(nn.Module):
    """A residual block (the bottleneck of ResNet-50) and the average over all positions."""

    def __init__(self) -> None:
        super().__init__()
        self.residual = Bottleneck(CHANNELS, CHANNELS // 4)

    def forward(self, maps: Tensor) -> Tensor:
        """(b, 2048, h, w) -> (b, 2048)."""
        refined: Tensor = self.residual(maps).mean(dim=(2, 3))
        return refined


class FusionHash(EncoderNetwork):
    """The system of Guan et al. 2023 with its ablations.

    ResNet-50; a refinement block over its maps gives the global feature, another one over the maps times the spatial
    attention the local one; both together, one linear layer to the bits, one from there to the labels.

    Departures from the paper, whose text survives in parts only: the attention map is made of the descriptors by one
    7x7 convolution and a sigmoid, as such modules have it; the third descriptor is read as 3x3 maximum pooling averaged
    over the channels; the cross entropy is that of a linear classifier over the code.

    Parameters
    ----------
    n_labels
        Outputs of the classifier.
    n_bits
        Length of the code.
    descriptors
        ``"full"``, ``"without_max_pooling"`` or ``"without_max_pooling_and_mean"`` (Guan et al. 2023, Table 4).
    feature
        ``"fused"``, ``"global"`` or ``"local"`` (Guan et al. 2023, Table 5).
    """

    heads: ClassVar[tuple[str, ...]] = ("classifier", "hash")
    imagenet_weights = ResNet50_Weights.IMAGENET1K_V1

    def __init__(self, n_labels: int, n_bits: int, descriptors: str = "full", feature: str = "fused") -> None:
        super().__init__()
        if descriptors not in DESCRIPTORS:
            raise UnknownNameError("descriptors", descriptors, DESCRIPTORS)
        if feature not in FEATURES:
            raise UnknownNameError("feature", feature, FEATURES)
        self.pixels: nn.Module = ImageNetPixels()
        self.backbone = create_backbone("resnet50")
        self.global_refinement = RefinementBlock() if feature != "local" else None
        self.attention = SpatialAttention(DESCRIPTORS[descriptors]) if feature != "global" else None
        self.local_refinement = RefinementBlock() if feature != "global" else None
        self.hash = nn.Linear(CHANNELS * (2 if feature == "fused" else 1), n_bits)
        self.classifier = nn.Linear(n_bits, n_labels)
        nn.init.zeros_(self.classifier.bias)

    def features(self, images: Tensor) -> Tensor:
        """Values (b, n_bits), of any size, whose signs are the bits."""
        maps = self.backbone(self.pixels(images))
        found = []
        if self.global_refinement is not None:
            found.append(self.global_refinement(maps))
        if self.attention is not None and self.local_refinement is not None:
            found.append(self.local_refinement(maps * self.attention(maps)))
        codes: Tensor = self.hash(torch.cat(found, dim=1))
        return codes

    def outputs(self, images: Tensor) -> NetworkOutputs:
        """Codes, and logits (b, n_labels) read off them."""
        codes = self.features(images)
        return NetworkOutputs(codes, self.classifier(codes))

    def saliency(self, images: Tensor) -> Tensor | None:
        """The attention map resized to the film, (b, s, s) in (0, 1); ``None`` of the global feature alone."""
        if self.attention is None:
            return None
        return resized_to(self.attention(self.backbone(self.pixels(images))), images)[:, 0]

    def fitted(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Take the refinement and the attention, which come with no pretrained backbone, from the network itself."""
        given = ("backbone.", *(f"{head}." for head in self.heads))
        own = {key: value for key, value in self.state_dict().items() if not key.startswith(given)}
        return own | {key: value for key, value in tensors.items() if not key.startswith("backbone.fc.")}

    @staticmethod
    def own_key(key: str) -> str:
        """Our name of a tensor of torchvision's ResNet."""
        named = re.match(r"(backbone|global_refinement|attention|local_refinement|hash|classifier)\.", key)
        return key if named else f"backbone.{key}"
