"""Deep disentangled hashing with momentum triplets: the directions of codes, apart from their norms."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn.functional import normalize, softplus

from graphret._checks import check_integer
from graphret._errors import InvalidParameterError
from graphret.encoders.objectives.objective import NetworkOutputs, Objective, Targets
from graphret.encoders.objectives.relations import known_films, mean_where, pair_relations, signs, triplets

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["DDMH"]


class DDMH(Objective):
    """DDMH (Yang, Yao, Cao, Guan, Yap, Shen, Liu, MICCAI 2020).

    The triplet likelihood ``log(1 + e^(alpha - (theta_ij - theta_ik)))`` of inner products ``theta = <u, u'> / 2`` is
    satisfied by long codes of little difference. Without the norms it reads

    ``L = mean over triplets of log(1 + e^(alpha - scale/2 (cos_ij - cos_ik)))
    + lambda mean over films of (1 - cos(u_i, sign(u_i)))``

    with j similar and k dissimilar to i. A difference of 1 between two cosines is one of half the bits between two
    Hamming distances, whatever their number: ``2 alpha / scale`` is the difference that is asked for. i runs over the
    batch, j and k over the batch and a queue of the last films before it, whose codes are constants: small batches hold
    few triplets.

    Departures from the paper: its equations were not at hand when this was written; the loss is what its abstract
    states, and scale, alpha, lambda and the quantisation term are ours. The queue holds codes as the network itself
    gave them, not those of a second network that follows its weights with momentum. Pairs whose relation uncertain
    labels leave open make no triplet.

    Parameters
    ----------
    labels, n_bits
        As for every :class:`Objective`; ``n_bits`` is needed.
    scale
        Of the cosines, > 0.
    alpha
        Margin, in [0, scale): two cosines differ by 2 at most.
    quantisation
        ``lambda``, >= 0.
    queue
        Films that are remembered, >= 0.

    Notes
    -----
    O(b (b + queue)^2) memory and time.
    """

    queue_codes: Tensor
    queue_labels: Tensor
    queue_places: Tensor

    def __init__(
        self,
        labels: NDArray[np.int8],
        n_bits: int | None = None,
        scale: float = 10.0,
        alpha: float = 5.0,
        quantisation: float = 0.1,
        queue: int = 128,
    ) -> None:
        super().__init__()
        length = check_integer("n_bits", n_bits, 1, "ddmh keeps a queue of codes")
        if scale <= 0 or not 0 <= alpha < scale or quantisation < 0:
            raise InvalidParameterError(
                "scale, alpha, quantisation", (scale, alpha, quantisation), "scale > alpha >= 0 and quantisation >= 0"
            )
        self.scale, self.alpha, self.quantisation = scale, alpha, quantisation
        self.queue = check_integer("queue", queue, 0)
        # A place that holds no film yet has labels of which nothing is known, and so makes no triplet.
        self.register_buffer("queue_codes", torch.zeros(queue, length))
        self.register_buffer("queue_labels", torch.full((queue, labels.shape[1]), -1, dtype=torch.int8))
        self.register_buffer("queue_places", torch.full((queue,), -1, dtype=torch.int64))

    def forward(self, outputs: NetworkOutputs, targets: Targets) -> Tensor:
        """Loss of a batch; while training, its films then enter the queue."""
        outputs, targets = known_films(outputs, targets)
        codes = outputs.codes
        labels = torch.cat([targets.labels, self.queue_labels])
        places = torch.cat([targets.places, self.queue_places])
        similar, known = pair_relations(targets.labels, labels)
        other = targets.places[:, None] != places[None, :]
        directions = normalize(codes)
        cosines = directions @ torch.cat([directions, normalize(self.queue_codes.to(codes.dtype))]).T
        likelihood = softplus(self.alpha - self.scale / 2 * (cosines[:, :, None] - cosines[:, None, :]))
        loss = mean_where(likelihood, triplets(similar & other, known & other))
        if len(codes):
            directions_of_bits = normalize(signs(codes))
            loss = loss + self.quantisation * (1 - (directions * directions_of_bits).sum(dim=1)).mean()
        if self.training and self.queue:
            self._remember(codes, targets)
        return loss

    def _remember(self, codes: Tensor, targets: Targets) -> None:
        """Put the films of a batch in front of the queue; those at its end drop out."""
        for buffer, new in (
            (self.queue_codes, codes.detach().to(self.queue_codes.dtype)),
            (self.queue_labels, targets.labels),
            (self.queue_places, targets.places),
        ):
            buffer.copy_(torch.cat([new, buffer])[: self.queue])
