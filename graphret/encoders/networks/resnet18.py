"""ResNet-18: a dense encoder that is quick enough for tests, demonstrations and machines without an accelerator."""

from __future__ import annotations

import re
from copy import deepcopy

import torch
from torch import Tensor, nn
from torchvision.models import ResNet18_Weights, resnet18

from graphret.encoders.inference.folding import GreyStem, fold_batch_norms
from graphret.encoders.inference.pixels import ImageNetPixels
from graphret.encoders.networks.network import EncoderNetwork
from graphret.encoders.objectives.objective import NetworkOutputs

__all__ = ["ResNet18"]


class ResNet18(EncoderNetwork):
    """ResNet-18 (He et al. 2016) with one linear classifier over its 512 averaged features.

    Parameters
    ----------
    n_labels
        Outputs of the classifier.
    """

    imagenet_weights = ResNet18_Weights.IMAGENET1K_V1

    def __init__(self, n_labels: int) -> None:
        super().__init__()
        self.pixels: nn.Module = ImageNetPixels()
        self.backbone = resnet18(weights=None)
        self.classifier = nn.Linear(self.backbone.fc.in_features, n_labels)
        self.backbone.fc = nn.Identity()
        nn.init.zeros_(self.classifier.bias)

    def features(self, images: Tensor) -> Tensor:
        """Codes (b, 512): the maps after the last block (which ends in a ReLU), averaged over all positions."""
        codes: Tensor = self.backbone(self.pixels(images))
        return codes

    def position_features(self, images: Tensor) -> Tensor:
        """Maps (b, 512, h, w) after the last block, whose average is the code."""
        network = self.backbone
        maps: Tensor = network.maxpool(network.relu(network.bn1(network.conv1(self.pixels(images)))))
        for block in (network.layer1, network.layer2, network.layer3, network.layer4):
            maps = block(maps)
        return maps

    def outputs(self, images: Tensor) -> NetworkOutputs:
        """Codes, and logits (b, n_labels)."""
        codes = self.features(images)
        return NetworkOutputs(codes, self.classifier(codes))

    def for_device(self) -> ResNet18:
        """The copy of `for_inference`: it is made where the network is, and runs there."""
        return self.for_inference()

    def for_inference(self) -> ResNet18:
        """A copy with batch norms folded into the convolutions, and grey values fed to the first one."""
        copy = deepcopy(self).eval().requires_grad_(False)
        fold_batch_norms(copy.backbone)
        first = copy.backbone.conv1
        copy.backbone.conv1 = GreyStem(self.pixels, first, first.weight.double(), first.bias.double())
        copy.pixels = nn.Identity()
        return copy.to(memory_format=torch.channels_last)

    @staticmethod
    def own_key(key: str) -> str:
        """Our name of a tensor of torchvision's ResNet."""
        if key.startswith(("backbone.", "classifier.")):
            return key
        return re.sub(r"^backbone\.fc\.", "classifier.", f"backbone.{key}")
