"""CNNH's first stage: codes for the training films whose inner products repeat which films are similar."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._checks import check_integer
from graphret.encoders.objectives._cnnh_kernels import sweep

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from graphret._types import BoolArray, Float64Array, Int64Array

__all__ = ["codes_of_labels", "set_relations"]


def codes_of_labels(
    labels: NDArray[np.int8], n_bits: int, *, sweeps: int = 10, max_sets: int = 2048, seed: int = 0
) -> NDArray[np.int8]:
    """Find codes H in {-1, 1} that make ``||S - H H^T / n_bits||_F^2`` small (Xia et al. 2014, Eq. 1).

    ``S_ij`` is 1 for similar and -1 for dissimilar films; pairs that uncertain labels leave open have no part. S
    depends on the labels only, so films with the same labels get the same code: the problem is solved exactly, with
    their numbers as weights, for the distinct rows of ``labels``, and no n x n matrix is made. As in the paper, the
    values are relaxed to [-1, 1], each is moved by a Newton step in turn, and the signs are taken at the end.

    Parameters
    ----------
    labels
        int8 (n, L): 1 positive, 0 negative, -1 uncertain.
    n_bits
        Length of a code, >= 1.
    sweeps
        Passes over all values, at most; they end when one improves the mean squared error by less than 1e-5.
    max_sets
        Distinct rows that are solved for together, the commonest. Each further one gets the code that fits theirs best.
    seed
        Of the first codes and the order of the rows.

    Returns
    -------
    ndarray
        int8 (n, n_bits): -1 and 1; 0 everywhere for a film without a known pair.

    Notes
    -----
    O(sweeps n_bits U^2) time and 24 U^2 bytes for U distinct rows, at most ``max_sets`` of them.

    Examples
    --------
    >>> import numpy as np
    >>> codes = codes_of_labels(np.array([[1, 0], [1, 0], [0, 1], [-1, -1]], dtype=np.int8), 4)
    >>> (codes.astype(int) @ codes.T.astype(int)).tolist()
    [[4, 4, -4, 0], [4, 4, -4, 0], [-4, -4, 4, 0], [0, 0, 0, 0]]
    """
    n_bits = check_integer("n_bits", n_bits, 1)
    max_sets, sweeps = check_integer("max_sets", max_sets, 1), check_integer("sweeps", sweeps, 1)
    sets, row, number = np.unique(labels, axis=0, return_inverse=True, return_counts=True)
    by_number = np.argsort(-number, kind="stable")
    solved, rest = by_number[:max_sets], by_number[max_sets:]
    generator = np.random.default_rng(seed)
    codes = np.zeros((len(sets), n_bits), dtype=np.int8)
    codes[solved] = _solve(sets[solved], number[solved].astype(np.float64), n_bits, sweeps, generator)
    for start in range(0, len(rest), max_sets):
        some = rest[start : start + max_sets]
        similarity, known = set_relations(sets[some], sets[solved])
        # The code h that minimises sum_v n_v (n_bits S_uv - h . h_v)^2 has, to first order, these signs.
        wanted = (similarity * known) @ (number[solved, None] * codes[solved].astype(np.float64))
        codes[some] = np.where(wanted < 0, -1, 1) * known.any(axis=1, keepdims=True)
    return codes[row.reshape(-1)]


def set_relations(sets: NDArray[np.int8], others: NDArray[np.int8]) -> tuple[Float64Array, BoolArray]:
    """S, float64 (u, v) of -1 and 1, and where it is known: :func:`pair_relations` for arrays."""
    import torch

    from graphret.encoders.objectives.relations import pair_relations

    similar, known = pair_relations(torch.from_numpy(sets), torch.from_numpy(others))
    return np.where(similar.numpy(), 1.0, -1.0), known.numpy()


def _solve(
    sets: NDArray[np.int8], counts: Float64Array, n_bits: int, sweeps: int, generator: np.random.Generator
) -> NDArray[Any]:
    similarity, known = set_relations(sets, sets)
    bits = generator.uniform(-1.0, 1.0, (n_bits, len(sets)))
    pair_weights = known * counts
    # What remains of a sum that cannot reach 0 matters less and less: the signs are what is kept.
    enough = 1e-5 * n_bits**2 * float(counts @ pair_weights.sum(axis=1))
    for _ in range(sweeps):
        order: Int64Array = generator.permutation(len(sets))
        if sweep(bits, similarity, pair_weights, counts, order) <= enough:
            break
    return np.where(bits.T < 0, -1, 1) * known.any(axis=1, keepdims=True)
