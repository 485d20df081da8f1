"""The loss of Haq et al. 2021 for several labels at once, some of them unknown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import softplus

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from graphret._types import Float64Array

__all__ = ["label_weights", "weighted_cross_entropy"]


def label_weights(labels: NDArray[np.int8]) -> Float64Array:
    """Weigh the rare side of every label up.

    ``w+ = n- / N`` and ``w- = n+ / N`` (Haq et al. 2021, Eq. 1), counted over the films whose label is known.

    Parameters
    ----------
    labels
        int8 (n, L), the training split: 1 positive, 0 negative, -1 uncertain.

    Returns
    -------
    ndarray
        float64 (2, L): ``w+`` and ``w-``; both zero for a label that no film knows.

    Examples
    --------
    >>> import numpy as np
    >>> label_weights(np.array([[1, 0], [0, -1], [0, 1], [0, -1]], dtype=np.int8))
    array([[0.75, 0.5 ],
           [0.25, 0.5 ]])
    """
    positive = (labels == 1).sum(axis=0)
    negative = (labels == 0).sum(axis=0)
    known = np.maximum(positive + negative, 1)
    return np.stack([negative / known, positive / known])


def weighted_cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor, smoothing: float = 0.0) -> Tensor:
    """Weighted binary cross entropy over the known labels (Haq et al. 2021, Eq. 1).

    For label j of a film with logit x: ``w+ softplus(-x)`` if it is positive, ``w- softplus(x)`` if it is negative (the
    stable forms of ``-w+ log p`` and ``-w- log(1 - p)``), nothing if it is uncertain; summed over the labels, averaged
    over the batch. ``smoothing`` s mixes them: a positive label has ``1 - s / 2`` of its own term and ``s / 2`` of the
    other, a negative one likewise.

    Parameters
    ----------
    logits
        float (b, L).
    labels
        (b, L): 1 positive, 0 negative, -1 uncertain.
    weights
        float (2, L) of :func:`label_weights`.
    smoothing
        In [0, 1); 0: Eq. 1 as it is.

    Returns
    -------
    Tensor
        A scalar; uncertain labels have no part in its gradient.

    Examples
    --------
    >>> import torch
    >>> weights = torch.ones(2, 2)
    >>> loss = weighted_cross_entropy(torch.zeros(1, 2), torch.tensor([[1, -1]]), weights)
    >>> round(float(loss), 4)
    0.6931
    """
    logits = logits.float() if logits.dtype in {torch.float16, torch.bfloat16} else logits
    positive = weights[0] * softplus(-logits)
    negative = weights[1] * softplus(logits)
    half = smoothing / 2
    if half:
        positive, negative = torch.lerp(positive, negative, half), torch.lerp(negative, positive, half)
    terms = torch.where(labels == 1, positive, negative)
    return torch.where(labels >= 0, terms, 0.0).sum(dim=1).mean()
