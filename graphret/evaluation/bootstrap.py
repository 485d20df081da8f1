"""Intervals and paired differences that treat the patient, not the film, as the unit of chance.

Films of one patient resemble each other, so 100 queries of 20 patients say less than 100 queries of 100 patients. The
bootstrap therefore draws patients with replacement and takes all queries of each (Efron and Tibshirani 1993, ch. 8).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._checks import check_integer, check_number
from graphret._errors import InvalidParameterError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from graphret._types import BoolArray, Float64Array, Int64Array

__all__ = ["Difference", "Interval", "macro_bootstrap", "paired_difference", "patient_bootstrap"]

_BLOCK = 1 << 21
"""Patients drawn at once; a fixed number, so that results do not depend on the memory at hand."""


@dataclass(frozen=True)
class Interval:
    """A mean over queries with its bootstrap interval.

    ``low`` and ``high`` are NaN when fewer than two patients have a defined value: one patient says nothing
    about the next.
    """

    mean: float
    low: float
    high: float
    n_queries: int
    n_undefined: int
    n_patients: int

    def to_dict(self) -> dict[str, float | int]:
        """Return the fields as a dictionary."""
        return asdict(self)


@dataclass(frozen=True)
class Difference(Interval):
    """The mean of ``values - baseline`` over the queries where both are defined, and its two-sided p-value."""

    p_value: float


def patient_bootstrap(
    values: Any, patients: Any, *, n_resamples: int = 2000, level: float = 0.95, seed: int = 0
) -> Interval:
    """Average over queries, with a percentile interval from resampled patients.

    Parameters
    ----------
    values
        float64 (q,), one measure per query; NaN where it is undefined. Those are left out, and counted.
    patients
        str (q,), the patient of every query.
    n_resamples
        Bootstrap samples, >= 1; each draws as many patients as have a defined value.
    level
        Share of the samples inside the interval, 0 < level < 1.
    seed
        Of ``numpy.random.default_rng``: equal input and seed give equal bounds.

    Returns
    -------
    Interval
        ``mean`` is the plain mean over queries (not over patients); NaN when nothing is defined.

    Raises
    ------
    InvalidParameterError
        A parameter is out of range, or patients are not as many as values.

    Notes
    -----
    O(n_resamples * patients) time; 16 MB at once.

    Examples
    --------
    >>> interval = patient_bootstrap([0.2, 0.4, 0.6, float("nan")], ["a", "a", "b", "c"])
    >>> round(interval.mean, 3), interval.n_queries, interval.n_undefined, interval.n_patients
    (0.4, 3, 1, 2)
    """
    numbers, names = _check(values, patients, n_resamples, level, seed)
    interval, _ = _summarise(numbers, names, n_resamples, level, seed)
    return interval


def macro_bootstrap(
    values: Any, labels: BoolArray, patients: Any, *, n_resamples: int = 2000, level: float = 0.95, seed: int = 0
) -> Interval:
    """Average over queries label by label, then over the labels, so that a rare label weighs as much as a frequent one.

    A query with several labels counts in each of them. A label without a defined query is left out.

    Parameters
    ----------
    values, patients, n_resamples, level, seed
        As in `patient_bootstrap`; with the same seed the same patients are drawn.
    labels
        bool (q, L), the positive labels of the queries.

    Returns
    -------
    Interval
        ``n_queries`` counts queries with a defined value and a label, ``n_undefined`` the others. In a sample a label
        that none of its patients has is left out.

    Raises
    ------
    InvalidParameterError
        As `patient_bootstrap`; or labels are not (q, L).

    Notes
    -----
    O(n_resamples * patients * L) time; 32 MB at once beside (patients, L).

    Examples
    --------
    >>> labels = np.array([[1, 0], [1, 0], [1, 0], [0, 1]], dtype=bool)
    >>> float(macro_bootstrap([0.0, 0.0, 0.0, 1.0], labels, list("abcd")).mean)
    0.5
    """
    numbers, names = _check(values, patients, n_resamples, level, seed)
    if labels.ndim != 2 or len(labels) != len(numbers):
        raise InvalidParameterError("labels", labels.shape, f"(q, L) with one row for each of {len(numbers)} queries")
    used = ~np.isnan(numbers) & labels.any(axis=1)
    _, number = np.unique(names[used], return_inverse=True)
    n_patients = int(number.max(initial=-1)) + 1
    sums, counts = np.zeros((2, n_patients, labels.shape[1]))
    np.add.at(sums, number, labels[used] * numbers[used, None])
    np.add.at(counts, number, labels[used])
    mean = float(_mean_of_labels(sums.sum(axis=0)[None], counts.sum(axis=0)[None])[0]) if used.any() else float("nan")
    low = high = float("nan")
    if n_patients >= 2:
        means = np.empty(n_resamples)
        for samples, drawn in _draws(n_patients, n_resamples, seed):
            places = np.arange(len(drawn))[:, None] * n_patients + drawn
            times = np.bincount(places.ravel(), minlength=drawn.size).reshape(drawn.shape)
            means[samples] = _mean_of_labels(times @ sums, times @ counts)
        low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(mean, float(low), float(high), int(used.sum()), int((~used).sum()), n_patients)


def paired_difference(
    values: Any, baseline: Any, patients: Any, *, n_resamples: int = 2000, level: float = 0.95, seed: int = 0
) -> Difference:
    """Compare two rankings on the same queries.

    The interval is that of `patient_bootstrap` for ``values - baseline``. The p-value asks how often a resampled
    mean strays from the observed mean difference by as much as that difference itself (the bootstrap centred on no
    difference): ``p = (1 + #(|d* - d| >= |d|)) / (n_resamples + 1)``, so it is never below ``1 / (n_resamples + 1)``.
    Where few patients have a difference, and all in one direction, no resample strays so far. Then the chance of that
    counts: p is never below ``2 / 2^n`` for n patients with a difference (that of all signs being equal).

    Parameters
    ----------
    values, baseline
        float64 (q,), the same measure of the same queries under two rankings. A query that is NaN in either
        is left out of both, and counted.
    patients, n_resamples, level, seed
        As in `patient_bootstrap`.

    Returns
    -------
    Difference
        Above 0 when ``values`` is better. ``p_value`` is NaN with fewer than two patients.

    Examples
    --------
    >>> patients = [str(i) for i in range(40)]
    >>> better = paired_difference([0.6, 0.7] * 20, [0.5, 0.4] * 20, patients)
    >>> round(better.mean, 3), better.low > 0, better.p_value < 0.01
    (0.2, True, True)
    """
    numbers, names = _check(values, patients, n_resamples, level, seed)
    others, _ = _check(baseline, patients, n_resamples, level, seed)
    difference = numbers - others
    interval, means = _summarise(difference, names, n_resamples, level, seed)
    p_value = float("nan")
    if means.size:
        # Sums of equal differences in another order may differ in the last bit: that is no evidence of a difference.
        slack = 1e-12 * np.nanmax(np.abs(difference))
        beyond = np.abs(means - interval.mean) >= abs(interval.mean) - slack
        defined = ~np.isnan(difference)
        _, number = np.unique(names[defined], return_inverse=True)
        n_different = int((np.abs(np.bincount(number, difference[defined])) > slack).sum())
        p_value = min(1.0, max(float((1 + beyond.sum()) / (1 + n_resamples)), 2.0 ** (1 - n_different)))
    return Difference(**vars(interval), p_value=p_value)


def _summarise(
    numbers: Float64Array, patients: NDArray[Any], n_resamples: int, level: float, seed: int
) -> tuple[Interval, Float64Array]:
    """Return the interval and the resampled means it was read from."""
    defined = ~np.isnan(numbers)
    means, n_patients = _resampled_means(numbers[defined], patients[defined], n_resamples, seed)
    mean = float(numbers[defined].mean()) if defined.any() else float("nan")
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2]) if means.size else (np.nan, np.nan)
    return Interval(mean, float(low), float(high), int(defined.sum()), int((~defined).sum()), n_patients), means


def _resampled_means(values: Float64Array, patients: Any, n_resamples: int, seed: int) -> tuple[Float64Array, int]:
    """Return the means of the bootstrap samples (none for fewer than two patients) and the number of patients."""
    _, number = np.unique(patients, return_inverse=True)
    number_of: Int64Array = number.astype(np.int64)
    n_patients = int(number_of.max()) + 1 if number_of.size else 0
    if n_patients < 2:
        return np.empty(0), n_patients
    sums = np.bincount(number_of, weights=values)
    counts = np.bincount(number_of).astype(np.float64)
    means = np.empty(n_resamples)
    for samples, drawn in _draws(n_patients, n_resamples, seed):
        means[samples] = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    return means, n_patients


def _draws(n_patients: int, n_resamples: int, seed: int) -> Iterator[tuple[slice, Int64Array]]:
    """Patients of every sample, int64 (samples, n_patients), in blocks."""
    generator = np.random.default_rng(seed)
    step = max(1, _BLOCK // n_patients)
    for start in range(0, n_resamples, step):
        stop = min(start + step, n_resamples)
        yield slice(start, stop), generator.integers(0, n_patients, (stop - start, n_patients))


def _mean_of_labels(sums: Float64Array, counts: Float64Array) -> Float64Array:
    """Mean over the labels that occur of sums / counts, (samples, L) -> (samples,)."""
    there = counts > 0
    means = np.divide(sums, counts, out=np.zeros_like(sums), where=there)
    return np.asarray(means.sum(axis=1) / there.sum(axis=1))


def _check(values: Any, patients: Any, n_resamples: int, level: float, seed: int) -> tuple[Float64Array, NDArray[Any]]:
    check_integer("n_resamples", n_resamples, 1, "2000 give an interval that is stable to about 1 %")
    check_integer("seed", seed, 0)
    check_number("level", level, above=0, below=1, hint="0.95 for a 95 % interval")
    numbers = np.asarray(values, dtype=np.float64)
    names = np.asarray(patients)
    if numbers.ndim != 1:
        raise InvalidParameterError("values", numbers.shape, "one number per query")
    if names.shape != numbers.shape:
        raise InvalidParameterError("patients", names.shape, f"one patient for each of the {len(numbers)} queries")
    return numbers, names
