"""Dense encoders that differ in how the maps of a backbone become one vector."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from graphret._errors import InvalidParameterError, UnknownNameError
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
from graphret.encoders.pooling.whitening import Whitening

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

_WHITENINGS = ("none", "training", "archive")
_WHITENING_FILMS = 20_000
"""Films that a whitening is learnt from at most: ten times as many as the widest backbone has channels."""


class Aggregated(BackboneNetwork):
    """A backbone whose maps an aggregation makes into one code of length one.

    Aggregations without parameters were published for networks that a classifier over plain averages had trained: so
    they are trained here, and the aggregation only makes the codes. One with parameters is what its classifier reads.

    With a whitening, the descriptors of a film are brought to length one, whitened, brought to length one again, and
    added. It is learnt once the weights are final, and stored with them.

    Parameters
    ----------
    n_labels
        Outputs of the classifier.
    backbone
        Name of the backbone.
    pooling
        Maps (b, c, h, w) to vectors (b, code_length).
    whitening
        ``"none"``; or `Whitening`, learnt from at most 20,000 films: ``"training"``, the training films, or
        ``"archive"``, those of the validation too, which comparisons search together. `whitened_encoder` learns it from
        the films of any other archive.
    n_values
        Values of a code that are kept with a whitening, the directions of the largest variance; 0 for all.

    Raises
    ------
    UnknownNameError
        No such whitening.
    InvalidParameterError
        ``n_values`` without a whitening, or more than the backbone has channels.
    """

    def __init__(
        self, n_labels: int, backbone: str, pooling: nn.Module, whitening: str = "none", n_values: int = 0
    ) -> None:
        super().__init__(backbone)
        if whitening not in _WHITENINGS:
            raise UnknownNameError("whitening", whitening, _WHITENINGS)
        if n_values and whitening == "none":
            raise InvalidParameterError("n_values", n_values, "0, or with whitening='training' or 'archive'")
        self.pooling = pooling
        self.classifier = nn.Linear(self.channels, n_labels)
        nn.init.zeros_(self.classifier.bias)
        self._learnt = any(True for _ in pooling.parameters())
        self.whitening: Whitening | None = None
        if whitening != "none":
            self.whitening = Whitening(self.channels, n_values)
            self.calibrated_on, self.calibration_films = whitening, _WHITENING_FILMS  # type: ignore[misc]

    def aggregated(self, maps: Tensor, images: Tensor) -> Tensor:  # noqa: ARG002 - some look at the films too
        """What the aggregation makes of the maps of images, (b, c), of any length, before any whitening."""
        vectors: Tensor = self.pooling(maps)
        return vectors

    def descriptors(self, maps: Tensor) -> Tensor:
        """What a whitening turns: one vector of a film, or several that are added then, (b, n, c)."""
        vectors: Tensor = self.pooling(maps)
        return vectors[:, None]

    def codes(self, maps: Tensor, images: Tensor) -> Tensor:
        """Codes (b, code_length) of length one."""
        if self.whitening is None:
            return normalize(self.aggregated(maps, images), dim=1)
        return normalize(self.whitening(self.descriptors(maps)).sum(dim=1), dim=1)

    def features(self, images: Tensor) -> Tensor:
        """Codes (b, code_length) of length one."""
        return self.codes(self.maps(images), images)

    def outputs(self, images: Tensor) -> NetworkOutputs:
        """Codes, and logits (b, n_labels)."""
        maps = self.maps(images)
        logits = self.classifier(self.aggregated(maps, images) if self._learnt else maps.mean(dim=(2, 3)))
        return NetworkOutputs(self.codes(maps, images), logits)

    @torch.no_grad()
    def calibrate(self, batches: Iterable[Tensor]) -> None:
        """Learn the whitening of the films, where there is one."""
        if self.whitening is not None:
            self.whitening.fit(self.descriptors(self.maps(images)) for images in batches)


class SPoCEncoder(Aggregated):
    """SPoC over a backbone."""

    def __init__(self, n_labels: int, backbone: str = "resnet18", whitening: str = "none", n_values: int = 0) -> None:
        super().__init__(n_labels, backbone, SPoC(), whitening, n_values)


class CroWEncoder(Aggregated):
    """CroW over a backbone."""

    def __init__(self, n_labels: int, backbone: str = "resnet18", whitening: str = "none", n_values: int = 0) -> None:
        super().__init__(n_labels, backbone, CroW(), whitening, n_values)


class GeMEncoder(Aggregated):
    """GeM over a backbone; ``p`` is the first power, which training moves."""

    def __init__(
        self, n_labels: int, backbone: str = "resnet18", p: float = 3.0, whitening: str = "none", n_values: int = 0
    ) -> None:
        super().__init__(n_labels, backbone, GeM(p), whitening, n_values)


class CAMEncoder(Aggregated):
    """CAM over a backbone; the classifier gives the weights of the classes."""

    def __init__(self, n_labels: int, backbone: str = "resnet18", whitening: str = "none", n_values: int = 0) -> None:
        super().__init__(n_labels, backbone, CAM(), whitening, n_values)

    def aggregated(self, maps: Tensor, images: Tensor) -> Tensor:  # noqa: ARG002
        """Sum of the descriptors of all classes, (b, c)."""
        vectors: Tensor = self.pooling(maps, self.classifier.weight)
        return vectors

    def descriptors(self, maps: Tensor) -> Tensor:
        """One of every class, (b, n_labels, c)."""
        cam: Any = self.pooling
        vectors: Tensor = cam.descriptors(maps, self.classifier.weight)
        return vectors


class RMACEncoder(Aggregated):
    """R-MAC over a backbone."""

    def __init__(
        self,
        n_labels: int,
        backbone: str = "resnet18",
        n_scales: int = 3,
        whitening: str = "none",
        n_values: int = 0,
    ) -> None:
        super().__init__(n_labels, backbone, RMAC(n_scales), whitening, n_values)

    def descriptors(self, maps: Tensor) -> Tensor:
        """One of every region, (b, n_regions, c)."""
        rmac: Any = self.pooling
        vectors: Tensor = rmac.descriptors(maps)
        return vectors


class RegionalAttentionEncoder(Aggregated):
    """Regional attention over a backbone."""

    def __init__(
        self,
        n_labels: int,
        backbone: str = "resnet18",
        n_scales: int = 3,
        whitening: str = "none",
        n_values: int = 0,
    ) -> None:
        super().__init__(
            n_labels, backbone, RegionalAttention(backbone_channels(backbone), n_scales), whitening, n_values
        )


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
