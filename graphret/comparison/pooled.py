"""One difference from many: methods, seeds and sets pooled; the interval knows what they share."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import t as student

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from graphret._types import Float64Array

__all__ = ["NORMAL", "PairedSet", "PooledDifference", "Resampler", "resamples_needed"]

NORMAL = 1.959964
"""97.5 % quantile of the normal distribution."""
_BEYOND = 20
"""Resamples beyond the smallest that could ever reach the level."""
_BLOCK = 512


def resamples_needed(n_tests: int, level: float, at_least: int) -> int:
    """Number of resamples with which a p that is adjusted for all tests can be a twentieth of the level.

    The smallest p of a bootstrap is ``1 / (n + 1)``, and ``n_tests`` times that after the adjustment of Holm.

    Examples
    --------
    >>> resamples_needed(15, 0.05, 2000), resamples_needed(1, 0.05, 2000)
    (6000, 2000)
    """
    return max(at_least, math.ceil(_BEYOND * n_tests / level))


@dataclass(frozen=True, eq=False)
class PairedSet:
    """Both sides of the pairs of one data set.

    Parameters
    ----------
    name
        Of the set.
    pairs
        Names of the m pairs, the same pair by the same name in every set.
    sides
        float64 (2, m, s, q): values of both sides, by pair, seed and query; NaN where undefined. None where a report
        kept no values per query.
    patients
        int (q,), of the queries; None likewise.
    means, errors
        float64 (m,): means and standard errors of the pairs, read from intervals; used where there are no values.
    groups
        Of every pair, its method: all lengths of one method are drawn together. Each pair is its own when empty.
    trainings
        Of every pair, what was made with a seed for its first and for its second side: a network, with all that stands
        on it. Rows of one training have the same seeds in a resample. One training a pair when empty.
    """

    name: str
    pairs: tuple[str, ...]
    sides: Float64Array | None = None
    patients: NDArray[Any] | None = None
    means: Float64Array | None = None
    errors: Float64Array | None = None
    groups: tuple[str, ...] = ()
    trainings: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class PooledDifference:
    """A pooled mean with its 95 % interval and two-sided p; ``of_sets`` holds (mean, low, high) by set.

    ``elsewhere`` is (low, high, p) of the mean over all sets of this kind, of which these were drawn; None of one set.
    """

    mean: float
    low: float
    high: float
    p_value: float
    of_sets: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    elsewhere: tuple[float, float, float] | None = None


class Resampler:
    """A bootstrap over patients, methods and seeds at once, and what it leaves open of other sets.

    What is estimated is the mean over sets of the mean over pairs (methods) of the mean over seeds of the mean over
    queries. Sets count alike. In every resample

    - patients are drawn within each set, the same for all pairs and seeds, because they answered the same queries;
    - methods are drawn, the same for all sets, because one that gains by luck of its kind may gain in all of them;
    - seeds are drawn within each set for every training. Both sides of a pair that stand on one network have the same
      ones, and so have all pairs with one rival: what a seed does to that rival, it does to all of them at once.

    Of n methods or seeds n - 1 are drawn: with n, the variance of their mean would come out too small by the share
    1 / n, which is a third for three seeds (Rao, Wu 1988). With several crossed levels such a bootstrap errs towards
    wide intervals (Owen 2007). One method or one seed cannot be drawn: the answer is then about it alone.

    **Sets are not drawn.** Interval and p are about these sets. Of two sets a bootstrap would say no more than that the
    mean lies between them, which is true half the time. What the sets say of others like them is ``elsewhere``: the
    interval of Student's t over their means (k - 1 degrees of freedom), never narrower than that of these sets, and the
    larger of both p (Knapp and Hartung 2003, as modified by Roever, Knapp and Friede 2015).

    A set without values per query takes part with normal errors: its pairs answered the same queries, but how their
    errors hang together was not kept. They are taken to be one and the same, which is the widest that they can be.

    Parameters
    ----------
    n_resamples, seed
        Of the bootstrap.

    Notes
    -----
    O(n_resamples * (patients * pairs * seeds)) a set; the drawn patients of a set are kept (1 byte each).

    Examples
    --------
    >>> differences = np.full((3, 1, 40), 0.1) + np.arange(40) * 0.001
    >>> one = PairedSet("films", ("a", "b", "c"), np.stack([differences, 0 * differences]), np.arange(40))
    >>> pooled = Resampler(2000, 0).pool([one])
    >>> round(pooled.mean, 4), pooled.low > 0.1, pooled.p_value < 0.01
    (0.1195, True, True)
    """

    def __init__(self, n_resamples: int, seed: int) -> None:
        self.n_resamples, self.seed = n_resamples, seed
        self._drawn: dict[tuple[str, int], NDArray[np.uint8]] = {}

    def pool(self, sets: Sequence[PairedSet], at_least: float = 0.0) -> PooledDifference:
        """Pool the sets; p is that of "the difference is ``at_least``", two-sided, by the bootstrap centred on it.

        NaN where no set has a defined difference; interval and p are NaN where nothing could be drawn.
        """
        groups = list(dict.fromkeys(name for one in sets for name in one.groups or one.pairs))
        weights = self._group_weights(len(groups))
        means, resampled = [], []
        of_sets: dict[str, tuple[float, float, float]] = {}
        for one in sets:
            columns = [groups.index(name) for name in one.groups or one.pairs]
            mean, drawn = self._of_set(one, weights[:, columns])
            if math.isnan(mean):
                continue
            means.append(mean)
            resampled.append(drawn)
            of_sets[one.name] = (mean, *_interval(drawn))
        if not means:
            return PooledDifference(math.nan, math.nan, math.nan, math.nan)
        mean = float(np.mean(means))
        # A resample may hold no pair of a set; it is then the mean of the other sets.
        table = np.array(resampled)
        held = ~np.isnan(table)
        together = np.where(held, table, 0.0).sum(axis=0) / np.maximum(held.sum(axis=0), 1)
        together = together[held.any(axis=0)]
        low, high = _interval(together)
        p_value = math.nan
        if not math.isnan(low):
            slack = 1e-6 * max(1e-6, float(np.abs(together - mean).max()))
            beyond = np.abs(together - mean) >= abs(mean - at_least) - slack
            p_value = float((1 + beyond.sum()) / (1 + len(together)))
        here = PooledDifference(mean, low, high, p_value, of_sets)
        return replace(here, elsewhere=_elsewhere(here, at_least)) if len(means) > 1 else here

    def _group_weights(self, n_groups: int) -> Float64Array:
        """How often every method is drawn, (n_resamples, n_groups); one method is always there."""
        if n_groups < 2:
            return np.ones((self.n_resamples, n_groups))
        return self._one_less(n_groups, [1, n_groups])

    def _one_less(self, n: int, key: Sequence[int]) -> Float64Array:
        """How often each of n things is among n - 1 that are drawn, (n_resamples, n)."""
        generator = np.random.default_rng([self.seed, *key])
        return generator.multinomial(n - 1, np.full(n, 1 / n), self.n_resamples).astype(np.float64)

    def _seed_shares(self, one: PairedSet, n_seeds: int) -> Float64Array:
        """Share of every seed in both sides of every pair, (2, n_resamples, m, s), of sum 1 over the seeds."""
        shares: dict[str, Float64Array] = {}
        for name in {name for pair in one.trainings or zip(one.pairs, one.pairs, strict=True) for name in pair}:
            shares[name] = self._one_less(n_seeds, [2, *one.name.encode(), 0, *name.encode()]) / (n_seeds - 1)
        sides = zip(*(one.trainings or zip(one.pairs, one.pairs, strict=True)), strict=True)
        return np.stack([np.stack([shares[name] for name in of_side], axis=1) for of_side in sides])

    def _of_set(self, one: PairedSet, weights: Float64Array) -> tuple[float, Float64Array]:
        """Mean of a set, and its resampled means."""
        if one.sides is None or one.patients is None:
            return self._of_intervals(one, weights)
        _, n_pairs, n_seeds, n_queries = one.sides.shape
        defined = ~np.isnan(one.sides[0] - one.sides[1])
        kept = defined.any(axis=2).all(axis=1)
        if not kept.any():
            return math.nan, np.full(self.n_resamples, np.nan)
        _, patient = np.unique(one.patients, return_inverse=True)
        n_patients = int(patient.max()) + 1
        sums, counts = (
            np.stack([np.bincount(patient, weights=row, minlength=n_patients) for row in rows.reshape(-1, n_queries)])
            for rows in (np.where(defined, one.sides, 0.0), defined)
        )
        with np.errstate(invalid="ignore"):
            of_sides = sums.sum(axis=1).reshape(2, -1) / counts.sum(axis=1)
        mean = float((of_sides[0] - of_sides[1]).reshape(n_pairs, n_seeds)[kept].mean())
        if n_patients < 2:
            return mean, np.full(self.n_resamples, np.nan)
        drawn = self._patients(one.name, n_patients)
        of_seeds = np.empty((2, self.n_resamples, n_pairs * n_seeds))
        for start in range(0, self.n_resamples, _BLOCK):
            often = drawn[start : start + _BLOCK].astype(np.float64)
            with np.errstate(invalid="ignore", divide="ignore"):
                found = (often @ sums.T).reshape(len(often), 2, -1) / (often @ counts.T)[:, None]
            of_seeds[:, start : start + _BLOCK] = found.transpose(1, 0, 2)
        of_seeds = of_seeds.reshape(2, self.n_resamples, n_pairs, n_seeds)
        if n_seeds > 1:
            of_seeds *= self._seed_shares(one, n_seeds)
        of_both = of_seeds.sum(axis=3)
        return mean, _weighted(of_both[0] - of_both[1], weights * kept)

    def _of_intervals(self, one: PairedSet, weights: Float64Array) -> tuple[float, Float64Array]:
        means, errors = np.asarray(one.means), np.asarray(one.errors)
        if not len(means):
            return math.nan, np.full(self.n_resamples, np.nan)
        generator = np.random.default_rng([self.seed, 3, *one.name.encode()])
        common = generator.standard_normal(self.n_resamples)
        of_pairs = means[None, :] + common[:, None] * errors[None, :]
        return float(means.mean()), _weighted(of_pairs, weights)

    def _patients(self, name: str, n_patients: int) -> NDArray[np.uint8]:
        """How often every patient of a set is drawn, uint8 (n_resamples, n_patients); the same for all questions."""
        known = self._drawn.get((name, n_patients))
        if known is None:
            known = np.empty((self.n_resamples, n_patients), dtype=np.uint8)
            generator = np.random.default_rng([self.seed, 0, *name.encode()])
            for start in range(0, self.n_resamples, _BLOCK):
                n = min(_BLOCK, self.n_resamples - start)
                chosen = generator.integers(0, n_patients, (n, n_patients)) + n_patients * np.arange(n)[:, None]
                # (a patient drawn 256 times among n: never, for n <= 255; with a chance below 1e-500 for more)
                counted = np.bincount(chosen.ravel(), minlength=n * n_patients)
                known[start : start + n] = counted.reshape(n, n_patients)
            self._drawn[name, n_patients] = known
        return known


def _elsewhere(here: PooledDifference, at_least: float) -> tuple[float, float, float]:
    """Interval and p of the mean over all sets of this kind: Student's t over the sets, never surer than ``here``."""
    means = [mean for mean, _, _ in here.of_sets.values()]
    error = float(np.std(means, ddof=1)) / math.sqrt(len(means))
    half = error * float(student.ppf(0.975, len(means) - 1))
    low, high = (float(np.fmin(here.low, here.mean - half)), float(np.fmax(here.high, here.mean + half)))
    away = abs(here.mean - at_least)
    p_value = 2 * float(student.sf(away / error, len(means) - 1)) if error > 0 else float(away == 0)
    return low, high, float(np.fmax(here.p_value, p_value))


def _weighted(of_pairs: Float64Array, weights: Float64Array) -> Float64Array:
    """Weighted means over pairs; NaN where no pair that is defined was drawn."""
    held = np.where(np.isnan(of_pairs), 0.0, weights)
    with np.errstate(invalid="ignore", divide="ignore"):
        means: Float64Array = (np.where(np.isnan(of_pairs), 0.0, of_pairs) * held).sum(axis=1) / held.sum(axis=1)
    return means


def _interval(drawn: Float64Array) -> tuple[float, float]:
    kept = drawn[~np.isnan(drawn)]
    if not kept.size:
        return math.nan, math.nan
    low, high = np.quantile(kept, [0.025, 0.975])
    return float(low), float(high)
