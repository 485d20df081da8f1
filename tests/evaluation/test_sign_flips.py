"""The sign-flip test agrees with counting all signs, and with the exact distribution of sums of whole numbers."""

import itertools
import math

import numpy as np
import pytest

from graphret._errors import InvalidParameterError
from graphret.evaluation import paired_difference, sign_flip_p_value


def counted(sums):
    """By the definition: all assignments of signs."""
    observed = abs(sum(sums))
    every = itertools.product((1, -1), repeat=len(sums))
    reached = [abs(sum(s * d for s, d in zip(signs, sums, strict=True))) for signs in every]
    return sum(value >= observed - 1e-9 for value in reached) / len(reached)


def of_whole_numbers(sums):
    """By convolution: the chance of every sum, number by number."""
    reach = sum(map(abs, sums))
    chance = np.zeros(2 * reach + 1)
    chance[reach] = 1
    for size in map(abs, sums):
        if size:
            moved = np.zeros_like(chance)
            moved[size:] += chance[:-size] / 2
            moved[:-size] += chance[size:] / 2
            chance = moved
    return chance[np.abs(np.arange(-reach, reach + 1)) >= abs(sum(sums))].sum()


def p_of(sums):
    return sign_flip_p_value(np.asarray(sums, float), np.zeros(len(sums)), np.arange(len(sums)))


@pytest.mark.parametrize("n", [2, 5, 9])
def test_few_patients_are_counted(n):
    generator = np.random.default_rng(n)
    for shift in (0.0, 1.0):
        sums = generator.normal(shift, 1, n).tolist()
        assert p_of(sums) == counted(sums)


@pytest.mark.parametrize(("n", "most"), [(16, 1), (18, 3), (40, 3), (200, 10), (443, 3)])
@pytest.mark.parametrize("shift", [0, 1, 2])
def test_many_patients_on_a_lattice(n, most, shift):
    """P@10 summed over the queries of a patient: multiples of .1, far into the tail."""
    sums = np.random.default_rng([n, shift]).integers(-most, most + 1 + shift, n)
    assert p_of(sums / 10) == pytest.approx(of_whole_numbers(sums.tolist()), rel=0.03)


def test_many_patients_between_the_lattices():
    for n, shift in ((15, 0.3), (17, 0.7)):
        sums = np.random.default_rng(n).normal(shift, 1, n).tolist()
        assert p_of(sums) == pytest.approx(counted(sums), rel=0.1)


def test_p_reaches_below_any_number_of_resamples():
    """With 265 rows and 2,000 resamples Holm's p could not be below .13."""
    difference, patients = np.full(60, 0.1), np.arange(60)
    assert p_of(difference) == 2.0**-59
    assert paired_difference(difference, np.zeros(60), patients).p_value > 1 / 2002
    assert 265 * p_of(difference) < 1e-10


def test_patients_are_flipped_not_queries():
    """Two patients that agree say less than the forty queries that they asked."""
    values, patients = np.full(40, 0.2), np.repeat([0, 1], 20)
    assert sign_flip_p_value(values, np.zeros(40), patients) == 0.5


def test_what_says_nothing():
    assert sign_flip_p_value([0.1, 0.1], [0.1, 0.1], ["a", "b"]) == 1.0
    assert math.isnan(sign_flip_p_value([0.1, 0.2], [0.0, 0.0], ["a", "a"]))
    assert math.isnan(sign_flip_p_value([0.1, math.nan], [0.0, 0.0], ["a", "b"]))
    whole = sign_flip_p_value([0.1, 0.3, 0.4], [0.0, 0.1, 0.2], ["a", "b", "c"])
    assert sign_flip_p_value([0.1, 0.3, 0.4, 9], [0.0, 0.1, 0.2, math.nan], ["a", "b", "c", "d"]) == whole
    with pytest.raises(InvalidParameterError, match=r"one patient for each"):
        sign_flip_p_value([0.1, 0.2], [0.0, 0.0], ["a"])


def test_false_alarms_are_as_many_as_stated():
    generator = np.random.default_rng(0)
    found = [p_of(generator.normal(0, generator.uniform(0.1, 2, 30))) for _ in range(2000)]
    assert 0.035 < np.mean(np.array(found) <= 0.05) < 0.065
