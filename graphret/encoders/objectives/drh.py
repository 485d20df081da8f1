"""Deep residual hashing: neighbours found by a softmax over distances are to share labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from graphret._errors import EncoderError, InvalidParameterError
from graphret.encoders.objectives.objective import NetworkOutputs, Objective, Targets
from graphret.encoders.objectives.relations import known_films, mean_where, pair_relations, squared_distances

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["DRH", "orthogonality"]


class DRH(Objective):
    """DRH (Conjeti, Guha Roy, Katouzian, Navab, MICCAI 2017; arXiv 1612.05400), with ``h = tanh(u)``.

    ``L = J_S + lambda_q J_Q + lambda_b J_B + lambda_o J_O``:

    - neighbourhood components: ``J_S = 1 - mean_i sum_j s_ij p_ij``, where ``p_ij`` is the softmax over the other films
      j of ``-||h_i - h_j||^2``,
    - quantisation: ``J_Q = mean (|h| - 1)^2`` over films and bits,
    - bit balance: ``J_B = mean over the bits of (mean over the films of h)^2``,
    - orthogonality: ``J_O = ||W W^T - I||^2 / n_bits^2`` of the weights W of the hash layer.

    Departures from the paper: its text was not at hand when this was written; the four terms are those that its
    abstract names, their exact norms and the weights are ours. Pairs whose relation uncertain labels leave open are
    left out of the softmax, and a film without a known similar one in the batch is left out of ``J_S``. The network is
    any backbone, not the paper's own residual one.

    Parameters
    ----------
    labels, n_bits
        As for every :class:`Objective`.
    quantisation, balance, orthogonal
        ``lambda_q``, ``lambda_b``, ``lambda_o``, >= 0.
    """

    def __init__(
        self,
        labels: NDArray[np.int8],  # noqa: ARG002 - one signature for all
        n_bits: int | None = None,  # noqa: ARG002
        quantisation: float = 0.05,
        balance: float = 0.025,
        orthogonal: float = 0.01,
    ) -> None:
        super().__init__()
        weights = (quantisation, balance, orthogonal)
        if min(weights) < 0:
            raise InvalidParameterError("quantisation, balance, orthogonal", weights, "numbers >= 0")
        self.quantisation, self.balance, self.orthogonal = weights

    def forward(self, outputs: NetworkOutputs, targets: Targets) -> Tensor:
        """Loss of a batch."""
        hash_weight = orthogonality(outputs)
        outputs, targets = known_films(outputs, targets)
        codes = torch.tanh(outputs.codes)
        similar, known = pair_relations(targets.labels)
        others = known & ~torch.eye(len(codes), dtype=torch.bool, device=codes.device)
        # A row without any known pair has a softmax over nothing; it is masked below, and must not be NaN here.
        scores = torch.where(others, -squared_distances(codes), torch.finfo(codes.dtype).min)
        found = (torch.softmax(scores, dim=1) * (similar & others)).sum(dim=1)
        counted = (similar & others).any(dim=1)
        loss = mean_where(1 - found, counted) + self.orthogonal * hash_weight
        if len(codes):
            loss = loss + self.quantisation * (codes.abs() - 1).square().mean()
            loss = loss + self.balance * codes.mean(dim=0).square().mean()
        return loss


def orthogonality(outputs: NetworkOutputs) -> Tensor:
    """``||W W^T - I||^2 / n_bits^2`` of the weights (n_bits, c) of the hash layer, which the network passes on."""
    if outputs.further is None or "hash_weight" not in outputs.further:
        raise EncoderError("this network does not pass on the weights of its hash layer: choose another objective")
    weight = outputs.further["hash_weight"]
    identity = torch.eye(len(weight), dtype=weight.dtype, device=weight.device)
    return (weight @ weight.T - identity).square().mean()
