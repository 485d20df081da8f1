"""What the labels say of pairs and triplets of films, and what they leave open."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from graphret.encoders.objectives.pairs import pair_similarity

if TYPE_CHECKING:
    from torch import Tensor

    from graphret.encoders.objectives.objective import NetworkOutputs, Targets

__all__ = ["known_films", "mean_where", "pair_relations", "shared_labels", "signs", "squared_distances", "triplets"]


def pair_relations(labels: Tensor, others: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Which pairs of films are similar, and of which pairs the labels decide it.

    Similar is :func:`pair_similarity`. A pair that is not similar is dissimilar only if no uncertain label can change
    that: if no label may be positive in both films, and not both may be without any finding. All other pairs are open.

    Parameters
    ----------
    labels, others
        As for :func:`pair_similarity`.

    Returns
    -------
    similar, known
        bool (b, c) each; every similar pair is known. A film of which nothing is known has no known pair. The diagonal
        of a batch with itself is not special.

    Examples
    --------
    >>> import torch
    >>> similar, known = pair_relations(torch.tensor([[1, -1], [1, 0], [0, 1], [-1, -1]], dtype=torch.int8))
    >>> similar.int()
    tensor([[1, 1, 0, 0],
            [1, 1, 0, 0],
            [0, 0, 1, 0],
            [0, 0, 0, 0]], dtype=torch.int32)
    >>> known.int()
    tensor([[1, 1, 0, 0],
            [1, 1, 1, 0],
            [0, 1, 1, 0],
            [0, 0, 0, 0]], dtype=torch.int32)
    """
    others = labels if others is None else others
    similar = pair_similarity(labels, others)
    may, other_may = (labels != 0).float(), (others != 0).float()
    may_be_healthy, other_may_be_healthy = (labels != 1).all(dim=1), (others != 1).all(dim=1)
    may_be_similar = (may @ other_may.T > 0) | (may_be_healthy[:, None] & other_may_be_healthy[None, :])
    return similar, similar | ~may_be_similar


def shared_labels(labels: Tensor, others: Tensor | None = None) -> Tensor:
    """Number of positive labels that two films share, float32 (b, c); 1 for two films known to have none."""
    others = labels if others is None else others
    count = (labels == 1).float() @ (others == 1).float().T
    return torch.maximum(count, pair_similarity(labels, others).float())


def triplets(similar: Tensor, known: Tensor) -> Tensor:
    """All triplets of films: bool (b, c, c), true at [i, j, k] where j is similar to i and k is dissimilar to it."""
    return similar[:, :, None] & (known & ~similar)[:, None, :]


def known_films(outputs: NetworkOutputs, targets: Targets) -> tuple[NetworkOutputs, Targets]:
    """Leave films out of which no label is known.

    ``further`` stays as it is, and masks are dropped: no loss that asks for this reads them by film.
    """
    kept = (targets.labels >= 0).any(dim=1)
    logits = None if outputs.logits is None else outputs.logits[kept]
    outputs = replace(outputs, codes=outputs.codes[kept], logits=logits, mask_logits=None)
    return outputs, replace(targets, labels=targets.labels[kept], places=targets.places[kept], masks=None)


def mean_where(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of the values where a mask of their shape is true; 0, with a gradient of 0, where it never is."""
    return torch.where(mask, values, 0.0).sum() / mask.sum().clamp_min(1)


def signs(codes: Tensor) -> Tensor:
    """-1 and 1 in the dtype of the codes, a constant; the sign of 0 is 1, as everywhere in graphret."""
    return torch.where(codes < 0, -1.0, 1.0).to(codes.dtype)


def squared_distances(codes: Tensor, others: Tensor | None = None) -> Tensor:
    """Squared Euclidean distances (b, c), by differences: exact where two codes are close."""
    others = codes if others is None else others
    return (codes[:, None, :] - others[None, :, :]).square().sum(dim=2)
