"""What a training minimises: a module that takes what a network gave and what is known of the films."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["NetworkOutputs", "Objective", "Targets"]


@dataclass(frozen=True, eq=False)
class NetworkOutputs:
    """All that a network makes of a batch, for a loss; a field that the network does not have is ``None``.

    Parameters
    ----------
    codes
        float (b, code_length): what :meth:`EncoderNetwork.features` gives, so for a hash encoder the values whose signs
        are its bits.
    logits
        float (b, L), of the classifier.
    mask_logits
        float (b, k, h, w) of every pixel of a coarse mask: k = 1, the logit of being in it; k > 1, the scores of the
        outside and of k - 1 classes, whose softmax are their probabilities.
    further
        What only one method's own loss reads, by name.
    """

    codes: Tensor
    logits: Tensor | None = None
    mask_logits: Tensor | None = None
    further: Mapping[str, Tensor] | None = None


@dataclass(frozen=True, eq=False)
class Targets:
    """What is known of the films of a batch.

    Parameters
    ----------
    labels
        int8 (b, L): 1 positive, 0 negative, -1 uncertain. A film that could not be read has -1 everywhere.
    places
        int64 (b,): place of each film among the training films, 0 to n_train - 1, in the order of the labels that the
        objective was made with.
    masks
        float (b, c, s, s) in [0, 1] at the size of the input, the share of every class of the masks, NaN for a film
        without a mask; ``None`` when no film of the data set has one, or the objective has not ``uses_masks``.
    """

    labels: Tensor
    places: Tensor
    masks: Tensor | None = None


class Objective(nn.Module, ABC):
    """A loss with what it has to know of all training films; its parameters, if any, are trained with the network.

    A subclass is made as ``factory(labels, n_bits, **options)``: ``labels`` int8 (n_train, L) of the training films,
    ``n_bits`` the length of the codes (``None`` for a dense encoder). What it must remember between the steps of a
    training beside its parameters are buffers: they are in every checkpoint. It is in training mode in every step.
    """

    uses_masks: ClassVar[bool] = False
    """Whether it reads ``targets.masks``; masks are read from their files only for an objective that does."""

    uses_views: ClassVar[bool] = False
    """Whether it compares two changed views of every film: its outputs are then of the b films of the batch, and after
    them of the same films changed otherwise, and the targets are of the b films."""

    parts: Mapping[str, Tensor] | None = None
    """Of the last batch: the terms of the loss by name before their weights, scalars without a gradient; the training
    writes their means over an epoch into ``history.json``. ``None`` of a loss that has no terms to tell apart."""

    @abstractmethod
    def forward(self, outputs: NetworkOutputs, targets: Targets) -> Tensor:
        """Loss of a batch, a scalar float32 (or wider) tensor, as are the outputs and targets that are given.

        It has a gradient function also where the batch says nothing (sum nothing of the codes, not of nothing).
        """
