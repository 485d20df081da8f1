"""Dense encoders that differ in how the maps of a backbone become one vector."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from graphret.encoders.networks.backbone_names import backbone_channels
from graphret.encoders.networks.backbones import BackboneNetwork
from graphret.encoders.objectives.objective import NetworkOutputs
from graphret.encoders.pooling.blcf import BLCF
from graphret.encoders.pooling.cam import CAM
from graphret.encoders.pooling.crow import CroW
from graphret.encoders.pooling.gem import GeM
from graphret.encoders.pooling.regional_attention import RegionalAttention
from graphret.encoders.pooling.rmac import RMAC
from graphret.encoders.pooling.spoc import SPoC

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = [
    "Aggregated",
    "BagOfFeaturesEncoder",
    "CAMEncoder",
    "CroWEncoder",
    "GeMEncoder",
    "RMACEncoder",
    "RegionalAttentionEncoder",
    "SPoCEncoder",
]


class Aggregated(BackboneNetwork):
    """A backbone whose maps an aggregation makes into one code of length one.

    Aggregations without parameters were published for networks that a classifier over plain averages had trained: so
    they are trained here, and the aggregation only makes the codes. One with parameters is what its classifier reads.

    Parameters
    ----------
    n_labels
        Outputs of the classifier.
    backbone
        Name of the backbone.
    pooling
        Maps (b, c, h, w) to vectors (b, code_length).
    """

    def __init__(self, n_labels: int, backbone: str, pooling: nn.Module) -> None:
        super().__init__(backbone)
        self.pooling = pooling
        self.classifier = nn.Linear(self.channels, n_labels)
        nn.init.zeros_(self.classifier.bias)
        self._learnt = any(True for _ in pooling.parameters())

    def aggregated(self, maps: Tensor, images: Tensor) -> Tensor:  # noqa: ARG002 - some look at the films too
        """What the aggregation makes of the maps of images, (b, code_length), of any length."""
        vectors: Tensor = self.pooling(maps)
        return vectors

    def features(self, images: Tensor) -> Tensor:
        """Codes (b, code_length) of length one."""
        return normalize(self.aggregated(self.maps(images), images), dim=1)

    def outputs(self, images: Tensor) -> NetworkOutputs:
        """Codes, and logits (b, n_labels)."""
        maps = self.maps(images)
        vectors = self.aggregated(maps, images)
        logits = self.classifier(vectors if self._learnt else maps.mean(dim=(2, 3)))
        return NetworkOutputs(normalize(vectors, dim=1), logits)


class SPoCEncoder(Aggregated):
    """SPoC over a backbone."""

    def __init__(self, n_labels: int, backbone: str = "resnet18") -> None:
        super().__init__(n_labels, backbone, SPoC())


class CroWEncoder(Aggregated):
    """CroW over a backbone."""

    def __init__(self, n_labels: int, backbone: str = "resnet18") -> None:
        super().__init__(n_labels, backbone, CroW())


class GeMEncoder(Aggregated):
    """GeM over a backbone; ``p`` is the first power, which training moves."""

    def __init__(self, n_labels: int, backbone: str = "resnet18", p: float = 3.0) -> None:
        super().__init__(n_labels, backbone, GeM(p))


class CAMEncoder(Aggregated):
    """CAM over a backbone; the classifier gives the weights of the classes."""

    def __init__(self, n_labels: int, backbone: str = "resnet18") -> None:
        super().__init__(n_labels, backbone, CAM())

    def aggregated(self, maps: Tensor, images: Tensor) -> Tensor:  # noqa: ARG002
        """Sum of the descriptors of all classes, (b, c)."""
        vectors: Tensor = self.pooling(maps, self.classifier.weight)
        return vectors


class RMACEncoder(Aggregated):
    """R-MAC over a backbone."""

    def __init__(self, n_labels: int, backbone: str = "resnet18", n_scales: int = 3) -> None:
        super().__init__(n_labels, backbone, RMAC(n_scales))


class RegionalAttentionEncoder(Aggregated):
    """Regional attention over a backbone."""

    def __init__(self, n_labels: int, backbone: str = "resnet18", n_scales: int = 3) -> None:
        super().__init__(n_labels, backbone, RegionalAttention(backbone_channels(backbone), n_scales))


class BagOfFeaturesEncoder(Aggregated):
    """BLCF over a backbone; its words are made of the training films once the backbone is trained."""

    def __init__(
        self,
        n_labels: int,
        backbone: str = "resnet18",
        n_words: int = 512,
        weighting: str = "none",
        tf_idf: bool = False,
    ) -> None:
        super().__init__(n_labels, backbone, BLCF(backbone_channels(backbone), n_words, weighting, tf_idf))

    def aggregated(self, maps: Tensor, images: Tensor) -> Tensor:
        """The weighted histogram of the words, (b, n_words)."""
        vectors: Tensor = self.pooling(maps, images)
        return vectors

    @torch.no_grad()
    def calibrate(self, batches: Iterable[Tensor]) -> None:
        """Make the words of the training films."""

        def maps_of_films() -> Iterator[Tensor]:
            for images in batches:
                yield self.maps(images)

        words: Any = self.pooling
        words.fit(maps_of_films)
