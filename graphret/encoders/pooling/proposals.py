"""Region proposals over maps: a network that says where to look (RPN), and one that draws segments (SOLO)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, normalize
from torchvision.ops import nms, roi_pool

from graphret._checks import check_integer

__all__ = ["RegionProposals", "SegmentProposals", "anchors_of", "box_changes", "changed_boxes"]

_SIDES = (0.25, 0.5, 0.75)
_RATIOS = (0.5, 1.0, 2.0)
_MOST_CHANGE = math.log(4)
_OVERLAP = 0.7


def anchors_of(height: int, width: int) -> Tensor:
    """Anchors at every position of maps: float32 (9 h w, 4), left, top, right, bottom as shares, cut at the edge.

    Nine at a position, row by row: squares of a quarter, a half and three quarters of the film, and two of the same
    area each with sides of 1 to 2.

    Examples
    --------
    >>> anchors_of(1, 1)[1].tolist()
    [0.375, 0.375, 0.625, 0.625]
    """
    x, y = (torch.arange(width) + 0.5) / width, (torch.arange(height) + 0.5) / height
    shapes = torch.tensor([(side / ratio**0.5, side * ratio**0.5) for side in _SIDES for ratio in _RATIOS])
    centres = torch.stack([x.expand(height, width), y[:, None].expand(height, width)], dim=2).view(-1, 1, 2)
    boxes = torch.cat([centres - shapes / 2, centres + shapes / 2], dim=2)
    return boxes.view(-1, 4).clamp(0, 1)


def box_changes(anchors: Tensor, boxes: Tensor) -> Tensor:
    """What makes boxes of anchors, (n, 4): shift of the centre in sides, and logarithms of the ratios of sides."""
    centre, side = (anchors[:, :2] + anchors[:, 2:]) / 2, anchors[:, 2:] - anchors[:, :2]
    wanted, wanted_side = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    return torch.cat([(wanted - centre) / side, torch.log(wanted_side / side)], dim=1)


def changed_boxes(anchors: Tensor, changes: Tensor) -> Tensor:
    """Undo `box_changes`, cut at the edge of the film; no side changes by more than a factor of 4.

    Examples
    --------
    >>> anchors, boxes = anchors_of(1, 1)[:2], torch.tensor([[0.2, 0.2, 0.6, 0.5], [0.4, 0.3, 0.9, 0.7]])
    >>> torch.allclose(changed_boxes(anchors, box_changes(anchors, boxes)), boxes)
    True
    """
    centre, side = (anchors[:, :2] + anchors[:, 2:]) / 2, anchors[:, 2:] - anchors[:, :2]
    centre = centre + changes[:, :2] * side
    half = side * changes[:, 2:].clamp(-_MOST_CHANGE, _MOST_CHANGE).exp() / 2
    return torch.cat([centre - half, centre + half], dim=1).clamp(0, 1)


class RegionProposals(nn.Module):
    """Region proposal network (Ren, He, Girshick, Sun, NIPS 2015), and the maxima of the regions that it proposes.

    A 3 x 3 convolution, and 1 x 1 convolutions to an objectness and a box change for each anchor. The best boxes that
    overlap by at most .7 are the regions.

    Parameters
    ----------
    channels
        Of the maps.
    n_regions
        Regions of a film at most, >= 1.
    """

    def __init__(self, channels: int, n_regions: int) -> None:
        super().__init__()
        self.n_regions = check_integer("n_regions", n_regions, 1)
        n_anchors = len(_SIDES) * len(_RATIOS)
        self.hidden = nn.Conv2d(channels, 256, 3, padding=1)
        self.objectness = nn.Conv2d(256, n_anchors, 1)
        self.changes = nn.Conv2d(256, 4 * n_anchors, 1)
        for layer in (self.hidden, self.objectness, self.changes):
            nn.init.normal_(layer.weight, std=0.01)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def forward(self, maps: Tensor) -> dict[str, Tensor]:
        """(b, c, h, w) to ``objectness`` (b, N), ``changes`` (b, N, 4) and ``anchors`` (N, 4), N = 9 h w."""
        hidden = torch.relu(self.hidden(maps))
        return {
            "objectness": self.objectness(hidden).permute(0, 2, 3, 1).flatten(1),
            "changes": self.changes(hidden).permute(0, 2, 3, 1).reshape(len(maps), -1, 4),
            "anchors": anchors_of(*maps.shape[2:]).to(maps),
        }

    def regions(self, proposed: dict[str, Tensor]) -> list[Tensor]:
        """The regions of each film, (n, 4), best first; without a gradient."""
        found = []
        for objectness, changes in zip(proposed["objectness"].detach(), proposed["changes"].detach(), strict=True):
            boxes = changed_boxes(proposed["anchors"].float(), changes.float())
            found.append(boxes[nms(boxes, objectness.float(), _OVERLAP)[: self.n_regions]])
        return found


def maxima(maps: Tensor, regions: list[Tensor]) -> list[Tensor]:
    """Maximum of every channel over each region of each film, a list of (n, c)."""
    height, width = maps.shape[2:]
    scale = torch.tensor([width, height, width, height], dtype=torch.float32, device=maps.device)
    # roi_pool counts the position of the last corner in.
    boxes = [torch.cat([of[:, :2] * scale[:2], of[:, 2:] * scale[2:] - 1], dim=1) for of in regions]
    pooled = roi_pool(maps.float(), boxes, output_size=1)
    return list(pooled[:, :, 0, 0].split([len(of) for of in regions]))


class SegmentProposals(nn.Module):
    """Segments by location (SOLO: Wang, Kong, Shen, Jiang, Li, ECCV 2020): a grid of cells, and a segment for each.

    The segment branch sees the place of every position (two maps of coordinates), the cell branch the maps averaged to
    the grid. One class of object: a finding.

    Parameters
    ----------
    channels
        Of the maps.
    grid
        Cells on a side, >= 1.
    """

    def __init__(self, channels: int, grid: int) -> None:
        super().__init__()
        self.grid = check_integer("grid", grid, 1)
        self.cell_hidden = nn.Conv2d(channels, 128, 3, padding=1)
        self.cell = nn.Conv2d(128, 1, 1)
        self.segment_hidden = nn.Conv2d(channels + 2, 128, 3, padding=1)
        self.segment = nn.Conv2d(128, grid**2, 1)

    def forward(self, maps: Tensor) -> dict[str, Tensor]:
        """(b, c, h, w) to logits ``cells`` (b, S^2) and ``segments`` (b, S^2, h, w)."""
        height, width = maps.shape[2:]
        across = torch.linspace(-1, 1, width).expand(height, width)
        down = torch.linspace(-1, 1, height)[:, None].expand(height, width)
        places = torch.stack([across, down]).to(maps).expand(len(maps), -1, -1, -1)
        averaged = adaptive_avg_pool2d(maps, self.grid)
        return {
            "cells": self.cell(torch.relu(self.cell_hidden(averaged))).flatten(1),
            "segments": self.segment(torch.relu(self.segment_hidden(torch.cat([maps, places], dim=1)))),
        }


def segment_sum(maps: Tensor, proposed: dict[str, Tensor]) -> Tensor:
    """Averages of the maps over each segment, of length one, added with the scores of their cells: (b, c)."""
    shares = proposed["segments"].sigmoid().flatten(2)
    averages = shares @ maps.flatten(2).transpose(1, 2) / shares.sum(dim=2, keepdim=True)
    return (normalize(averages, dim=2) * proposed["cells"].sigmoid()[:, :, None]).sum(dim=1)
