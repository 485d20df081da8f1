"""DenseNet-121, the encoder of the engine (Haq et al. 2021)."""

from __future__ import annotations

import re
from copy import deepcopy

import torch
from torch import Tensor, nn
from torchvision.models import DenseNet121_Weights
from torchvision.models.densenet import DenseNet

from graphret._errors import InvalidParameterError, UnknownNameError
from graphret.encoders.inference.densenet_inference import DenseNetInference
from graphret.encoders.inference.folding import fold_batch_norms
from graphret.encoders.inference.pixels import PIXELS
from graphret.encoders.networks.network import EncoderNetwork
from graphret.encoders.objectives.objective import NetworkOutputs

__all__ = ["DenseNet121"]


class DenseNet121(EncoderNetwork):
    """DenseNet-121 with one linear classifier over its 1024 averaged features (Haq et al. 2021, section "Image codes").

    Parameters
    ----------
    n_labels
        Outputs of the classifier.
    pixels
        ``"imagenet"``: three equal channels, ImageNet mean and std. ``"xrayvision"``: one channel in [-1024, 1024], for
        the weights of torchxrayvision.
    drop_rate
        Dropout after each dense layer, in [0, 1); 0 as in Haq et al. 2021.
    memory_efficient
        Compute activations again in the backward pass: less memory, slower, same results.
    """

    imagenet_weights = DenseNet121_Weights.IMAGENET1K_V1

    def __init__(
        self, n_labels: int, pixels: str = "imagenet", drop_rate: float = 0.0, memory_efficient: bool = False
    ) -> None:
        super().__init__()
        if pixels not in PIXELS:
            raise UnknownNameError("pixels", pixels, PIXELS)
        if not 0 <= drop_rate < 1:
            raise InvalidParameterError("drop_rate", drop_rate, "a number in [0, 1)")
        network = DenseNet(32, (6, 12, 24, 16), 64, drop_rate=drop_rate, memory_efficient=memory_efficient)
        self.pixels = PIXELS[pixels]()
        self.backbone = network.features
        if self.pixels.n_channels == 1:
            self.backbone.conv0 = nn.Conv2d(1, 64, kernel_size=7, stride=2, padding=3, bias=False)
            nn.init.kaiming_normal_(self.backbone.conv0.weight)
        self.classifier = nn.Linear(network.classifier.in_features, n_labels)
        nn.init.zeros_(self.classifier.bias)

    def features(self, images: Tensor) -> Tensor:
        """Codes (b, 1024): the backbone, the final ReLU, the average over all positions."""
        return self.position_features(images).mean(dim=(2, 3))

    def position_features(self, images: Tensor) -> Tensor:
        """Maps (b, 1024, h, w) after the final ReLU, whose average is the code."""
        return torch.relu(self.backbone(self.pixels(images)))

    def outputs(self, images: Tensor) -> NetworkOutputs:
        """Codes, and logits (b, n_labels)."""
        codes = self.features(images)
        return NetworkOutputs(codes, self.classifier(codes))

    def for_inference(self) -> DenseNetInference:
        """Folded batch norms and one array a dense block; codes agree to float32 rounding."""
        return DenseNetInference(self)

    def for_device(self) -> DenseNet121:
        """A copy with those batch norms folded that stand behind a convolution: one of the two of every layer."""
        copy = deepcopy(self).eval().requires_grad_(False)
        fold_batch_norms(copy.backbone)
        return copy.to(memory_format=torch.channels_last)

    @staticmethod
    def own_key(key: str) -> str:
        """Our name of a tensor of torchvision's or torchxrayvision's DenseNet, whose first files say ``norm.1``."""
        key = re.sub(r"(denselayer\d+\.(?:norm|relu|conv))\.(\d\.)", r"\1\2", key)
        return re.sub(r"^features\.", "backbone.", key)
