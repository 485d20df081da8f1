"""Centres in Hamming space, one for every class, far from each other: what CSQ, OrthoHash and DPN draw codes to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.linalg import hadamard
from torch import nn

from graphret._checks import check_integer
from graphret._errors import InvalidParameterError
from graphret.encoders.objectives.classes import class_membership, has_healthy_films

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["ClassCenters", "hash_centers"]

_KINDS = ("auto", "hadamard", "bernoulli")
_TRIES = 100


def hash_centers(n_classes: int, n_bits: int, *, centers: str = "auto", seed: int = 0) -> NDArray[np.int8]:
    """Make a centre in {-1, 1}^n_bits for every class (Yuan et al. 2020, Algorithm 1).

    ``"hadamard"``: the first rows of Sylvester's matrix H, then those of -H: any two differ in half of the bits, or in
    all. It needs a power of 2 as ``n_bits`` and at most ``2 n_bits`` classes. ``"bernoulli"``: half of the bits of each
    centre, chosen at random, are -1, as in the authors' code; of 100 draws that whose closest centres are farthest
    apart (ties: the larger mean distance, then the first), where they repeat the draw until a bound is met.
    ``"auto"``: Hadamard where it is possible, else Bernoulli.

    Parameters
    ----------
    n_classes, n_bits
        Centres, and the length of each; >= 1.
    centers
        One of the three.
    seed
        Of the draws.

    Returns
    -------
    ndarray
        int8 (n_classes, n_bits) of -1 and 1.

    Raises
    ------
    InvalidParameterError
        An unknown kind, or ``"hadamard"`` where there is no such matrix.

    Notes
    -----
    O(100 n_classes^2 n_bits) for Bernoulli centres.

    Examples
    --------
    >>> hash_centers(3, 4)
    array([[ 1,  1,  1,  1],
           [ 1, -1,  1, -1],
           [ 1,  1, -1, -1]], dtype=int8)
    """
    check_integer("n_classes", n_classes, 1)
    check_integer("n_bits", n_bits, 1)
    if centers not in _KINDS:
        raise InvalidParameterError("centers", centers, " or ".join(f'"{kind}"' for kind in _KINDS))
    possible = n_bits & (n_bits - 1) == 0 and n_classes <= 2 * n_bits
    if centers == "hadamard" and not possible:
        raise InvalidParameterError(
            "centers",
            centers,
            '"bernoulli" or "auto" here',
            f"a Hadamard matrix needs a power of 2 as n_bits, and gives 2 n_bits centres: {n_classes} of {n_bits} bits",
        )
    if centers != "bernoulli" and possible:
        rows = hadamard(n_bits, dtype=np.int8)
        return np.concatenate([rows, -rows])[:n_classes]
    generator = np.random.default_rng(check_integer("seed", seed, 0))
    half = np.tile(np.where(np.arange(n_bits) < n_bits // 2, -1, 1).astype(np.int8), (n_classes, 1))
    return max((generator.permuted(half, axis=1) for _ in range(_TRIES)), key=_apart)


def _apart(centers: NDArray[np.int8]) -> tuple[float, float]:
    """How far the closest two centres are from each other, then all of them: larger is farther."""
    products = centers.astype(np.float32) @ centers.T.astype(np.float32)
    pairs = products[np.triu_indices(len(centers), 1)]
    return (-float(pairs.max()), -float(pairs.mean())) if len(pairs) else (0.0, 0.0)


class ClassCenters(nn.Module):
    """The classes of the training films with a centre each; a film of several classes has the centroid of theirs.

    Parameters
    ----------
    labels
        int8 (n_train, L) of the training films. Where some have no finding at all, "no finding" is a class too.
    n_bits, centers, seed
        As for :func:`hash_centers`.
    """

    centers: Tensor
    tie: Tensor

    def __init__(self, labels: NDArray[np.int8], n_bits: int, centers: str, seed: int) -> None:
        super().__init__()
        self.healthy = has_healthy_films(labels)
        seed = check_integer("seed", seed, 0)
        made = hash_centers(labels.shape[1] + self.healthy, n_bits, centers=centers, seed=seed)
        tie = np.random.default_rng([seed, 1]).choice(np.array([-1, 1], dtype=np.int8), n_bits)
        self.register_buffer("centers", torch.from_numpy(made.astype(np.float32)))
        self.register_buffer("tie", torch.from_numpy(tie.astype(np.float32)))

    def membership(self, labels: Tensor) -> Tensor:
        """:func:`class_membership` of the films of a batch."""
        return class_membership(labels, self.healthy)

    def centroids(self, labels: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Centroid of the centres of each film's classes, and whether it has a class.

        A bit is what most of its centres have. Where as many have -1 as 1, it is that of one vector which was drawn
        once, as in the code of Yuan et al. 2020 (their paper draws it for every film), so films of the same classes
        have the same centroid.

        Returns
        -------
        centroids, has_class
            -1 and 1, (b, n_bits) of ``dtype``, and bool (b,); a film without a class has that vector.
        """
        member = self.membership(labels) == 1
        sums = member.to(dtype) @ self.centers.to(dtype)
        wanted = torch.where(sums == 0, self.tie.to(dtype), torch.sign(sums))
        return wanted, member.any(dim=1)
