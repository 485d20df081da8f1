"""Intervals cover, depend on patients and on nothing but the seed; differences are paired."""

from __future__ import annotations

import numpy as np
import pytest

from graphret._errors import InvalidParameterError
from graphret.evaluation import macro_bootstrap, paired_difference, patient_bootstrap


def own_patients(n):
    return np.arange(n).astype(str)


def test_mean_is_the_plain_mean_over_queries():
    values = [1.0, 0.0, 0.0, 0.0]
    interval = patient_bootstrap(values, ["a", "b", "b", "b"])
    assert interval.mean == 0.25  # over patients it would be 0.5
    assert (interval.n_queries, interval.n_patients, interval.n_undefined) == (4, 2, 0)
    assert interval.low <= interval.mean <= interval.high


def test_bounds_are_quantiles_of_a_literal_bootstrap():
    rng = np.random.default_rng(0)
    patients = rng.integers(0, 15, 40).astype(str)
    values = rng.random(40)
    interval = patient_bootstrap(values, patients, n_resamples=20000)
    names = np.unique(patients)
    means = []
    for _ in range(4000):
        queries = np.concatenate([np.flatnonzero(patients == name) for name in rng.choice(names, len(names))])
        means.append(values[queries].mean())
    assert [interval.low, interval.high] == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.012)


def macro_mean(values, labels):
    """Mean over labels of the mean over the queries that have the label, by loops; labels without a query left out."""
    means = []
    for label in range(labels.shape[1]):
        having = [value for value, row in zip(values, labels, strict=True) if row[label] and not np.isnan(value)]
        if having:
            means.append(sum(having) / len(having))
    return sum(means) / len(means)


def test_a_macro_mean_is_the_mean_of_the_means_of_labels_in_every_sample():
    rng = np.random.default_rng(3)
    patients, labels, values = rng.integers(0, 9, 40), rng.random((40, 4)) < [0.8, 0.3, 0.1, 0.0], rng.random(40)
    values[rng.random(40) < 0.2] = np.nan
    found = macro_bootstrap(values, labels, patients.astype(str), n_resamples=300, seed=5)
    assert found.mean == pytest.approx(macro_mean(values, labels), rel=1e-12)
    used = ~np.isnan(values) & labels.any(axis=1)
    assert (found.n_queries, found.n_undefined) == (used.sum(), 40 - used.sum())
    names = np.unique(patients[used])
    assert found.n_patients == len(names)
    means = []
    for drawn in np.random.default_rng(5).integers(0, len(names), (300, len(names))):
        queries = np.concatenate([np.flatnonzero(used & (patients == names[number])) for number in drawn])
        means.append(macro_mean(values[queries], labels[queries]))
    assert [found.low, found.high] == pytest.approx(np.quantile(means, [0.025, 0.975]), rel=1e-9)


def test_a_macro_mean_of_one_label_is_the_mean_and_of_none_is_undefined():
    values, patients = np.random.default_rng(0).random(30), np.repeat(np.arange(10), 3).astype(str)
    every = np.ones((30, 1), dtype=bool)
    assert vars(macro_bootstrap(values, every, patients)) == pytest.approx(vars(patient_bootstrap(values, patients)))
    nothing = macro_bootstrap(values, ~every, patients)
    assert np.isnan([nothing.mean, nothing.low, nothing.high]).all()
    assert (nothing.n_queries, nothing.n_undefined, nothing.n_patients) == (0, 30, 0)
    one = macro_bootstrap(values[:3], every[:3], patients[:3])
    assert one.mean == pytest.approx(values[:3].mean())
    assert np.isnan(one.low)
    with pytest.raises(InvalidParameterError, match=r"labels=\(30,\).*one row for each of 30 queries"):
        macro_bootstrap(values, every[:, 0], patients)


def test_coverage_is_about_the_level():
    rng = np.random.default_rng(1)
    covered = []
    for trial in range(300):
        of_patient = rng.normal(size=40)
        patients = np.repeat(np.arange(40), 3)
        values = of_patient[patients] + 0.3 * rng.normal(size=120)
        interval = patient_bootstrap(values, patients.astype(str), n_resamples=300, seed=trial)
        covered.append(interval.low <= 0 <= interval.high)
    assert 0.88 < np.mean(covered) < 0.99


def test_clusters_matter():
    rng = np.random.default_rng(2)
    values = np.repeat(rng.random(20), 25)  # 25 films of each of 20 patients that say the same
    clustered = patient_bootstrap(values, np.repeat(own_patients(20), 25))
    naive = patient_bootstrap(values, own_patients(500))
    assert clustered.mean == naive.mean
    assert clustered.high - clustered.low > 3 * (naive.high - naive.low)


