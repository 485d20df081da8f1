"""The calibration: a minimum of its own loss, better probabilities on films it has not seen, patients kept apart."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphret.graph import similarity_graph
from graphret.neighbors import ExactSearch, nearest_neighbors
from graphret.retrieval import Archive, Findings
from graphret.retrieval.finding_estimate import SAMPLE, Calibration, estimate_findings, fit_calibration


def logit(p):
    return np.log(p / (1 - p))


def literal_loss(at, estimates, labels, usual):
    slope, offset = at
    total = ((slope - 1) ** 2 + offset**2) / 2
    for p, label in zip(estimates, labels, strict=True):
        if label >= 0:
            told = 1 / (1 + np.exp(-(logit(usual) + offset + slope * (logit(p) - logit(usual)))))
            total -= np.log(told if label else 1 - told)
    return total


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**16), n=st.integers(1, 60))
def test_it_is_the_minimum_of_the_penalised_likelihood(seed, n):
    rng = np.random.default_rng(seed)
    estimates = rng.uniform(0.02, 0.98, n)
    labels = rng.choice([-1, 0, 1], n)
    usual = float(rng.uniform(0.05, 0.95))
    fitted = Calibration.fit(estimates[:, None], labels[:, None], np.array([usual]))
    at = np.array([fitted.slopes[0], fitted.offsets[0]])
    assert at[0] >= 0
    least = literal_loss(at, estimates, labels, usual)
    for step in ((0.02, 0), (-0.02, 0), (0, 0.02), (0, -0.02), (0.02, -0.02), (-0.02, 0.02)):
        beside = np.maximum(at + step, [0.0, -np.inf])
        assert least <= literal_loss(beside, estimates, labels, usual) + 1e-7


def test_without_known_labels_it_changes_nothing():
    fitted = Calibration.fit(np.full((4, 1), 0.3), np.full((4, 1), -1), np.array([0.4]))
    assert (fitted.slopes.tolist(), fitted.offsets.tolist()) == ([1.0], [0.0])


def test_votes_that_mislead_count_nothing():
    truth = np.tile([[1], [0]], (200, 1))
    fitted = Calibration.fit(np.where(truth == 1, 0.2, 0.8), truth, np.array([0.5]))
    assert fitted.slopes.tolist() == [0.0]


def simulated(rng, n):
    """Codes whose directions carry two findings weakly, so that a close vote is far too sure."""
    codes = rng.normal(size=(n, 8))
    chance = 1 / (1 + np.exp(-(0.7 * codes[:, :2] - [0.5, 2.0])))
    return codes.astype(np.float32), (rng.random((n, 2)) < chance).astype(np.int8)


def expected_calibration_error(p, truth, n_bins=10):
    parts = np.array_split(np.argsort(p, kind="stable"), n_bins)
    return sum(len(part) * abs(p[part].mean() - truth[part].mean()) for part in parts) / len(p)


def archive_of(codes, findings):
    graph = similarity_graph(nearest_neighbors(codes, 5))
    return Archive(codes, graph, np.zeros(len(codes), np.int32), ExactSearch(codes), k=5, findings=findings)


def test_probabilities_of_new_films_become_reliable():
    rng = np.random.default_rng(3)
    codes, labels = simulated(rng, 2500)
    archive = archive_of(codes, Findings(labels, ("A", "B")))
    options = {"sharpness": 0.0, "prior": 0.5}
    calibration = fit_calibration(archive, archive.findings, voters=5, **options)
    assert (calibration.slopes < 0.7).all(), "five votes are too sure"
    new_codes, truth = simulated(rng, 3000)
    found = archive.search.search(new_codes, 5)
    before = estimate_findings(archive.findings, found.neighbors, found.similarities, **options)
    after = estimate_findings(archive.findings, found.neighbors, found.similarities, calibration=calibration, **options)
    for label in range(2):
        error = expected_calibration_error(before[:, label], truth[:, label])
        assert expected_calibration_error(after[:, label], truth[:, label]) < 0.5 * error
    assert ((after - truth) ** 2).mean() < ((before - truth) ** 2).mean() - 0.005


def test_films_of_one_patient_do_not_vouch_for_each_other():
    """A patient's two films are nearly the same and always agree; between patients there is nothing to learn."""
    rng = np.random.default_rng(4)
    codes = np.repeat(rng.normal(size=(200, 6)), 2, axis=0) + 0.01 * rng.normal(size=(400, 6))
    labels = np.repeat(rng.random((200, 1)) < 0.5, 2, axis=0)
    patients = np.repeat([f"patient{number}" for number in range(200)], 2)
    apart = archive_of(codes.astype(np.float32), Findings(labels, ("A",), patients))
    options = {"voters": 1, "sharpness": 0.0, "prior": 0.2}
    fitted = fit_calibration(apart, apart.findings, **options)
    together = replace(apart, findings=Findings(labels, ("A",)))
    assert fitted.slopes[0] < 0.15
    assert fit_calibration(together, together.findings, **options).slopes[0] > 1.0


def test_the_sample_is_bounded_and_the_threads_do_not_matter():
    rng = np.random.default_rng(5)
    codes, labels = simulated(rng, SAMPLE + 300)
    archive = archive_of(codes, Findings(labels, ("A", "B")))
    asked = []
    search = archive.search.search

    def counted(queries, *args, **options):
        asked.append(len(queries))
        return search(queries, *args, **options)

    archive.search.search = counted
    options = {"voters": 20, "sharpness": 1.0, "prior": 2.0}
    one = fit_calibration(archive, archive.findings, n_threads=1, **options)
    two = fit_calibration(archive, archive.findings, n_threads=2, **options)
    assert asked == [SAMPLE, SAMPLE]
    assert one.slopes.tobytes() == two.slopes.tobytes()
    assert one.offsets.tobytes() == two.offsets.tobytes()


def test_nobody_near_leaves_the_prevalence():
    findings = Findings(np.array([[1], [0], [0]]), ("A",))
    nobody = np.full((1, 4), -1, np.int32)
    p = estimate_findings(findings, nobody, np.zeros((1, 4), np.float32), sharpness=1.0, prior=3.0)
    assert p[0, 0] == pytest.approx(findings.prevalence[0])
