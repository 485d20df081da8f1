"""Differences from a reference, query by query, with p-values that hold for many comparisons at once."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from graphret.evaluation import paired_difference

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from graphret.comparison.experiment import IntervalSettings
    from graphret.comparison.rows import MeasuredRow

__all__ = ["differences_from", "holm"]


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for their number (Holm 1979): reject where the adjusted one is below the level.

    With p sorted, ``max over j <= i of min(1, (m - j + 1) p_j)``: the chance of even one false rejection among all m
    stays below the level, whatever their dependence. NaN stays NaN and does not count.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    defined = sorted((p, place) for place, p in enumerate(p_values) if not math.isnan(p))
    adjusted = [math.nan] * len(p_values)
    highest = 0.0
    for number, (p, place) in enumerate(defined):
        highest = max(highest, min(1.0, (len(defined) - number) * p))
        adjusted[place] = highest
    return adjusted


def differences_from(
    rows: Sequence[MeasuredRow], reference: MeasuredRow, patients: NDArray[Any], settings: IntervalSettings
) -> dict[str, dict[str, dict[str, Any]]]:
    """Compare every measured row with the reference, query by query.

    Parameters
    ----------
    rows
        All rows; those without figures, and the reference, are passed over.
    reference
        One of them.
    patients
        str (q,), of the queries.
    settings
        Of the bootstrap.

    Returns
    -------
    dict
        By row name and measure: mean, low, high, p_value, and ``p_holm``, adjusted over all rows of the measure.
    """
    others = [row for row in rows if row.values and row is not reference]
    found: dict[str, dict[str, dict[str, Any]]] = {row.name: {} for row in others}
    for measure, base in reference.values.items():
        differences = [
            paired_difference(row.values[measure], base, patients, n_resamples=settings.n_resamples, seed=settings.seed)
            for row in others
        ]
        adjusted = holm([difference.p_value for difference in differences])
        for row, difference, p_holm in zip(others, differences, adjusted, strict=True):
            kept = {name: getattr(difference, name) for name in ("mean", "low", "high", "p_value")}
            found[row.name][measure] = {
                name: None if math.isnan(value) else value for name, value in {**kept, "p_holm": p_holm}.items()
            }
    return found
