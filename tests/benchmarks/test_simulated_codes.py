"""The simulated archive is deterministic, has the real labels, and its codes behave as codes of films do."""

import numpy as np
import pytest

from graphret.neighbors import ExactSearch


def test_same_seed_same_codes(simulated_codes):
    one, same, other = (simulated_codes.simulate(300, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.codes, same.codes)
    assert one.codes.shape == (300, 1024)
    assert one.codes.dtype == np.float32
    assert (one.codes >= 0).all()
    assert np.isfinite(one.codes).all()
    assert set(one.ids) != set(other.ids)


def test_a_smaller_archive_is_the_beginning_of_a_larger_one(simulated_codes):
    small, large = simulated_codes.simulate(100), simulated_codes.simulate(250)
    np.testing.assert_array_equal(small.ids, large.ids[:100])
    np.testing.assert_array_equal(small.labels, large.labels[:100])
    np.testing.assert_allclose(small.codes, large.codes[:100], atol=1e-5)  # BLAS sums blocks in another order


def test_all_films_have_the_official_labels(simulated_codes, monkeypatch):
    monkeypatch.setattr(simulated_codes, "_network", lambda z, seed: z)  # labels need no codes
    archive = simulated_codes.simulate()
    counts = dict(zip(simulated_codes.FINDINGS, archive.labels.sum(axis=0).tolist(), strict=True))
    assert len(archive.ids) == simulated_codes.N_FILMS == len(set(archive.ids))
    assert (counts["Infiltration"], counts["Hernia"]) == (19894, 227)
    assert len(set(archive.patients)) == 30805
    assert (archive.views == "AP").sum() == 44810


def test_another_exposure_is_the_nearest_relative_and_not_the_same(simulated_codes):
    archive = simulated_codes.simulate(2000)
    again = simulated_codes.simulate(300, exposure=1)
    np.testing.assert_array_equal(archive.ids[:300], again.ids)
    found = ExactSearch(archive.codes).search(again.codes, 1)
    assert (found.similarities < 0.999).all()
    itself = (found.neighbors[:, 0] == np.arange(300)).mean()
    assert 20 / 2000 < itself < 0.9


def test_neighbours_share_findings_more_often_than_chance(simulated_codes):
    archive = simulated_codes.simulate(3000)
    queries = np.flatnonzero(archive.labels.any(axis=1))[:300]
    found = ExactSearch(archive.codes).search(archive.codes[queries], 10, forbidden=list(queries[:, None])).neighbors
    shared = (archive.labels[found] & archive.labels[queries][:, None]).any(axis=2).mean()
    chance = (archive.labels[queries] @ archive.labels.T > 0).mean()
    assert chance < 0.2
    assert shared > 2 * chance


def test_without_the_package_the_extra_is_named(simulated_codes, monkeypatch):
    monkeypatch.setattr(simulated_codes.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match=r"graphret\[xray\]"):
        simulated_codes.official_label_file()
