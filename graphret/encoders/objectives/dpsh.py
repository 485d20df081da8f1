"""Deep pairwise-supervised hashing: the likelihood of the pairwise labels given inner products of codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn.functional import softplus

from graphret._errors import InvalidParameterError
from graphret.encoders.objectives.code_memory import CodeMemory
from graphret.encoders.objectives.relations import known_films, signs

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from graphret.encoders.objectives.objective import NetworkOutputs, Targets

__all__ = ["DPSH"]


class DPSH(CodeMemory):
    """DPSH (Li, Wang, Kang, IJCAI 2016, Eq. 7), of the films of a batch with all training films.

    ``J = -sum_ij (s_ij theta_ij - log(1 + e^theta_ij)) + eta sum_i ||b_i - u_i||^2`` with ``theta_ij = u_i . u_j / 2``
    and ``b_i = sign(u_i)``, divided by the number of pairs. As in the paper's algorithm 1, i runs over the batch and j
    over all training films: the code of each is kept as it was when the film was last in a batch, and is a constant.

    Departures from the paper: films that were in no batch yet are left out (the paper starts from random codes); a film
    makes no pair with itself; pairs whose relation uncertain labels leave open have no part; the sum is divided by the
    number of pairs, as in the authors' code.

    Parameters
    ----------
    labels, n_bits
        As for every :class:`Objective`; ``n_bits`` is needed.
    eta
        Weight of the quantisation, >= 0; 10 in the authors' code.

    Notes
    -----
    O(b n_train n_bits) a step, and 4 n_train n_bits bytes, which are a part of every checkpoint.
    """

    def __init__(self, labels: NDArray[np.int8], n_bits: int | None = None, eta: float = 10.0) -> None:
        super().__init__(labels, n_bits, "dpsh")
        if eta < 0:
            raise InvalidParameterError("eta", eta, "a number >= 0")
        self.eta = eta

    def forward(self, outputs: NetworkOutputs, targets: Targets) -> Tensor:
        """Loss of a batch; while training, its codes are then kept."""
        outputs, targets = known_films(outputs, targets)
        codes = outputs.codes
        theta, similar, counted = self.pairs(codes, targets)
        likelihood = torch.where(counted, softplus(theta) - similar * theta, 0.0).sum()
        quantisation = (signs(codes) - codes).square().sum()
        return (likelihood + self.eta * quantisation) / counted.sum().clamp_min(1)
