"""What teaches region proposals: the parts of a film's mask, beside the classification of the film."""

from __future__ import annotations

import logging
from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, interpolate, smooth_l1_loss
from torchvision.ops import box_iou, sigmoid_focal_loss

from graphret._checks import check_number
from graphret._errors import EncoderError
from graphret._notes import note_once
from graphret.encoders.objectives.classification import Classification
from graphret.encoders.objectives.objective import NetworkOutputs, Objective, Targets
from graphret.encoders.pooling.proposals import box_changes

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["RegionProposalLoss", "SegmentProposalLoss", "mask_parts"]

logger = logging.getLogger(__name__)

_POSITIVE, _NEGATIVE = 0.7, 0.3
_MASK_WEIGHT = 3.0


def mask_parts(mask: Tensor) -> list[Tensor]:
    """Connected parts of a mask (h, w), each bool (h, w), by their first pixel; none of a film without a mask.

    Examples
    --------
    >>> len(mask_parts(torch.tensor([[1.0, 0.0, 1.0], [1.0, 0.0, 0.0]])))
    2
    """
    from scipy.ndimage import label

    if mask.isnan().any():
        return []
    numbers, count = label((mask > 0.5).cpu().numpy(), structure=np.ones((3, 3)))
    return [torch.from_numpy(numbers == number).to(mask.device) for number in range(1, count + 1)]


class _ProposalLoss(Objective):
    """Classification of the film (Haq et al. 2021, Eq. 1), plus ``proposals`` times the loss of the proposals.

    Classes of a mask are taken together: a cup in a disc is one part.
    """

    uses_masks: ClassVar[bool] = True
    needs: ClassVar[tuple[str, ...]] = ()
    what: ClassVar[str] = "proposals"

    def __init__(self, labels: NDArray[np.int8], n_bits: int | None = None, proposals: float = 1.0) -> None:
        super().__init__()
        self.proposals = check_number("proposals", proposals, at_least=0)
        self.classification = Classification(labels, n_bits)

    def forward(self, outputs: NetworkOutputs, targets: Targets) -> Tensor:
        """Loss of a batch."""
        further = dict(outputs.further or {})
        if not set(self.needs) <= set(further):
            raise EncoderError(f"this objective reads {', '.join(self.needs)} of region proposals: choose another one")
        loss: Tensor = self.classification(outputs, targets)
        # Several processes wait for a gradient of every parameter.
        loss = loss + 0 * sum(further[name].sum() for name in self.needs)
        parts = [] if targets.masks is None else [mask_parts(mask.sum(dim=0)) for mask in targets.masks]
        with_parts = [film for film, of_film in enumerate(parts) if of_film]
        if targets.masks is None:
            note_once(logger, f"no film has a mask: the {self.what} stay as they began, but for what the labels teach")
        for film in with_parts:
            of_film = {name: value[film] if name != "anchors" else value for name, value in further.items()}
            loss = loss + self.proposals * self.film_loss(of_film, parts[film]) / len(with_parts)
        return loss

    @abstractmethod
    def film_loss(self, further: dict[str, Tensor], parts: list[Tensor]) -> Tensor:
        """Loss of the proposals of one film."""


class RegionProposalLoss(_ProposalLoss):
    """Objectness and boxes of the anchors (Faster R-CNN: Ren, He, Girshick, Sun, NIPS 2015, Eq. 1).

    The boxes around the parts of the mask are what is looked for. An anchor is positive where it overlaps one by .7
    (intersection over union), or best of all; negative below .3 with all of them. Mean cross entropy of the positive
    and of the negative anchors, each half, plus the smooth L1 loss of the positive ones' box changes.

    Departures: all anchors, where the paper draws 256; positives and negatives weigh the same.

    Parameters
    ----------
    labels, n_bits
        As for every :class:`Objective`.
    proposals
        Weight beside the classification, >= 0.
    """

    needs: ClassVar[tuple[str, ...]] = ("objectness", "changes", "anchors")
    what: ClassVar[str] = "region proposals"

    def film_loss(self, further: dict[str, Tensor], parts: list[Tensor]) -> Tensor:
        """Loss of one film: objectness (N,), changes (N, 4), anchors (N, 4)."""
        objectness, changes, anchors = (further[name] for name in self.needs)
        boxes = torch.stack([_box_of(part) for part in parts]).to(anchors)
        overlaps = box_iou(anchors, boxes)
        best, matched = overlaps.max(dim=1)
        positive = (best >= _POSITIVE) | (overlaps == overlaps.max(dim=0).values).any(dim=1)
        negative = (best < _NEGATIVE) & ~positive
        loss = binary_cross_entropy_with_logits(objectness[positive], torch.ones_like(objectness[positive])) / 2
        if negative.any():
            zeros = torch.zeros_like(objectness[negative])
            loss = loss + binary_cross_entropy_with_logits(objectness[negative], zeros) / 2
        wanted = box_changes(anchors[positive], boxes[matched[positive]])
        found: Tensor = loss + smooth_l1_loss(changes[positive], wanted)
        return found


class SegmentProposalLoss(_ProposalLoss):
    """Cells and segments of a film with a mask (SOLO: Wang, Kong, Shen, Jiang, Li, ECCV 2020).

    A part of the mask belongs to the cell of a grid that its centre of mass lies in. Focal loss of the cells (alpha
    .25, gamma 2), plus 3 times the mean Dice loss between the segments of those cells and their parts.

    Departures: one cell a part, where the paper takes all in the middle fifth of its box; of two parts in one cell the
    later one is drawn; the focal loss is divided by the number of such cells.

    Parameters
    ----------
    labels, n_bits
        As for every :class:`Objective`.
    proposals
        Weight beside the classification, >= 0.
    """

    needs: ClassVar[tuple[str, ...]] = ("cells", "segments")
    what: ClassVar[str] = "segments"

    def film_loss(self, further: dict[str, Tensor], parts: list[Tensor]) -> Tensor:
        """Loss of one film: cells (S^2,), segments (S^2, h, w), both logits."""
        cells, segments = (further[name] for name in self.needs)
        grid = round(len(cells) ** 0.5)
        owner = {}
        for part in parts:
            rows, columns = (
                (places.double().mean() + 0.5) / side for places, side in zip(part.nonzero().T, part.shape, strict=True)
            )
            owner[min(int(rows * grid), grid - 1) * grid + min(int(columns * grid), grid - 1)] = part
        places = torch.tensor(list(owner), device=cells.device)
        wanted = torch.zeros_like(cells)
        wanted[places] = 1
        focal = sigmoid_focal_loss(cells, wanted, alpha=0.25, gamma=2.0, reduction="sum") / len(owner)
        drawn = torch.stack(list(owner.values())).to(segments)
        drawn = interpolate(drawn[:, None], size=segments.shape[1:], mode="area")[:, 0]
        found = segments[places].sigmoid()
        shared = 2 * (found * drawn).sum(dim=(1, 2))
        whole = found.square().sum(dim=(1, 2)) + drawn.square().sum(dim=(1, 2))
        loss: Tensor = focal + _MASK_WEIGHT * (1 - shared / whole.clamp_min(1e-6)).mean()
        return loss


def _box_of(part: Tensor) -> Tensor:
    """Left, top, right, bottom, as shares, of the box around a part."""
    rows, columns = part.any(dim=1).nonzero(), part.any(dim=0).nonzero()
    height, width = part.shape
    corners = (columns.min() / width, rows.min() / height, (columns.max() + 1) / width, (rows.max() + 1) / height)
    return torch.stack(corners)
