"""Y-Net (Fang et al. 2021): classes on one branch, a segmentation on the other; their shared maps make the code."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.resnet import BasicBlock

from graphret._checks import check_integer
from graphret.encoders.inference.pixels import ImageNetPixels
from graphret.encoders.networks.network import EncoderNetwork, resized_to
from graphret.encoders.objectives.objective import NetworkOutputs
from graphret.encoders.pooling.regions import region_maxima, rmac_regions

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["NO_FINDING", "FeaturePyramid", "YNet", "code_shape"]

NO_FINDING = -1
"""Row of the class weights that stands for films without any finding: the last."""

CORE_CHANNELS = 256
COSINE_SCALE = 32.0


def code_shape(n_bits: int) -> tuple[int, int, int]:
    """Channels, rows and columns that the core is averaged to: as many positions as fit, up to 8 x 8.

    Examples
    --------
    >>> [code_shape(n) for n in (36, 64, 128, 256, 48, 7)]
    [(1, 6, 6), (1, 8, 8), (2, 8, 8), (4, 8, 8), (3, 4, 4), (7, 1, 1)]
    """
    side = next(side for side in range(8, 0, -1) if n_bits % side**2 == 0)
    return n_bits // side**2, side, side


class FeaturePyramid(nn.Module):
    """The FPN branch: from the core up over t3, t2 and t1 to the scores of every fourth pixel.

    The paper's branch has one output, which is read off t1.

    Parameters
    ----------
    n_classes
        Of the masks, beside the outside. 1: one logit; more: a score of the outside and of each class.
    """

    def __init__(self, n_classes: int = 1) -> None:
        super().__init__()
        self.core = nn.Sequential(nn.Conv2d(CORE_CHANNELS, 32, 1), nn.ReLU(), nn.Conv2d(32, 32, 3, padding=1))
        self.lateral3 = nn.Conv2d(128, 32, 1)
        self.lateral2 = nn.Conv2d(64, 32, 1)
        self.mask = nn.Conv2d(32, 1 if n_classes == 1 else n_classes + 1, 3, padding=1)

    def blocks(self, b1: Tensor, b2: Tensor, b3: Tensor, core: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The top-down blocks t3, t2, t1: 32 channels, at the sizes of b3, b2, b1."""
        t3 = _doubled(self.core(core), b3) + self.lateral3(b3)
        t2 = _doubled(t3, b2) + self.lateral2(b2)
        return t3, t2, _doubled(t2, b1) + b1

    def forward(self, b1: Tensor, b2: Tensor, b3: Tensor, core: Tensor) -> Tensor:
        """Scores (b, k, h, w) at the size of b1."""
        scores: Tensor = self.mask(self.blocks(b1, b2, b3, core)[-1])
        return scores


