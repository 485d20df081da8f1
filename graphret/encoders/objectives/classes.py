"""The classes of films, for losses that were made for one class an image: labels, and "no finding" as one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from graphret.encoders.objectives.relations import mean_where

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["class_cross_entropy", "class_membership", "has_healthy_films"]


def has_healthy_films(labels: NDArray[np.int8]) -> bool:
    """Whether some film is known to have no finding at all, so that "no finding" is a class of its own."""
    return bool((labels == 0).all(axis=1).any())


def class_membership(labels: Tensor, healthy: bool) -> Tensor:
    """Which classes a film belongs to: its labels and, with ``healthy``, one more for films without any finding.

    Parameters
    ----------
    labels
        int8 (b, L): 1 positive, 0 negative, -1 uncertain.
    healthy
        Whether the last class is "no finding" (:func:`has_healthy_films` of the training films).

    Returns
    -------
    Tensor
        int8 (b, L) or (b, L + 1): 1 a member, 0 none, -1 not known. "No finding" is not known of a film without a
        positive label that has an uncertain one.

    Examples
    --------
    >>> import torch
    >>> class_membership(torch.tensor([[1, 0], [0, 0], [0, -1]], dtype=torch.int8), healthy=True)
    tensor([[ 1,  0,  0],
            [ 0,  0,  1],
            [ 0, -1, -1]], dtype=torch.int8)
    """
    if not healthy:
        return labels
    none_positive, none_open = (labels != 1).all(dim=1), (labels != -1).all(dim=1)
    last = torch.where(none_positive, torch.where(none_open, 1, -1), 0).to(labels.dtype)
    return torch.cat([labels, last[:, None]], dim=1)


def class_cross_entropy(logits: Tensor, membership: Tensor) -> Tensor:
    """Cross entropy of a softmax over the classes, averaged over the films that have a class.

    A film of several classes is wanted in each with an equal share (Hoe et al. 2021 call it label smoothing); of one
    class, this is the usual cross entropy. A class that is not known of a film is left out of its softmax.

    Parameters
    ----------
    logits
        float (b, C).
    membership
        int8 (b, C) of :func:`class_membership`.

    Examples
    --------
    >>> import torch
    >>> logits = torch.tensor([[2.0, 0.0, 9.0]])
    >>> round(class_cross_entropy(logits, torch.tensor([[1, 0, -1]], dtype=torch.int8)).item(), 4)  # log(1 + e^-2)
    0.1269
    """
    member = membership == 1
    log_shares = torch.log_softmax(logits.masked_fill(membership == -1, torch.finfo(logits.dtype).min), dim=1)
    per_film = -torch.where(member, log_shares, 0.0).sum(dim=1) / member.sum(dim=1).clamp_min(1)
    return mean_where(per_film, member.any(dim=1))
