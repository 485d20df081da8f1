"""A loss that remembers the code of every training film, as it was when the film was last in a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from graphret._checks import check_integer
from graphret.encoders.objectives.objective import Objective, Targets
from graphret.encoders.objectives.relations import pair_relations

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["CodeMemory"]


class CodeMemory(Objective):
    """The pairs of a batch with all training films that were seen so far; their codes are constants.

    Parameters
    ----------
    labels
        int8 (n_train, L), as for every :class:`Objective`.
    n_bits
        Length of the codes, needed.
    name
        Of the loss, for its error.

    Notes
    -----
    4 n_train n_bits bytes, which are a part of every checkpoint.
    """

    seen_codes: Tensor
    seen: Tensor
    training_labels: Tensor

    def __init__(self, labels: NDArray[np.int8], n_bits: int | None, name: str) -> None:
        super().__init__()
        length = check_integer("n_bits", n_bits, 1, f"{name} keeps a code of every training film")
        self.register_buffer("seen_codes", torch.zeros(len(labels), length))
        self.register_buffer("seen", torch.zeros(len(labels), dtype=torch.bool))
        self.register_buffer("training_labels", torch.from_numpy(labels), persistent=False)

    def pairs(self, codes: Tensor, targets: Targets) -> tuple[Tensor, Tensor, Tensor]:
        """While training, keep the codes of a batch; then give its pairs with all films.

        Returns
        -------
        theta
            ``u_i . u_j / 2``, (b, n_train).
        similar, counted
            bool (b, n_train) each: which pairs are similar; which have a part: their relation is known, the other film
            was seen, and is not the film itself.
        """
        others, seen = self.seen_codes.to(codes.dtype), self.seen
        if self.training:
            self.seen_codes[targets.places] = codes.detach().to(self.seen_codes.dtype)
            self.seen[targets.places] = True
            others = self.seen_codes.to(codes.dtype, copy=True)  # the graph needs it after the next step changed it
        similar, known = pair_relations(targets.labels, self.training_labels)
        itself = targets.places[:, None] == torch.arange(len(others), device=codes.device)[None, :]
        return codes @ others.T / 2, similar, known & seen[None, :] & ~itself
