"""The alarm "nothing similar": rarely false for new patients of the same kind, true for films of another kind."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import binom

from graphret.neighbors import ExactSearch, nearest_neighbors
from graphret.retrieval import Archive, Novelty, QueryBatch, best_similarities

D, CENTRES = 16, 12


def drawn(n_patients, seed, *, domain=0):
    """Films of a domain, three of a patient, and the patients' numbers; non-negative codes in clusters."""
    centres = np.random.default_rng([7, domain]).normal(size=(CENTRES, D)) * 1.5
    rng = np.random.default_rng([seed, domain])
    own = centres[rng.integers(CENTRES, size=n_patients)] + rng.normal(size=(n_patients, D)) * 0.5
    films = np.repeat(own, 3, axis=0) + rng.normal(size=(3 * n_patients, D)) * 0.3
    return np.maximum(films + 1, 0.001).astype(np.float32), np.repeat(np.arange(n_patients), 3)


@pytest.fixture(scope="module")
def measured():
    codes, patients = drawn(700, 1)
    search = ExactSearch(codes)
    splits = np.full(len(codes), "train")
    table = nearest_neighbors(codes, 10)
    return SimpleNamespace(
        search=search,
        patients=patients,
        splits=splits,
        table=table,
        novelty=Novelty.of(search, patients, splits, table),
    )


def p_values(measured, codes):
    return measured.novelty.p_values(measured.search.search(codes, 1).similarities[:, 0])


def test_alarms_of_held_out_patients_are_as_rare_as_the_level_says(measured):
    held_out = drawn(4000, 2)[0][::3]  # one film a patient: they are independent
    p = p_values(measured, held_out)
    for level in (0.01, 0.05, 0.2):
        alarms = int((p <= level).sum())
        # the level is told by 2,000 films of 700 patients: that of another 700 lies within a third of it
        assert binom.ppf(0.001, len(p), level * 0.6) <= alarms <= binom.ppf(0.999, len(p), level * 1.4), level


def test_films_of_another_kind_set_it_off(measured):
    noise = np.random.default_rng(3).random((500, D), dtype=np.float32)
    other = drawn(170, 4, domain=1)[0]
    single = np.eye(D, dtype=np.float32)
    for foreign in (noise, other, single):
        assert (p_values(measured, foreign) <= 0.01).mean() > 0.8


def test_it_is_the_literal_leave_one_patient_out(measured):
    codes = measured.search.codes[:300]
    patients = measured.patients[:300]
    unit = codes / np.linalg.norm(codes, axis=1, keepdims=True)
    cosine = np.where(patients[:, None] == patients, -1, unit @ unit.T)
    search, splits = ExactSearch(codes), measured.splits[:300]
    for table in (None, nearest_neighbors(codes, 1), nearest_neighbors(codes, 20)):
        found = Novelty.of(search, patients, splits, table)
        np.testing.assert_allclose(found.similarities, np.sort(cosine.max(axis=1)), atol=2e-6)


def test_a_patients_own_films_do_not_count(measured):
    alone = Novelty.of(measured.search, np.arange(len(measured.patients)), measured.splits, measured.table)
    assert np.median(alone.similarities) > np.median(measured.novelty.similarities)


def test_films_that_no_encoder_was_trained_on_count_alone(measured):
    splits = measured.splits.copy()
    splits[-299:] = "valid"
    few = Novelty.of(measured.search, measured.patients, splits, measured.table)
    assert len(few) == 2000
    splits[-300:] = "valid"
    assert len(Novelty.of(measured.search, measured.patients, splits, measured.table)) == 300


def test_one_patient_alone_tells_nothing(measured):
    found = Novelty.of(measured.search, np.zeros(len(measured.patients)), measured.splits, measured.table)
    assert len(found) == 0
    assert np.isnan(found.p_values([0.1])).all()


def test_p_values_are_shares():
    novelty = Novelty(np.array([0.5, 0.6, 0.6, 0.7], dtype=np.float32))
    assert novelty.p_values([0.4, 0.5, 0.6, 0.9, -1]).tolist() == [0.2, 0.4, 0.8, 1.0, 0.2]
    assert novelty.smallest == 0.2


def test_a_record_gives_it_back(measured):
    back = Novelty.from_record(measured.novelty.to_record())
    np.testing.assert_array_equal(back.similarities, measured.novelty.similarities)


def test_a_mask_hides_nothing_and_forbidden_films_do_not_count():
    archive = Archive.from_codes(np.eye(4, dtype=np.float32) + 0.1, k=2)
    query = archive.codes[:1]
    hidden = QueryBatch.of(archive, query, 1, allowed=np.array([False, True, True, True]))
    assert best_similarities(archive, hidden).tolist() == [1]
    forbidden = QueryBatch.of(archive, query, 1, forbidden=[[0]])
    assert best_similarities(archive, forbidden)[0] < 0.9
    everything = QueryBatch.of(archive, query, 1, forbidden=[[0, 1, 2, 3]])
    assert best_similarities(archive, everything).tolist() == [-1]
