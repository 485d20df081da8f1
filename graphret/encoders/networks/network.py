"""The base class of every encoder network: what the rest of graphret asks of one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from torch import Tensor, nn
from torch.nn import functional

from graphret._errors import EncoderError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torchvision.models import WeightsEnum

    from graphret.encoders.objectives.objective import NetworkOutputs

__all__ = ["EncoderNetwork", "InferenceNetwork", "resized_to"]


class InferenceNetwork(Protocol):
    """What an encoder calls: a network, or another form of it. Safe to call from several threads."""

    def features(self, images: Tensor) -> Tensor:
        """Codes, float (b, code_length)."""

    def forward(self, images: Tensor) -> Tensor:
        """Logits, float (b, n_labels)."""


class EncoderNetwork(nn.Module, ABC):
    """Grey images (b, 1, s, s) in [0, 1], s >= 32, or colours (b, 3, s, s) where its spec says so, to codes and logits.

    A model file defines one subclass. Its constructor takes ``n_labels``, for a hash encoder ``n_bits``, and the
    options of its :class:`~graphret.encoders.registry.spec.EncoderSpec`.
    """

    heads: ClassVar[tuple[str, ...]] = ("classifier",)
    """Submodules that may stay random when pretrained weights are loaded."""

    frozen: ClassVar[bool] = False
    """Whether a part of it stays as it began, so that a training needs weights to begin with."""

    calibrated_on: ClassVar[str] = "training"
    """Films that `calibrate` is given: ``"training"``, or ``"archive"``, those of the validation too."""

    calibration_films: ClassVar[int] = 2048
    """How many of them at most; a median over more is hardly another one."""

    imagenet_weights: ClassVar[WeightsEnum | Any] = None
    """torchvision's record of the weights for ``weights="imagenet"``."""

    @abstractmethod
    def features(self, images: Tensor) -> Tensor:
        """Codes, float (b, code_length); the signs of a hash encoder's codes are its bits."""

    @abstractmethod
    def outputs(self, images: Tensor) -> NetworkOutputs:
        """Codes and all else that a loss may read, in one pass."""

    def forward(self, images: Tensor) -> Tensor:
        """Logits, float (b, n_labels)."""
        logits = self.outputs(images).logits
        if logits is None:
            raise EncoderError(f"{type(self).__name__} has no classifier: it gives codes only (use features)")
        return logits

    def calibrate(self, batches: Iterable[Tensor]) -> None:
        """Set what is not learnt by gradients but read off the training films, once the weights are final.

        Called in evaluation mode with float (b, 1, s, s) batches of films (`calibrated_on`), which may be gone through
        several times. Nothing to do by default.
        """

    def for_inference(self) -> InferenceNetwork:
        """The same function for a processor, in float32 and without gradients, in a faster form where there is one.

        It has a copy of the weights as they are now, in evaluation mode; this network stays as it is. Without a faster
        form it is the network itself.
        """
        return self

    def for_device(self) -> InferenceNetwork:
        """The same function for a GPU, in any precision and without gradients; as `for_inference`, but where it is."""
        return self

    def saliency(self, images: Tensor) -> Tensor | None:  # noqa: ARG002 - networks with an attention use it
        """Where the network looks, float (b, s, s) in [0, 1]; ``None`` of a network that draws no such map."""
        return None

    def segmentation(self, images: Tensor) -> Tensor | None:  # noqa: ARG002 - networks that draw masks have one
        """Class of every pixel, int64 (b, s, s), 0 outside; ``None`` of a network that draws no masks."""
        return None

    def position_features(self, images: Tensor) -> Tensor | None:  # noqa: ARG002 - networks that average maps have them
        """Maps (b, code_length, h, w) whose average over all positions is the code; ``None`` where there are none."""
        return None

    def fitted(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Given tensors by our names, before they must fit: those of a related network may be turned into ours."""
        return tensors

    @staticmethod
    def own_key(key: str) -> str:
        """Our name of a tensor that a file calls ``key``; our own names map to themselves."""
        return key


def resized_to(maps: Tensor, images: Tensor) -> Tensor:
    """Maps (b, c, h, w) resized, bilinear, to the height and width of images; as they are where these are the same."""
    if maps.shape[2:] == images.shape[2:]:
        return maps
    return functional.interpolate(maps, size=images.shape[2:], mode="bilinear", align_corners=False)
