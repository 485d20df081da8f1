"""The coupled loss of Y-Net (Fang et al. 2021): circle loss between films, and cross entropy of the pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from pytorch_metric_learning.losses import CircleLoss
from pytorch_metric_learning.reducers import MeanReducer
from torch.nn import functional

from graphret._errors import EncoderError, InvalidParameterError, UnknownNameError
from graphret.encoders.objectives.objective import NetworkOutputs, Objective, Targets
from graphret.encoders.objectives.relations import pair_relations

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["YNetLoss", "circle_loss_of_pairs", "class_relations", "masked_pixel_entropy"]

LOSSES = ("circle", "class_circle", "cross_entropy")


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
    """Cross entropy of every pixel, averaged over the films that have a mask; 0 if none has.

    With one logit a pixel is in the mask, of whatever class, or not (binary cross entropy); with more it is outside, or
    of one of the classes (softmax).

    Parameters
    ----------
    mask_logits
        float (b, k, h, w); resized, bilinear, to the size of the masks.
    masks
        float (b, c, s, s) in [0, 1], shares of the classes; NaN for a film without a mask.

    Raises
    ------
    EncoderError
        k is neither 1 nor c + 1.
    """
    n_scores, n_classes = mask_logits.shape[1], masks.shape[1]
    if n_scores not in {1, n_classes + 1}:
        raise EncoderError(
            f"the network draws {n_scores - 1} classes of masks, and the masks of the films have {n_classes}: give the "
            f"option mask_classes={n_classes}, or 1 to tell inside from outside"
        )
    logits = functional.interpolate(mask_logits, size=masks.shape[2:], mode="bilinear", align_corners=False)
    known = ~masks.isnan().any(dim=1)
    shares = masks.nan_to_num().to(logits.dtype)
    inside = shares.sum(dim=1, keepdim=True).clamp_max(1)
    if n_scores == 1:
        entropy = functional.binary_cross_entropy_with_logits(logits, inside, reduction="none")[:, 0]
    else:
        entropy = -(torch.cat([1 - inside, shares], dim=1) * torch.log_softmax(logits, dim=1)).sum(dim=1)
    return torch.where(known, entropy, 0.0).sum() / known.sum().clamp_min(1)


def circle_loss_of_pairs(
    descriptors: Tensor, similar: Tensor, known: Tensor, scale: float = 32.0, margin: float = 0.25
) -> Tensor:
    """Circle loss over all pairs of films of a batch at once (Sun et al. 2020, Eq. 6).

    With the cosines ``s_p`` of the similar pairs and ``s_n`` of the dissimilar ones, every pair once:
    ``log(1 + sum_n e^(g [s_n + m]_+ (s_n - m)) sum_p e^(-g [1 + m - s_p]_+ (s_p - 1 + m)))``, the factors in ``[ ]_+``
    without a gradient. 0, with a gradient of 0, if either kind of pair is missing.

    Parameters
    ----------
    descriptors
        float (b, d), of any length.
    similar, known
        bool (b, b), symmetric: see :func:`~graphret.encoders.objectives.relations.pair_relations`. A pair that is not
        known is left out.
    scale, margin
        ``g`` and ``m``.

    Examples
    --------
    >>> films = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> similar = torch.tensor([[1, 1, 0], [1, 1, 0], [0, 0, 1]]).bool()
    >>> round(float(circle_loss_of_pairs(films, similar, torch.ones(3, 3).bool(), scale=1.0)), 4)
    1.017
    """
    unit = functional.normalize(descriptors)
    above = torch.ones_like(similar).triu(diagonal=1)
    cosines = unit @ unit.T
    of_similar, of_others = cosines[similar & above], cosines[~similar & known & above]
    if not len(of_similar) or not len(of_others):
        return 0 * cosines.sum()
    wanted = scale * (1 + margin - of_similar.detach()).clamp_min(0) * (of_similar - 1 + margin)
    unwanted = scale * (of_others.detach() + margin).clamp_min(0) * (of_others - margin)
    return functional.softplus(torch.logsumexp(-wanted, dim=0) + torch.logsumexp(unwanted, dim=0))


class YNetLoss(Objective):
    """Fang et al. 2021, Eq. 2: ``w`` pixel cross entropy ``+ (1 - w)`` circle loss.

    The paper's circle loss is that between the films of a batch, :func:`circle_loss_of_pairs` of the descriptors of the
    R-MAC branch: so the authors' released code computes it. It leaves the directions of the classes without a gradient,
    and theirs stay random. Here they learn from descriptors held fixed, by the softmax of the scaled cosines: no other
    weight of the network and no value of the loss depends on that, and the classifier has an AUC.

    Departures from the paper: a film may have several classes, or the class "no finding"; films are similar if they
    share a class, and a pair that an uncertain label leaves open does not count. Films without a mask, and networks
    without the FPN branch, have no pixel part. The authors' code takes the product of two labels 0 and 1 for "same
    class", so that two normal films are a dissimilar pair; in its factors the gradient stays. Here it is as Sun et al.
    (2020) have it, which the paper cites. The authors' code learns ``w``; in the paper it is .5.

    Parameters
    ----------
    labels, n_bits
        As for every :class:`Objective`.
    loss
        ``"circle"``: the paper's, between films. ``"class_circle"``: not the paper's; a film's cosines to the classes
        that it has are its ``s_p``, those to the others its ``s_n`` (the form for class weights of Sun et al. 2020, as
        pytorch-metric-learning has it), averaged over the films. ``"cross_entropy"``: Fang et al. 2021, Table III, "w/o
        circle loss": minus the log of the softmax of the scaled cosines, averaged over the classes of a film.
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
        if loss not in LOSSES:
            raise UnknownNameError("loss", loss, LOSSES)
        if not 0 <= segmentation <= 1 or scale <= 0 or not 0 < margin < 1:
            raise InvalidParameterError(
                "segmentation, scale, margin",
                (segmentation, scale, margin),
                "segmentation in [0, 1], scale > 0 and margin in (0, 1)",
            )
        self.loss, self.segmentation, self.scale, self.margin = loss, segmentation, scale, margin
        self.class_circle = CircleLoss(m=margin, gamma=scale, reducer=MeanReducer())

    def forward(self, outputs: NetworkOutputs, targets: Targets) -> Tensor:
        """Loss of a batch."""
        further = outputs.further or {}
        if not {"descriptors", "class_weights"} <= set(further):
            raise EncoderError("the objective ynet reads the descriptors of Y-Net: choose another one for this network")
        descriptors, weights = further["descriptors"], further["class_weights"]
        if self.loss == "circle":
            classes = circle_loss_of_pairs(descriptors, *pair_relations(targets.labels), self.scale, self.margin)
            beside = self._of_classes("cross_entropy", descriptors.detach(), weights, targets.labels)
            loss = (1 - self.segmentation) * classes + (beside - beside.detach())
        else:
            classes = self._of_classes(self.loss, descriptors, weights, targets.labels)
            loss = (1 - self.segmentation) * classes
        self.parts = {"classes": classes.detach()}
        if outputs.mask_logits is not None:
            masks = targets.masks
            # Without masks the branch has a gradient of 0, which several processes wait for.
            pixels = (
                0 * outputs.mask_logits.sum() if masks is None else masked_pixel_entropy(outputs.mask_logits, masks)
            )
            loss = loss + self.segmentation * pixels
            self.parts["segmentation"] = pixels.detach()
        return loss

    def _of_classes(self, kind: str, descriptors: Tensor, weights: Tensor, labels: Tensor) -> Tensor:
        """Circle loss or cross entropy of films and classes, averaged over the films that have and lack classes."""
        positive, negative = class_relations(labels)
        kept = positive.any(dim=1) & negative.any(dim=1)
        if not kept.any():
            return 0 * (descriptors @ weights.T).sum()
        positive, negative, descriptors = positive[kept], negative[kept], descriptors[kept]
        if kind == "class_circle":
            pairs = (*positive.nonzero(as_tuple=True), *negative.nonzero(as_tuple=True))
            loss: Tensor = self.class_circle(descriptors, indices_tuple=pairs, ref_emb=weights)
            return loss
        logits = self.scale * functional.normalize(descriptors) @ functional.normalize(weights).T
        likelihood = torch.log_softmax(logits.masked_fill(~(positive | negative), -torch.inf), dim=1)
        return -(torch.where(positive, likelihood, 0.0).sum(dim=1) / positive.sum(dim=1)).mean()
