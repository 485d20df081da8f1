"""The coupled loss of Y-Net (Fang et al. 2021): circle loss of the classes, and cross entropy of the pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from pytorch_metric_learning.losses import CircleLoss
from pytorch_metric_learning.reducers import MeanReducer
from torch.nn import functional

from graphret._errors import EncoderError, InvalidParameterError, UnknownNameError
from graphret.encoders.objectives.objective import NetworkOutputs, Objective, Targets

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["YNetLoss", "class_relations", "masked_pixel_entropy"]


def class_relations(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Which classes films certainly have and certainly have not; the last class is "no finding".

    Parameters
    ----------
    labels
        int8 (b, L): 1 positive, 0 negative, -1 uncertain.

    Returns
    -------
    positive, negative
        bool (b, L + 1) each.

    Examples
    --------
    >>> [found.int().tolist() for found in class_relations(torch.tensor([[1, -1], [0, 0], [0, -1]]))]
    [[[1, 0, 0], [0, 0, 1], [0, 0, 0]], [[0, 0, 1], [1, 1, 0], [1, 0, 0]]]
    """
    healthy, ill = (labels == 0).all(dim=1), (labels == 1).any(dim=1)
    positive = torch.cat([labels == 1, healthy[:, None]], dim=1)
    return positive, torch.cat([labels == 0, ill[:, None]], dim=1)


def masked_pixel_entropy(mask_logits: Tensor, masks: Tensor) -> Tensor:
    """Binary cross entropy of every pixel, averaged over the films that have a mask; 0 if none has.

    Parameters
    ----------
    mask_logits
        float (b, h, w); resized, bilinear, to the size of the masks.
    masks
        float (b, s, s) in [0, 1], NaN for a film without a mask.
    """
    logits = functional.interpolate(mask_logits[:, None], size=masks.shape[1:], mode="bilinear", align_corners=False)
    known = ~masks.isnan()
    shares = torch.where(known, masks, 0.0).to(logits.dtype)
    entropy = functional.binary_cross_entropy_with_logits(logits[:, 0], shares, reduction="none")
    return torch.where(known, entropy, 0.0).sum() / known.sum().clamp_min(1)


class YNetLoss(Objective):
    """Fang et al. 2021, Eq. 2: ``w`` pixel cross entropy ``+ (1 - w)`` circle loss of the classes.

    The circle loss (Sun et al. 2020, their Eq. 6 for class weights, as pytorch-metric-learning has it) takes a film's
    cosines to the classes that it has as ``s_p`` and to those that it has not as ``s_n``:
    ``log(1 + sum_n e^(g [s_n + m]_+ (s_n - m)) sum_p e^(-g [1 + m - s_p]_+ (s_p - 1 + m))``, the factors in ``[ ]_+``
    without a gradient.

    Departures from the paper: a film may have several classes, or the class "no finding"; an uncertain label is neither
    in ``s_p`` nor in ``s_n``. Films without a mask, and networks without the FPN branch, have no pixel part.

    Parameters
    ----------
    labels, n_bits
        As for every :class:`Objective`.
    loss
        Of the classes: ``"circle"``, or ``"cross_entropy"`` (Fang et al. 2021, Table III, "w/o circle loss": minus the
        log of the softmax of the scaled cosines, averaged over the classes of a film).
    segmentation
        ``w``, in [0, 1].
    scale, margin
        ``g`` and ``m``; 32 and 0.25 in the paper.
    """

    uses_masks: ClassVar[bool] = True

    def __init__(
        self,
        labels: NDArray[np.int8],  # noqa: ARG002 - one signature for all
        n_bits: int | None = None,  # noqa: ARG002
        loss: str = "circle",
        segmentation: float = 0.5,
        scale: float = 32.0,
        margin: float = 0.25,
    ) -> None:
        super().__init__()
        if loss not in {"circle", "cross_entropy"}:
            raise UnknownNameError("loss", loss, ("circle", "cross_entropy"))
        if not 0 <= segmentation <= 1 or scale <= 0 or not 0 < margin < 1:
            raise InvalidParameterError(
                "segmentation, scale, margin",
                (segmentation, scale, margin),
                "segmentation in [0, 1], scale > 0 and margin in (0, 1)",
            )
        self.loss, self.segmentation, self.scale = loss, segmentation, scale
        self.circle = CircleLoss(m=margin, gamma=scale, reducer=MeanReducer())

    def forward(self, outputs: NetworkOutputs, targets: Targets) -> Tensor:
        """Loss of a batch."""
        further = outputs.further or {}
        if not {"descriptors", "class_weights"} <= set(further):
            raise EncoderError("the objective ynet reads the descriptors of Y-Net: choose another one for this network")
        loss = (1 - self.segmentation) * self._classes(further["descriptors"], further["class_weights"], targets.labels)
        if outputs.mask_logits is not None:
            masks = targets.masks
            # Without masks the branch has a gradient of 0, which several processes wait for.
            pixels = (
                0 * outputs.mask_logits.sum() if masks is None else masked_pixel_entropy(outputs.mask_logits, masks)
            )
            loss = loss + self.segmentation * pixels
        return loss

    def _classes(self, descriptors: Tensor, weights: Tensor, labels: Tensor) -> Tensor:
        positive, negative = class_relations(labels)
        kept = positive.any(dim=1) & negative.any(dim=1)
        if not kept.any():
            return 0 * (descriptors @ weights.T).sum()
        positive, negative, descriptors = positive[kept], negative[kept], descriptors[kept]
        if self.loss == "circle":
            pairs = (*positive.nonzero(as_tuple=True), *negative.nonzero(as_tuple=True))
            loss: Tensor = self.circle(descriptors, indices_tuple=pairs, ref_emb=weights)
            return loss
        logits = self.scale * functional.normalize(descriptors) @ functional.normalize(weights).T
        likelihood = torch.log_softmax(logits.masked_fill(~(positive | negative), -torch.inf), dim=1)
        return -(torch.where(positive, likelihood, 0.0).sum(dim=1) / positive.sum(dim=1)).mean()
