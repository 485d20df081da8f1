"""Pairs of films whose codes should be as similar as what the network saw in them: hashing without labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn.functional import cosine_similarity

from graphret._errors import EncoderError

if TYPE_CHECKING:
    from torch import Tensor

    from graphret.encoders.objectives.objective import NetworkOutputs

__all__ = ["cosine_difference", "features_of"]


def features_of(outputs: NetworkOutputs) -> Tensor:
    """The features (b, c) under the codes, a constant, which the network passes on.

    Raises
    ------
    EncoderError
        The network does not.
    """
    if outputs.further is None or "features" not in outputs.further:
        raise EncoderError("this network does not pass on its features: choose another objective")
    return outputs.further["features"].detach()


def cosine_difference(bits: Tensor, features: Tensor) -> Tensor:
    """Mean of ``(cos(b_i, b_j) - cos(x_i, x_j))^2`` over the pairs of the first half of a batch with the second.

    As in the code of Su et al. 2018 and of Li and van Gemert 2021: film i of the first half with film i of the second;
    the last of an odd number has no pair.

    Examples
    --------
    >>> import torch
    >>> bits = torch.tensor([[1.0, 1.0], [1.0, -1.0]])
    >>> cosine_difference(bits, torch.tensor([[1.0, 0.0], [1.0, 0.0]])).item()
    1.0
    """
    half = len(bits) // 2
    of_bits = cosine_similarity(bits[:half], bits[half : 2 * half])
    of_features = cosine_similarity(features[:half], features[half : 2 * half])
    return (of_bits - of_features).square().sum() / max(half, 1)
