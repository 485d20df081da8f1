"""The loss of Öztürk et al. 2021: contrastive, and the weighted likelihood of HashNet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn.functional import softplus

from graphret._errors import InvalidParameterError
from graphret.encoders.objectives.objective import NetworkOutputs, Objective, Targets
from graphret.encoders.objectives.relations import known_films, mean_where, pair_relations, squared_distances

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["AttentionHashLoss", "contrastive", "weighted_likelihood"]


def contrastive(codes: Tensor, similar: Tensor, pairs: Tensor, margin: float) -> Tensor:
    """Mean over pairs of ``s/2 D^2 + (1 - s)/2 max(0, m - D)^2``, D Euclidean (Öztürk et al. 2021, Eq. 5).

    Two dissimilar films of the same code are pushed nowhere, because no direction is the right one.

    Parameters
    ----------
    codes
        float (b, d).
    similar, pairs
        bool (b, b): which films are similar, and which pairs count.
    margin
        ``m``, > 0.
    """
    squares = squared_distances(codes)
    # The root has no slope at 0; where the clamp holds, none is asked for.
    distances = squares.clamp_min(1e-12).sqrt()
    return mean_where(torch.where(similar, squares, torch.relu(margin - distances).square()) / 2, pairs)


def weighted_likelihood(codes: Tensor, similar: Tensor, pairs: Tensor, alpha: float) -> Tensor:
    """Mean over pairs of ``w (log(1 + e^x) - s x)``, ``x = alpha <h, h'>`` (Öztürk et al. 2021, Eq. 6).

    ``w`` is the number of pairs over the number of similar ones for a similar pair, and over the number of dissimilar
    ones for another, so that both kinds weigh the same. Parameters as in :func:`contrastive`.
    """
    products = alpha * codes @ codes.T
    alike, different = pairs & similar, pairs & ~similar
    likelihood = softplus(products) - similar * products
    # w times a share of the pairs is the mean over one kind of them.
    return mean_where(likelihood, alike) + mean_where(likelihood, different)


class AttentionHashLoss(Objective):
    """Öztürk et al. 2021, Eq. 7: ``0.5`` contrastive ``+ 0.5`` weighted likelihood, over the pairs i < j of a batch.

    Departures from the paper: means over the pairs in the place of sums; ``alpha`` of Eq. 6 is 10 / b for b bits,
    since the paper has none; of HashNet's weights, to which the paper refers for the balance of similar and dissimilar
    pairs, only that balance, without the share of labels in common; pairs whose relation uncertain labels leave open
    have no part.

    Parameters
    ----------
    labels, n_bits
        As for every :class:`Objective`; ``n_bits`` decides alpha when no number is given.
    margin
        Of the contrastive loss, > 0; 1 in the paper.
    alpha
        Of the likelihood, > 0; ``None`` for 10 / n_bits.
    contrastive_weight, likelihood_weight
        >= 0; 0.5 each in the paper.
    """

    def __init__(
        self,
        labels: NDArray[np.int8],  # noqa: ARG002 - one signature for all
        n_bits: int | None = None,
        margin: float = 1.0,
        alpha: float | None = None,
        contrastive_weight: float = 0.5,
        likelihood_weight: float = 0.5,
    ) -> None:
        super().__init__()
        if alpha is None and n_bits is None:
            raise InvalidParameterError("alpha", None, "a number > 0", "a dense encoder has no bits to derive it from")
        self.alpha = alpha if alpha is not None else 10.0 / int(n_bits or 1)
        if margin <= 0 or self.alpha <= 0 or min(contrastive_weight, likelihood_weight) < 0:
            raise InvalidParameterError(
                "margin, alpha, contrastive_weight, likelihood_weight",
                (margin, self.alpha, contrastive_weight, likelihood_weight),
                "margin > 0, alpha > 0 and weights >= 0",
            )
        self.margin = margin
        self.weights = (contrastive_weight, likelihood_weight)

    def forward(self, outputs: NetworkOutputs, targets: Targets) -> Tensor:
        """Loss of a batch."""
        outputs, targets = known_films(outputs, targets)
        similar, known = pair_relations(targets.labels)
        pairs = known.triu(diagonal=1)
        return self.weights[0] * contrastive(outputs.codes, similar, pairs, self.margin) + self.weights[
            1
        ] * weighted_likelihood(outputs.codes, similar, pairs, self.alpha)
