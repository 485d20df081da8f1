"""HashNet: a weighted likelihood of pairs under a sign function that is approached step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn.functional import softplus

from graphret._checks import check_integer
from graphret._errors import InvalidParameterError
from graphret.encoders.objectives.objective import NetworkOutputs, Objective, Targets
from graphret.encoders.objectives.relations import known_films, pair_relations

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["HashNet"]


class HashNet(Objective):
    """HashNet (Cao, Long, Wang, Yu, ICCV 2017, Eq. 4), averaged over the pairs i < j of a batch.

    ``L = sum_ij w_ij (log(1 + e^(alpha <g_i, g_j>)) - alpha s_ij <g_i, g_j>) / |S|`` with ``g = tanh(beta u)`` of the
    network's outputs u. ``w_ij = c_ij |S| / |S_1|`` for similar and ``|S| / |S_0|`` for dissimilar pairs; ``c_ij`` is
    the share of the labels of both films that they have in common. Continuation: ``beta = sqrt(1 + gamma t)``, raised
    every ``step_size`` steps t, takes tanh towards the sign; the signs of u are those of g all the way.

    Departures from the paper: |S|, |S_1| and |S_0| are counted in the batch, as in the authors' code; beta follows that
    code (``gamma`` 0.005, every 200 steps), where the paper only says that it rises; pairs whose relation uncertain
    labels leave open have no part.

    Parameters
    ----------
    labels, n_bits
        As for every :class:`Objective`.
    alpha
        Scale of the inner product times the number of bits, > 0: ``alpha / n_bits`` is the paper's; 10 in the code.
    gamma
        Growth of beta, >= 0; 0 keeps tanh(u).
    step_size
        Steps between two values of beta, >= 1.
    """

    steps: Tensor

    def __init__(
        self,
        labels: NDArray[np.int8],  # noqa: ARG002 - one signature for all
        n_bits: int | None = None,  # noqa: ARG002
        alpha: float = 10.0,
        gamma: float = 0.005,
        step_size: int = 200,
    ) -> None:
        super().__init__()
        if alpha <= 0 or gamma < 0:
            raise InvalidParameterError("alpha, gamma", (alpha, gamma), "alpha > 0 and gamma >= 0")
        self.alpha, self.gamma, self.step_size = alpha, gamma, check_integer("step_size", step_size, 1)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    @property
    def beta(self) -> float:
        """Slope of the tanh after the steps so far."""
        return float((1 + self.gamma * (int(self.steps) // self.step_size) * self.step_size) ** 0.5)

    def forward(self, outputs: NetworkOutputs, targets: Targets) -> Tensor:
        """Loss of a batch; while training, it counts as a step."""
        outputs, targets = known_films(outputs, targets)
        codes = torch.tanh(self.beta * outputs.codes)
        if self.training:
            self.steps += 1
        similar, known = pair_relations(targets.labels)
        pairs = known.triu(diagonal=1)
        theta = self.alpha / codes.shape[1] * (codes @ codes.T)
        share = _share_in_common(targets.labels, similar).to(theta.dtype)
        n_similar, n_dissimilar = ((which & pairs).sum().clamp_min(1).to(theta.dtype) for which in (similar, ~similar))
        weights = torch.where(similar, share / n_similar, 1 / n_dissimilar)
        loss = weights * (softplus(theta) - similar * theta)
        # w / |S| leaves the reciprocal of the number of similar, or dissimilar, pairs.
        return torch.where(pairs, loss, 0.0).sum()


def _share_in_common(labels: Tensor, similar: Tensor) -> Tensor:
    """Common positive labels over those of either film, (b, b); 1 for two films without findings."""
    positive = (labels == 1).double()
    common = positive @ positive.T
    either = positive.sum(dim=1)[:, None] + positive.sum(dim=1)[None, :] - common
    return torch.where(either > 0, common / either.clamp_min(1), similar.double())
