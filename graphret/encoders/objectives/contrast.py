"""Supervised contrast: films that share a finding get codes of one direction, others do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn.functional import normalize

from graphret.encoders.objectives.relations import pair_relations

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["supervised_contrast"]


def supervised_contrast(codes: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Supervised contrastive loss of a batch (Khosla et al., NeurIPS 2020, Eq. 2), for several labels a film.

    For film i with the similar films P(i) of the batch and the films A(i) whose relation to i is known, itself left out
    of both: ``-mean over p in P(i) of log(e^(cos(i, p) / temperature) / sum over a in A(i) of e^(cos(i, a) /
    temperature))``, averaged over the films that have a similar one. Similar films share a positive label, or are both
    known to have none (`pair_relations`). Departures: the paper has one label a film, and two changed views of each;
    cosines are of the codes that are searched later, without the projection between them.

    Parameters
    ----------
    codes
        float (b, d).
    labels
        int8 (b, L): 1 positive, 0 negative, -1 uncertain.
    temperature
        > 0.

    Returns
    -------
    Tensor
        A scalar; 0, with a gradient of 0, where no two films are similar.

    Notes
    -----
    O(b^2 d) time, O(b^2) memory.

    Examples
    --------
    >>> codes = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]])
    >>> labels = torch.tensor([[1, 0], [1, 0], [0, 1]], dtype=torch.int8)
    >>> round(float(supervised_contrast(codes, labels, 1.0)), 4)  # log(1 + 1 / e) of the first two
    0.3133
    """
    directions = normalize(codes.float() if codes.dtype in {torch.float16, torch.bfloat16} else codes, dim=1)
    similar, known = pair_relations(labels)
    itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    similar = similar & ~itself
    scores = directions @ directions.T / temperature
    scores = scores.masked_fill(itself | ~known, torch.finfo(scores.dtype).min)
    logs = torch.where(similar, torch.log_softmax(scores, dim=1), 0.0)
    counts = similar.sum(dim=1)
    of_films = -logs.sum(dim=1) / counts.clamp_min(1)
    return of_films.sum() / (counts > 0).sum().clamp_min(1)
