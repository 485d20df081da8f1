"""Changes of the films of a step that keep their findings: mirror, turn, crop, contrast; one device call a batch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

if TYPE_CHECKING:
    from graphret._types import Float64Array, Int64Array
    from graphret.training.config import TrainConfig

__all__ = ["Augmentation"]

TURN, CROP, CONTRAST = math.radians(15), 0.2, 0.4
"""At strength 1: largest turn, share of the side that is cut away, and change of contrast (as a logarithm)."""


class Augmentation:
    """How each film of an epoch is changed: a function of the seed, the number of the epoch and the film alone.

    Parameters
    ----------
    config
        ``seed``, ``horizontal_flip``, and ``augmentation``, the strength: 0 only mirrors.
    epoch
        Its number; a resumed run makes the same changes.
    mirrored
        bool (n,), films that are mirrored where ``horizontal_flip`` says so.
    view
        0, or 1 for another view of the same films, whose draws are its own.
    """

    def __init__(self, config: TrainConfig, epoch: int, mirrored: np.ndarray, view: int = 0) -> None:
        self._strength = config.augmentation
        n = len(mirrored)
        self._mirrored = mirrored if config.horizontal_flip else np.zeros(n, np.bool_)
        generator = np.random.default_rng([config.seed, epoch, 2 + view])
        self._draws: Float64Array = 2 * generator.random((n, 5)) - 1

    @classmethod
    def second_view(cls, config: TrainConfig, epoch: int, n: int) -> Augmentation:
        """Other changes of the same n films, drawn apart from those of the first view, mirrors included."""
        mirrored = np.random.default_rng([config.seed, epoch, 4]).random(n) < 0.5
        return cls(config, epoch, mirrored, view=1)

    def apply(self, rows: Int64Array, images: Tensor, masks: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Change images float32 (b, 1 or 3, s, s) in [0, 1], and masks float32 (b, c, s, s) with them, NaN where none.

        What a turn brings in from outside of a film has the value of its border.
        """
        mirrored = torch.from_numpy(self._mirrored[rows]).to(images.device, non_blocking=True)
        if self._strength == 0:
            turned = mirrored[:, None, None, None]
            images = torch.where(turned, images.flip(-1), images)
            return images, None if masks is None else torch.where(turned, masks.flip(-1), masks)
        draws = torch.from_numpy(self._draws[rows].T.astype(np.float32)).to(images.device, non_blocking=True)
        turn, crop, right, down, contrast = draws
        angle = self._strength * TURN * turn
        side = 1 - self._strength * CROP * (crop + 1) / 2
        cosine, sine = side * torch.cos(angle), side * torch.sin(angle)
        sign = 1 - 2 * mirrored.to(images.dtype)
        across, along = (sign * cosine, -sine, (1 - side) * right), (sign * sine, cosine, (1 - side) * down)
        places = torch.stack([*across, *along], dim=1).reshape(-1, 2, 3)
        grid = affine_grid(places, list(images.shape), align_corners=False)
        changed = grid_sample(images, grid, padding_mode="border", align_corners=False)
        mean = changed.mean(dim=(1, 2, 3), keepdim=True)
        factor = torch.exp(self._strength * CONTRAST * contrast)[:, None, None, None]
        changed = (mean + factor * (changed - mean)).clamp(0, 1).contiguous(memory_format=torch.channels_last)
        if masks is not None:
            none = masks.isnan()
            moved = grid_sample(masks.nan_to_num(), grid, padding_mode="zeros", align_corners=False)
            masks = torch.where(none, masks, moved)
        return changed, masks