class YNet(EncoderNetwork):
    """Y-Net (Fang et al. 2021) with its ablations.

    256 px give b1 32x64x64, b2 64x32x32, b3 128x16x16 and the core 256x8x8; other sizes give maps of s / 4 to s / 32.
    The code is the core averaged, without weights, to :func:`code_shape`, ``tanh(average - median)``; below 256 px
    (n_bits 64) several bits are read off one position of the core, and are equal but for their thresholds.

    Departures from the paper: an average of ReLU outputs is never negative, so its sign alone would be constant; each
    position is centred by its median over the training films, which is read off them when the weights are
    final and stored with the model (``centre=False`` gives the numbers that the authors' code ranks by). The paper
    names the blocks' sizes only: here each is two residual blocks as in ResNet-18, after a 7x7 convolution and a
    max-pool. Its 14 regions of an 8x8 map are those of R-MAC, with steps from edge to edge. "t3 convolutes into the
    size of the mask" is read as t1, the largest. Films of several labels, or of none, are not in the paper: the
    classifier has one direction more, for films without a finding. Logits are 32 times the cosines.

    Parameters
    ----------
    n_labels
        Classes, beside "no finding".
    n_bits
        Length of the code, at most 16384.
    fpn
        ``False`` leaves out the segmentation branch (Fang et al. 2021, Table III, "w/o FPN branch").
    rmac
        ``False`` leaves out the R-MAC branch; the classes are then read off the averaged core ("w/o R-MAC branch", and
        with ``fpn=False`` "w/o FPN and R-MAC branch": the paper does not say what else could train that one).
    centre
        Subtract the medians.
    mask_classes
        Classes of the masks beside the outside: 2 for disc and cup, as the paper has them on fundus photographs; 1
        tells inside from outside, whatever classes the masks have.
    """

    heads: ClassVar[tuple[str, ...]] = ("classes", "fpn.mask")
    median: Tensor

    def __init__(
        self,
        n_labels: int,
        n_bits: int,
        fpn: bool = True,
        rmac: bool = True,
        centre: bool = True,
        mask_classes: int = 1,
    ) -> None:
        super().__init__()
        check_integer("mask_classes", mask_classes, 1)
        self.shape, self.centre = code_shape(n_bits), bool(centre)
        self.pixels: nn.Module = ImageNetPixels()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 32, 7, stride=2, padding=3, bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2, padding=1),
        )
        self.b1 = _residual(32, 32, 1)
        self.b2 = _residual(32, 64, 2)
        self.b3 = _residual(64, 128, 2)
        self.core = _residual(128, CORE_CHANNELS, 2)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        self.rmac = (
            nn.Sequential(nn.Conv2d(CORE_CHANNELS, 512, 3, padding=1, bias=False), nn.BatchNorm2d(512))
            if rmac
            else None
        )
        self.fpn = FeaturePyramid(mask_classes) if fpn else None
        self.classes = nn.Linear(512 if rmac else CORE_CHANNELS, n_labels + 1, bias=False)
        self.register_buffer("median", torch.zeros(n_bits))

    def blocks(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The maps b1, b2, b3 and the core, none negative."""
        b1 = self.b1(self.stem(self.pixels(images)))
        b2 = self.b2(b1)
        b3 = self.b3(b2)
        return b1, b2, b3, self.core(b3)

    def averages(self, core: Tensor) -> Tensor:
        """The core averaged to as many values as the code has, (b, n_bits)."""
        return functional.adaptive_avg_pool3d(core.unsqueeze(1), self.shape).flatten(1)

    def features(self, images: Tensor) -> Tensor:
        """Codes (b, n_bits) in (-1, 1)."""
        return self._codes(self.blocks(images)[-1])

    def outputs(self, images: Tensor) -> NetworkOutputs:
        """Codes, logits, mask logits at a quarter of the size; ``descriptors`` and ``class_weights`` for cosines."""
        b1, b2, b3, core = self.blocks(images)
        descriptors = self.descriptors(core)
        weights = functional.normalize(self.classes.weight)
        logits = COSINE_SCALE * descriptors @ weights[:NO_FINDING].T
        mask = None if self.fpn is None else self.fpn(b1, b2, b3, core)
        further = {"descriptors": descriptors, "class_weights": weights}
        return NetworkOutputs(self._codes(core), logits, mask, further)

    def descriptors(self, core: Tensor) -> Tensor:
        """What the classes are read off, of length one: (b, 512) of R-MAC, or the averaged core (b, 256)."""
        if self.rmac is None:
            return functional.normalize(core.mean(dim=(2, 3)))
        maps = self.rmac(core)
        return functional.normalize(region_maxima(maps, rmac_regions(*maps.shape[2:])).sum(dim=1))

    def segmentation(self, images: Tensor) -> Tensor | None:
        """Class of every pixel, 0 outside; ``None`` without the FPN branch."""
        if self.fpn is None:
            return None
        scores = resized_to(self.fpn(*self.blocks(images)), images)
        return scores.argmax(dim=1) if scores.shape[1] > 1 else (scores[:, 0] > 0).long()

    def calibrate(self, batches: Iterable[Tensor]) -> None:
        """Take the median of every position over the films."""
        averages = [self.averages(self.blocks(images)[-1]).float().cpu() for images in batches]
        if averages:
            self.median.copy_(torch.cat(averages).quantile(0.5, dim=0))

    def fitted(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Leave the medians of a code of another length out."""
        if "median" in tensors and tensors["median"].shape != self.median.shape:
            return {**tensors, "median": self.median}
        return tensors

    def _codes(self, core: Tensor) -> Tensor:
        averages = self.averages(core)
        return torch.tanh(averages - self.median if self.centre else averages)


def _residual(n_in: int, n_out: int, stride: int) -> nn.Sequential:
    shortcut = None
    if stride != 1 or n_in != n_out:
        shortcut = nn.Sequential(nn.Conv2d(n_in, n_out, 1, stride=stride, bias=False), nn.BatchNorm2d(n_out))
    return nn.Sequential(BasicBlock(n_in, n_out, stride, shortcut), BasicBlock(n_out, n_out))


def _doubled(maps: Tensor, like: Tensor) -> Tensor:
    """Bilinear, to twice the size, which is that of ``like`` but for sizes that are no power of two."""
    return functional.interpolate(maps, size=like.shape[2:], mode="bilinear", align_corners=False)
