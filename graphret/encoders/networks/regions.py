"""Encoders that look at regions which a network proposes: R-MAC + RPN, and Deep Vision with SOLO."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from graphret.encoders.networks.backbones import BackboneNetwork
from graphret.encoders.objectives.objective import NetworkOutputs
from graphret.encoders.pooling.proposals import (
    RegionProposals,
    SegmentProposals,
    maxima,
    segment_sum,
)

__all__ = ["DeepVisionSolo", "RMACProposals"]


class RMACProposals(BackboneNetwork):
    """R-MAC over proposed regions (Gordo, Almazan, Revaud, Larlus, ECCV 2016 and IJCV 2017).

    The rigid grid of R-MAC gives way to regions of a proposal network. The maxima of a region are brought to length
    one, shifted and turned by a linear layer (which stands for PCA), brought to length one again, and added.

    Known from Fang et al. (2021), who cite it, and from the public knowledge of its papers, which could not be read
    here. Departures: trained by the classification of films and, where films have masks, by their parts
    (`RegionProposalLoss`), not by triplets of landmarks; the backbone is an option; its channels are the length of the
    code (Fang et al. print 3,072 and do not say of what).

    Parameters
    ----------
    n_labels
        Outputs of the classifier.
    backbone
        Name of the backbone.
    n_regions
        Regions of a film at most, >= 1.
    """

    def __init__(self, n_labels: int, backbone: str = "resnet18", n_regions: int = 32) -> None:
        super().__init__(backbone)
        self.proposals = RegionProposals(self.channels, n_regions)
        self.turn = nn.Linear(self.channels, self.channels)
        nn.init.eye_(self.turn.weight)
        nn.init.zeros_(self.turn.bias)
        self.classifier = nn.Linear(self.channels, n_labels)
        nn.init.zeros_(self.classifier.bias)

    def features(self, images: Tensor) -> Tensor:
        """Codes (b, channels) of length one."""
        return self.outputs(images).codes

    def outputs(self, images: Tensor) -> NetworkOutputs:
        """Codes, logits (b, n_labels), and the proposals of `RegionProposals`."""
        maps = self.maps(images)
        proposed = self.proposals(maps)
        films = maxima(maps, self.proposals.regions(proposed))
        sums = torch.stack([normalize(self.turn(normalize(of, dim=1)), dim=1).sum(dim=0) for of in films])
        codes = normalize(sums, dim=1)
        return NetworkOutputs(codes, self.classifier(codes), further=proposed)


class DeepVisionSolo(BackboneNetwork):
    """Deep Vision with the proposals of SOLO (Salvador, Giro-i-Nieto, Marques, Satoh, CVPR workshops 2016).

    Fang et al. (2021, section IV) list "Deep Vision + SOLO": the image- and region-wise representations of Deep Vision,
    with the proposals of SOLO (Segmenting Objects by LOcations, their [63]) and "their associated convolutional
    features". (Not the second-order loss of SOLAR, which `solar_local` has.) The papers could not be read here.

    **Decisions**: the image-wise half of the code is the average of the maps, the region-wise half the averages over
    the segments, of length one and added with the scores of their cells; each half is brought to length one. There is
    no first search and no ranking again by regions, as Deep Vision has: a film is one code. It learns from the
    classification of films and, where films have masks, from their parts (`SegmentProposalLoss`). Fang et al. print
    3,072 values and do not say of what; here it is twice the channels of the backbone.

    Parameters
    ----------
    n_labels
        Outputs of the classifier.
    backbone
        Name of the backbone.
    grid
        Cells of SOLO on a side, >= 1.
    """

    def __init__(self, n_labels: int, backbone: str = "resnet18", grid: int = 5) -> None:
        super().__init__(backbone)
        self.proposals = SegmentProposals(self.channels, grid)
        self.classifier = nn.Linear(2 * self.channels, n_labels)
        nn.init.zeros_(self.classifier.bias)

    def features(self, images: Tensor) -> Tensor:
        """Codes (b, 2 channels), not negative."""
        return self.outputs(images).codes

    def outputs(self, images: Tensor) -> NetworkOutputs:
        """Codes, logits (b, n_labels), and the proposals of `SegmentProposals`."""
        maps = self.maps(images)
        proposed = self.proposals(maps)
        halves = maps.mean(dim=(2, 3)), segment_sum(maps, proposed)
        codes = torch.cat([normalize(half, dim=1) for half in halves], dim=1)
        return NetworkOutputs(codes, self.classifier(codes), further=proposed)