def test_undefined_queries_are_left_out_and_counted():
    values = np.array([0.1, np.nan, 0.7, np.nan, 0.4])
    patients = np.array(list("abcbc"))
    with_nan = patient_bootstrap(values, patients)
    without = patient_bootstrap(values[[0, 2, 4]], patients[[0, 2, 4]])
    assert (with_nan.mean, with_nan.low, with_nan.high) == (without.mean, without.low, without.high)
    assert (with_nan.n_queries, with_nan.n_undefined, with_nan.n_patients) == (3, 2, 2)


def test_nothing_and_one_patient_have_no_interval():
    nothing = patient_bootstrap([np.nan], ["a"])
    assert np.isnan([nothing.mean, nothing.low, nothing.high]).all()
    assert (nothing.n_queries, nothing.n_patients) == (0, 0)
    one = patient_bootstrap([0.0, 1.0], ["a", "a"])
    assert one.mean == 0.5
    assert np.isnan([one.low, one.high]).all()
    assert np.isnan(paired_difference([0.0, 1.0], [0.0, 0.0], ["a", "a"]).p_value)
    assert patient_bootstrap([], []).n_queries == 0


def test_seed_decides_and_every_parameter_changes_something(monkeypatch):
    values, patients = np.random.default_rng(3).random(50), own_patients(50)
    first = patient_bootstrap(values, patients)
    assert patient_bootstrap(values, patients) == first
    assert patient_bootstrap(values, patients, seed=1) != first
    assert patient_bootstrap(values, patients, n_resamples=100) != first
    wider = patient_bootstrap(values, patients, level=0.99)
    assert wider.low < first.low < first.high < wider.high


def test_many_patients_go_through_several_blocks(monkeypatch):
    from graphret.evaluation import bootstrap

    monkeypatch.setattr(bootstrap, "_BLOCK", 130)
    interval = patient_bootstrap(np.tile([0.0, 1.0], 30), own_patients(60), n_resamples=501)
    assert 0.3 < interval.low < 0.45
    assert 0.55 < interval.high < 0.7


def test_paired_difference_sees_what_separate_intervals_do_not():
    rng = np.random.default_rng(4)
    hard = rng.random(120)  # queries differ a lot, the rankings little
    baseline, better = hard, hard + 0.02 + 0.02 * rng.normal(size=120)
    patients = own_patients(120)
    difference = paired_difference(better, baseline, patients)
    separate = patient_bootstrap(better, patients), patient_bootstrap(baseline, patients)
    assert separate[0].low < separate[1].high
    assert 0 < difference.low < difference.mean < difference.high
    assert difference.p_value < 0.01
    mirrored = paired_difference(baseline, better, patients)
    assert mirrored.mean == pytest.approx(-difference.mean)
    assert mirrored.p_value == difference.p_value


def test_p_value_is_flat_without_a_difference():
    rng = np.random.default_rng(5)
    p = [
        paired_difference(rng.normal(size=60), rng.normal(size=60), own_patients(60), n_resamples=200).p_value
        for _ in range(300)
    ]
    assert 0.01 < np.mean(np.array(p) < 0.05) < 0.12
    assert 0.4 < np.mean(p) < 0.6


@pytest.mark.parametrize("n_patients", [2, 3, 6])
def test_few_patients_that_agree_are_no_evidence(n_patients):
    patients = np.repeat(own_patients(n_patients), 50)
    better, worse = np.full(50 * n_patients, 0.5), np.random.default_rng(0).random(50 * n_patients) * 0.1
    assert paired_difference(better, worse, patients).p_value == 2.0 / 2**n_patients
    assert paired_difference(better, worse, own_patients(50 * n_patients)).p_value < 0.001


def test_equal_rankings_have_p_one_and_undefined_pairs_are_left_out():
    values = [0.1, 0.2, 0.3]
    same = paired_difference(values, values, list("abc"))
    assert (same.mean, same.low, same.high, same.p_value) == (0.0, 0.0, 0.0, 1.0)
    many = [0.1, 0.2, 0.3] * 4
    constant = paired_difference([value + 0.2 for value in many], many, own_patients(12), n_resamples=99)
    assert constant.p_value == pytest.approx(0.01)  # as small as 99 resamples can say
    pairs = paired_difference([1.0, np.nan, 0.5], [0.5, 0.1, np.nan], list("abc"))
    assert (pairs.mean, pairs.n_queries, pairs.n_undefined) == (0.5, 1, 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_resamples": 0}, "n_resamples=0"),
        ({"level": 1.0}, "level=1.0.*> 0 and < 1"),
        ({"seed": -1}, "seed=-1"),
        ({"patients": ["a"]}, r"patients=\(1,\).*2 queries"),
        ({"values": [[0.1, 0.2]]}, r"values=\(1, 2\)"),
    ],
)
def test_wrong_input_is_named(changes, message):
    call = {"values": [0.1, 0.2], "patients": ["a", "b"]} | changes
    with pytest.raises(InvalidParameterError, match=message):
        patient_bootstrap(**call)
    with pytest.raises(InvalidParameterError, match=message):
        paired_difference(baseline=[0.0, 0.0], **call)
