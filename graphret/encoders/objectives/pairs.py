"""Which films of a batch are similar: what every pairwise and triplet loss asks first."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["pair_similarity"]


def pair_similarity(labels: Tensor, others: Tensor | None = None) -> Tensor:
    """Whether two films share a positive label, or are both known to have none.

    Films without any finding are a class of their own (Öztürk et al. 2021 count "healthy" as their fifteenth). A film
    with no positive label and an uncertain one may have a finding: it is similar to nobody.

    Parameters
    ----------
    labels
        int8 (b, L): 1 positive, 0 negative, -1 uncertain.
    others
        int8 (c, L); ``None`` for the films themselves.

    Returns
    -------
    Tensor
        bool (b, c). The diagonal of a batch with itself is not special.

    Examples
    --------
    >>> import torch
    >>> pair_similarity(torch.tensor([[1, 0], [1, 1], [0, 0], [0, 0], [0, -1]], dtype=torch.int8)).int()
    tensor([[1, 1, 0, 0, 0],
            [1, 1, 0, 0, 0],
            [0, 0, 1, 1, 0],
            [0, 0, 1, 1, 0],
            [0, 0, 0, 0, 0]], dtype=torch.int32)
    """
    others = labels if others is None else others
    positive, other_positive = (labels == 1).float(), (others == 1).float()
    healthy, other_healthy = (labels == 0).all(dim=1), (others == 0).all(dim=1)
    return (positive @ other_positive.T > 0) | (healthy[:, None] & other_healthy[None, :])
