"""Attention hash (Öztürk et al. 2021): a small network draws saliency, a ResNet-18 hashes film and salient part."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import ResNet18_Weights, resnet18

from graphret._errors import UnknownNameError
from graphret.encoders.networks.network import EncoderNetwork, resized_to
from graphret.encoders.objectives.objective import NetworkOutputs

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["AttentionBlock", "AttentionHash", "AttentionNet", "InvertedPixels", "ResNet18Hash"]

_GATES: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "elu": functional.elu,
}


class InvertedPixels(nn.Module):
    """Stretch every film to [0, 1], invert it, round to 256 steps (Öztürk et al. 2021, Eq. 2); in [0, 1] again."""

    def forward(self, images: Tensor) -> Tensor:
        """(b, c, s, s) -> (b, c, s, s), channels together; a film of one value becomes white."""
        low, high = images.amin(dim=(1, 2, 3), keepdim=True), images.amax(dim=(1, 2, 3), keepdim=True)
        stretched = (images - low) / (high - low).clamp_min(1e-6)
        return torch.round(255 * (1 - stretched)) / 255


class AttentionBlock(nn.Module):
    """Residual attention: ``x + x * sigmoid(mask(x))``, with two 3x3 convolutions, batch norms and ELUs for the mask.

    The sum protects what the mask would hide. Öztürk et al. (2021) show the block as a picture only; these layers are
    ours.

    Parameters
    ----------
    channels
        Of the maps.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mask = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ELU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ELU(),
            nn.Conv2d(channels, channels, 1),
        )

    def forward(self, maps: Tensor) -> Tensor:
        """(b, c, h, w) -> (b, c, h, w)."""
        return maps + maps * torch.sigmoid(self.mask(maps))


class AttentionNet(nn.Module):
    """The attention network: five convolutions down, attention blocks, three transposed ones up.

    Öztürk et al. 2021, section 2.2.

    Parameters
    ----------
    n_blocks
        Residual attention blocks between the two halves: 0 (PF0), 1 (PF1) or 2 (PF2).
    gate
        What the last map goes through: ``"sigmoid"``, ``"tanh"`` or ``"elu"``.
    channels
        Of the film.
    """

    def __init__(self, n_blocks: int, gate: str, channels: int = 1) -> None:
        super().__init__()
        if gate not in _GATES:
            raise UnknownNameError("gate", gate, _GATES)
        self.gate = gate
        self.encoder = nn.Sequential(
            *_convolution(channels, 32),
            *_convolution(32, 32),
            nn.MaxPool2d(2),
            *_convolution(32, 64),
            *_convolution(64, 64),
            nn.MaxPool2d(2),
            *_convolution(64, 128),
        )
        self.blocks = nn.Sequential(*(AttentionBlock(128) for _ in range(n_blocks)))
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(128, 64, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(64),
            nn.ELU(),
            nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(32),
            nn.ELU(),
            nn.ConvTranspose2d(32, 1, 5, padding=2),
        )

    def forward(self, pixels: Tensor) -> Tensor:
        """(b, channels, s, s) -> saliency (b, 1, s, s) in the range of the gate.

        Where s is no multiple of 4 the map comes out up to 3 px smaller and is resized.
        """
        maps = self.decoder(self.blocks(self.encoder(pixels)))
        return _GATES[self.gate](resized_to(maps, pixels))


