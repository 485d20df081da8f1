"""A test of paired differences that reaches any p: signs of patients are flipped, and the tail is computed, not drawn.

A bootstrap of 2,000 resamples cannot say p below .0005. With some hundred rows of a table, no p that is adjusted for
all of them is then below .05, whatever the differences are. Here p has no such floor but that of the number of
patients.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import ndtr

from graphret._errors import InvalidParameterError

if TYPE_CHECKING:
    from graphret._types import Float64Array

__all__ = ["sign_flip_p_value"]

_ENUMERATED = 14
"""Up to so many patients with a difference, all assignments of signs are counted."""
_STEPS = 200
_SLACK = 1e-9
"""Of the largest sum: sums of equal terms in another order may differ in the last bits."""


def sign_flip_p_value(values: Any, baseline: Any, patients: Any) -> float:
    """Two-sided p of "values and baseline are exchangeable within every patient".

    The sums d_i of ``values - baseline`` over the queries of a patient keep their size; each sign is + or - with chance
    1/2, independently. p is the chance that |sum of +-d_i| is at least the one observed. For up to 14 patients whose
    sum is not 0 it is counted exactly. For more it is the saddlepoint approximation of Robinson (1982) in the form of
    Barndorff-Nielsen (1986), whose relative error stays small far out in the tail: with K(t) = sum of log cosh(t d_i)
    and K'(t) = sum of d_i, ``w = sqrt(2 (t K'(t) - K(t)))``, ``u = t sqrt(K''(t))``, one tail is
    ``1 - Phi(w + log(u / w) / w)``. Where all sums are multiples of one number (precisions), the observed sum is moved
    inwards by half a step, and u is that of a lattice (Daniels 1987), so that the observed value itself counts.

    Under the hypothesis the distribution of a patient's sum is symmetric about 0. That is more than a mean of 0; but as
    every sum keeps its size, unequal spreads of patients do not mislead it.

    Parameters
    ----------
    values, baseline
        float64 (q,), one measure of the same queries under two rankings; a query that is NaN in either is left out.
    patients
        str or int (q,), of the queries.

    Returns
    -------
    float
        In (0, 1]; 1.0 where nothing differs, NaN with fewer than two patients. Never below ``2 / 2**n`` for n patients
        with a difference.

    Raises
    ------
    InvalidParameterError
        The three are not as long as each other.

    Notes
    -----
    O(q log q), plus 2^n for n <= 14 patients, plus O(n) for each of some ten steps of Newton's method.

    Examples
    --------
    >>> patients = list(range(40))
    >>> sign_flip_p_value([0.3] * 40, [0.1] * 40, patients) < 1e-11
    True
    >>> sign_flip_p_value([0.3, 0.1] * 20, [0.1, 0.3] * 20, patients)
    1.0
    """
    difference = np.asarray(values, dtype=np.float64) - np.asarray(baseline, dtype=np.float64)
    names = np.asarray(patients)
    if difference.ndim != 1 or names.shape != difference.shape:
        raise InvalidParameterError("patients", names.shape, f"one patient for each of the {difference.shape} queries")
    defined = ~np.isnan(difference)
    _, number = np.unique(names[defined], return_inverse=True)
    if not number.size or number.max() < 1:
        return float("nan")
    sums = np.bincount(number, weights=difference[defined])
    largest = np.abs(sums).max()
    if largest == 0:
        return 1.0
    sums = sums[np.abs(sums) > _SLACK * largest] / largest  # a patient without a difference has no sign to flip
    observed = abs(float(sums.sum()))
    sizes = np.abs(sums)
    if observed <= _SLACK * sizes.sum():
        return 1.0
    if len(sizes) <= _ENUMERATED:
        return _counted(sizes, observed)
    return _by_saddlepoint(sizes, observed)


def _counted(sizes: Float64Array, observed: float) -> float:
    """Count all assignments of signs."""
    reached = np.zeros(1)
    for size in sizes:
        reached = np.concatenate([reached + size, reached - size])
    return float((np.abs(reached) >= observed - _SLACK * sizes.sum()).mean())


def _by_saddlepoint(sizes: Float64Array, observed: float) -> float:
    """Approximate twice the upper tail; at its end, where all signs are equal, it is known."""
    least = 2.0 ** (1 - len(sizes))
    if observed >= sizes.sum() * (1 - _SLACK):
        return max(least, np.finfo(np.float64).tiny)
    step = _step_of(sizes)
    reached = observed - step
    if reached <= _SLACK * sizes.sum():
        return 1.0
    # tanh is concave above 0, so Newton's method from the left of the root stays there and comes nearer at every step.
    saddle = reached / float(sizes @ sizes)
    for _ in range(_STEPS):
        gap = reached - float(sizes @ np.tanh(saddle * sizes))
        if gap <= 1e-12 * reached:
            break
        saddle += gap / _curvature(sizes, saddle)
    scaled = saddle * sizes
    cumulant = float((scaled + np.log1p(np.exp(-2 * scaled)) - np.log(2)).sum())  # log cosh without an overflow
    root = np.sqrt(2 * max(saddle * reached - cumulant, 0.0))
    if root < 1e-3:
        tail = ndtr(-root)
    else:
        width = np.sinh(saddle * step) / step if step else saddle
        tail = ndtr(-(root + np.log(width * np.sqrt(_curvature(sizes, saddle)) / root) / root))
    return float(np.clip(2 * tail, max(least, np.finfo(np.float64).tiny), 1.0))


def _curvature(sizes: Float64Array, saddle: float) -> float:
    """K''(t) = sum of (d_i / cosh(t d_i))^2."""
    return float(((sizes / np.cosh(np.minimum(saddle * sizes, 300.0))) ** 2).sum())


def _step_of(sizes: Float64Array) -> float:
    """The smallest size where all others are its multiples (sums are then twice that apart), else 0."""
    smallest = float(sizes.min())
    multiples = sizes / smallest
    return smallest if np.abs(multiples - np.rint(multiples)).max() < 1e-6 else 0.0
