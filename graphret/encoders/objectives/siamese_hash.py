"""The losses of Cai et al. 2019 over pairs of films: with its quantisation term (Eq. 3) and without (Eq. 1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from graphret._errors import InvalidParameterError, UnknownNameError
from graphret.encoders.objectives.objective import NetworkOutputs, Objective, Targets
from graphret.encoders.objectives.relations import known_films, mean_where, pair_relations

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["SiameseLoss"]


class SiameseLoss(Objective):
    """Cai et al. 2019, Eq. 3 for a pair with codes b and b', y = 0 for similar films, averaged over pairs.

    ``(1 - y)/2 D + y/2 max(m - D, 0) + alpha (|| |b| - 1 ||_1 + || |b'| - 1 ||_1)``, ``D = ||b - b'||^2``

    Departures from the paper: it gives neither ``m`` nor ``alpha``, here 2 b for b bits and 0.01; Eq. 1 has
    a distance that it does not name, here that of Eq. 3, so that the two losses differ by the last term alone; means in
    the place of sums; pairs whose relation uncertain labels leave open have no part.

    Parameters
    ----------
    labels, n_bits
        As for every :class:`Objective`.
    loss
        3 for Eq. 3 ("optimised"), 1 for Eq. 1 ("not optimised").
    alpha
        Weight of the quantisation, >= 0.
    margin
        ``m`` as a multiple of the length of the code, > 0.
    pairs
        ``"consecutive"``: films 2i and 2i + 1 of a batch, as the sampler ``"pairs"`` puts them (an odd last film has no
        part); ``"all"``: every two films.
    """

    def __init__(
        self,
        labels: NDArray[np.int8],  # noqa: ARG002 - one signature for all
        n_bits: int | None = None,  # noqa: ARG002
        loss: int = 3,
        alpha: float = 0.01,
        margin: float = 2.0,
        pairs: str = "consecutive",
    ) -> None:
        super().__init__()
        if loss not in {1, 3}:
            raise InvalidParameterError("loss", loss, "1 or 3", "the equations of the paper")
        if alpha < 0 or margin <= 0:
            raise InvalidParameterError("alpha, margin", (alpha, margin), "alpha >= 0 and margin > 0")
        if pairs not in {"consecutive", "all"}:
            raise UnknownNameError("pairs", pairs, ("consecutive", "all"))
        self.alpha = alpha if loss == 3 else 0.0
        self.margin, self.pairs = margin, pairs

    def forward(self, outputs: NetworkOutputs, targets: Targets) -> Tensor:
        """Loss of a batch."""
        if self.pairs == "all":
            outputs, targets = known_films(outputs, targets)
            first, second = torch.triu_indices(len(outputs.codes), len(outputs.codes), 1, device=outputs.codes.device)
        else:
            # A film of which nothing is known is in no known pair; leaving it out would tear the pairs behind it apart.
            first = torch.arange(0, len(outputs.codes) - 1, 2, device=outputs.codes.device)
            second = first + 1
        similar, known = (relation[first, second] for relation in pair_relations(targets.labels))
        one, other = outputs.codes[first], outputs.codes[second]
        distances = (one - other).square().sum(dim=1)
        apart = torch.relu(self.margin * outputs.codes.shape[1] - distances)
        quantisation = sum((codes.abs() - 1).abs().sum(dim=1) for codes in (one, other))
        return mean_where(torch.where(similar, distances, apart) / 2 + self.alpha * quantisation, known)