class ResNet18Hash(EncoderNetwork):
    """The hash network without attention: the row "ResNet18" of Öztürk et al. 2021, Table 1.

    ResNet-18 over the inverted film, one linear layer to the bits.

    Departures from the paper: torchvision's weights are for colours, so the first convolution, which takes one grey
    channel here, gets the sum of their three (with colours, each its own); pixels are normalised with the mean of
    ImageNet's three means and standard deviations. The paper's "only one FCL layer before the hash layer" is read as
    the linear layer that gives the code, and the sign of it as the hash layer.

    Parameters
    ----------
    n_labels
        Labels of the films; there is no classifier.
    n_bits
        Length of the code.
    channels
        1 for grey films, as in the paper, or 3 for colours.
    """

    heads: ClassVar[tuple[str, ...]] = ("hash",)
    imagenet_weights = ResNet18_Weights.IMAGENET1K_V1
    n_pictures: ClassVar[int] = 1
    """Pictures of the channels of a film that the hash network takes: here the film alone."""

    def __init__(self, n_labels: int, n_bits: int, channels: int = 1) -> None:  # noqa: ARG002 - one signature for all
        super().__init__()
        self.n_channels = self.n_pictures * channels
        self.pixels: nn.Module = InvertedPixels()
        self.backbone = resnet18(weights=None)
        self.backbone.conv1 = nn.Conv2d(self.n_channels, 64, kernel_size=7, stride=2, padding=3, bias=False)
        nn.init.kaiming_normal_(self.backbone.conv1.weight, mode="fan_out", nonlinearity="relu")
        self.hash = nn.Linear(self.backbone.fc.in_features, n_bits)
        self.backbone.fc = nn.Identity()

    def inputs(self, images: Tensor) -> Tensor:
        """What the hash network sees, (b, n_channels, s, s)."""
        pixels: Tensor = self.pixels(images)
        return pixels

    def features(self, images: Tensor) -> Tensor:
        """Values (b, n_bits), of any size, whose signs are the bits."""
        codes: Tensor = self.hash(self.backbone((self.inputs(images) - 0.449) / 0.226))
        return codes

    def outputs(self, images: Tensor) -> NetworkOutputs:
        """Codes."""
        return NetworkOutputs(self.features(images))

    def fitted(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Spread the three colours of a pretrained first convolution over our channels."""
        key = "backbone.conv1.weight"
        if key in tensors and tensors[key].shape[1] == 3 != self.n_channels:
            colours = self.n_channels == 3 * self.n_pictures
            picture = tensors[key] if colours else tensors[key].sum(dim=1, keepdim=True)
            tensors = {**tensors, key: picture.repeat(1, self.n_pictures, 1, 1) / self.n_pictures}
        # The attention network is never pretrained.
        own = {name: value for name, value in self.state_dict().items() if name.startswith("attention.")}
        return own | {name: value for name, value in tensors.items() if not name.startswith("backbone.fc.")}

    @staticmethod
    def own_key(key: str) -> str:
        """Our name of a tensor of torchvision's ResNet."""
        return key if re.match(r"(backbone|hash|attention)\.", key) else f"backbone.{key}"


class AttentionHash(ResNet18Hash):
    """The system of Öztürk et al. 2021: PF0, PF1 and PF2 by the number of attention blocks.

    The hash network takes the inverted film and the film times its saliency (Öztürk et al. 2021, Eq. 2 to 4) as two
    channels, or as twice three where the film has colours.

    Departures from the paper: it gives neither kernel nor stride of the transposed convolutions (here 4x4 with stride
    2, twice, then 5x5), nor the layers of an attention block (see :class:`AttentionBlock`), nor the channels between 32
    and 128 (here 32, 32, 64, 64, 128); the gate is that of the saliency map, the blocks keep their sigmoid.

    Parameters
    ----------
    n_labels, n_bits, channels
        As in :class:`ResNet18Hash`.
    n_blocks
        Residual attention blocks, 0 to 2.
    gate
        ``"sigmoid"``, ``"tanh"`` or ``"elu"`` (Öztürk et al. 2021, Fig. 6).
    """

    n_pictures: ClassVar[int] = 2

    def __init__(self, n_labels: int, n_bits: int, n_blocks: int = 2, gate: str = "sigmoid", channels: int = 1) -> None:
        super().__init__(n_labels, n_bits, channels)
        self.attention = AttentionNet(n_blocks, gate, channels)

    def inputs(self, images: Tensor) -> Tensor:
        """The inverted film, and the film times its saliency."""
        pixels = self.pixels(images)
        return torch.cat([pixels, pixels * self.attention(pixels)], dim=1)

    def saliency(self, images: Tensor) -> Tensor:
        """Map (b, s, s) in [0, 1]: of a sigmoid as it is, (t + 1) / 2 of a tanh, stretched film by film of an ELU."""
        maps: Tensor = self.attention(self.pixels(images))[:, 0]
        if self.attention.gate == "tanh":
            return (maps + 1) / 2
        if self.attention.gate == "elu":
            low, high = maps.amin(dim=(1, 2), keepdim=True), maps.amax(dim=(1, 2), keepdim=True)
            return (maps - low) / (high - low).clamp_min(1e-12)
        return maps


def _convolution(n_in: int, n_out: int) -> list[nn.Module]:
    return [nn.Conv2d(n_in, n_out, 5, padding=2, bias=False), nn.BatchNorm2d(n_out), nn.ELU()]
