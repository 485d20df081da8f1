"""ROC curves: how many films with a finding, and without it, lie above each threshold of a score."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._errors import InvalidParameterError

if TYPE_CHECKING:
    from graphret._types import Float64Array

__all__ = ["area_under_curve", "roc_curve"]


def roc_curve(scores: Any, positive: Any) -> tuple[Float64Array, Float64Array]:
    """Find the points of a ROC curve, one for every score that occurs.

    At a threshold t: the share of the films without the finding, and of those with it, whose score is at least t. Films
    of equal scores pass the threshold together, so that their order does not matter.

    Parameters
    ----------
    scores
        Numbers (n,), finite; larger speaks for the finding.
    positive
        bool (n,), the films that have it; at least one has, and one has not.

    Returns
    -------
    false_positive_rate, true_positive_rate
        float64 (t + 1,) both for t different scores, ascending from (0, 0) to (1, 1).

    Raises
    ------
    InvalidParameterError
        Other shapes or types, a score that is not finite, or films of one kind only.

    Notes
    -----
    O(n log n).

    Examples
    --------
    >>> rates = roc_curve([0.9, 0.5, 0.5, 0.1], np.array([True, True, False, False]))
    >>> [rate.tolist() for rate in rates], area_under_curve(*rates)
    ([[0.0, 0.0, 0.5, 1.0], [0.0, 0.5, 1.0, 1.0]], 0.875)
    """
    values, having = np.asarray(scores), np.asarray(positive)
    if values.ndim != 1 or values.dtype.kind not in "fiu" or not np.isfinite(values).all():
        raise InvalidParameterError("scores", f"{values.dtype} {values.shape}", "finite numbers (n,)")
    if having.dtype != np.bool_ or having.shape != values.shape:
        raise InvalidParameterError("positive", f"{having.dtype} {having.shape}", f"bool {values.shape}")
    n_having = int(having.sum())
    if n_having in {0, len(having)}:
        raise InvalidParameterError(
            "positive", f"{n_having} of {len(having)} films", "at least one film with the finding, and one without"
        )
    order = np.argsort(-values.astype(np.float64), kind="stable")
    ordered = values[order]
    last = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), len(ordered) - 1)
    with_it = np.cumsum(having[order])[last]
    without = last + 1 - with_it
    rates = without / (len(having) - n_having), with_it / n_having
    false_rate, true_rate = (np.concatenate([[0.0], rate]) for rate in rates)
    return false_rate, true_rate


def area_under_curve(false_positive_rate: Any, true_positive_rate: Any) -> float:
    """Area under the points of a ROC curve, joined by straight lines.

    It is the chance that a film with the finding has a higher score than one without it, where equal scores count half
    (Hanley and McNeil 1982).

    Examples
    --------
    >>> area_under_curve([0.0, 1.0], [0.0, 1.0])
    0.5
    """
    return float(np.trapezoid(true_positive_rate, false_positive_rate))
