"""Generated films: the same for the same seed, labels like the real archive's, masks where the signs are."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from graphret._errors import DataError, InvalidParameterError
from graphret.data import generate_phantom, phantom_films, read_dataset
from graphret.data.phantom import _draw, _draw_films
from graphret.data.phantom_anatomy import noise, patient_anatomy
from graphret.data.phantom_plan import FINDINGS, HEALTHY_SHARE, label_sets, plan_films

LINE = np.linspace(1 / 64 - 1, 1 - 1 / 64, 64, dtype=np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("phantom")
    done = []
    generate_phantom(root, 60, size=48, seed=3, progress=lambda *step: done.append(step))
    assert done[0] == ("films", 1, 60)
    assert done[-1] == ("films", 60, 60)
    return root


def test_what_is_written_is_what_is_read(folder):
    films = read_dataset("phantom", folder)
    assert len(films) == 60
    assert films.problems == ()
    pictures, table = phantom_films(60, size=48, seed=3)
    assert films.ids.tolist() == table.ids.tolist()
    assert films.label_names == table.label_names == FINDINGS
    for name in ("labels", "patients", "views", "splits"):
        np.testing.assert_array_equal(getattr(films, name), getattr(table, name))
    for row in (0, 17, 59):
        np.testing.assert_allclose(films.read(row), pictures[row], atol=0.5 / 255 + 1e-6)


def test_films_are_float32_in_range():
    films, _ = phantom_films(30, size=32)
    assert films.dtype == np.float32
    assert films.min() >= 0
    assert films.max() <= 1
    assert all(film.std() > 0.05 for film in films)


def test_same_seed_same_films_and_a_larger_set_begins_with_the_smaller():
    few, few_table = phantom_films(10, size=32, seed=5)
    many, many_table = phantom_films(25, size=32, seed=5)
    np.testing.assert_array_equal(few, many[:10])
    assert few_table.ids.tolist() == many_table.ids[:10].tolist()
    np.testing.assert_array_equal(few_table.labels, many_table.labels[:10])
    other, _ = phantom_films(10, size=32, seed=6)
    assert np.abs(few - other).mean() > 0.02
    assert phantom_films(2, size=40, seed=5)[0].shape == (2, 40, 40)


def test_findings_follow_the_real_joint_distribution():
    plan = plan_films(40_000, seed=1)
    sets, shares = label_sets()
    assert abs((~plan.findings.any(axis=1)).mean() - HEALTHY_SHARE) < 0.01
    shown = plan.findings[plan.findings.any(axis=1)].astype(float)
    together = shown.T @ shown / len(shown)
    weights = shares[1:] / shares[1:].sum()
    real = (sets[1:] * weights[:, None]).T @ sets[1:].astype(float)
    np.testing.assert_allclose(together, real, atol=0.012)  # the diagonal is how often, the rest is how often together
    pairs = np.triu(real, 1) > 0.01
    assert pairs.sum() >= 10
    np.testing.assert_allclose(together[pairs], real[pairs], rtol=0.3)


def test_every_finding_is_there_in_a_demonstration():
    assert plan_films(1500, seed=0).findings.sum(axis=0).min() >= 20


def test_patients_have_several_films_and_two_views():
    plan = plan_films(3000, seed=2)
    sizes = np.bincount(plan.patients)
    assert sizes.max() == 6
    assert 2.2 < sizes.mean() < 3.2
    assert 0.36 < plan.is_ap.mean() < 0.44
    assert np.all(np.diff(plan.patients) >= 0)
    kept = [plan.findings[plan.patients == patient] for patient in range(300)]
    alike = np.mean([np.array_equal(one[0], one[1]) for one in kept if len(one) > 1])
    shuffled = plan.findings[np.random.default_rng(0).permutation(3000)]
    assert alike > 2 * np.mean((shuffled[:-1] == shuffled[1:]).all(axis=1))


def test_ap_films_have_a_larger_heart_and_less_contrast():
    plan = plan_films(600, seed=0)
    films = np.stack([film for film, _ in _draw_films(plan, 32, 0)])
    assert films[~plan.is_ap].std(axis=(1, 2)).mean() > films[plan.is_ap].std(axis=(1, 2)).mean() + 0.005


def test_masks_mark_every_finding_and_nothing_else(folder):
    films = read_dataset("phantom", folder)
    for row in range(len(films)):
        with Image.open(folder / films.column("mask")[row]) as picture:
            bits = np.asarray(picture).astype(np.uint16)
        assert bits.shape == (48, 48)
        there = [(bits >> number & 1).any() for number in range(16)]
        assert there[: len(FINDINGS)] == (films.labels[row] == 1).tolist()
        assert not any(there[len(FINDINGS) :])


@pytest.mark.parametrize("number", range(len(FINDINGS)), ids=FINDINGS)
def test_every_sign_shows_where_its_mask_is(number):
    none, one = np.zeros(len(FINDINGS), dtype=bool), np.arange(len(FINDINGS)) == number
    inside, outside, areas = [], [], []
    for patient in range(25):

        def film_with(shown, patient=patient):  # all but the finding is the same
            film, signs = np.random.default_rng(patient), np.random.default_rng([patient, 1])
            return _draw(patient_anatomy(0, patient), shown, False, film, signs, LINE)

        healthy, empty = film_with(none)
        film, masks = film_with(one)
        assert not empty.any()
        assert masks[number].any()
        assert not np.delete(masks, number, axis=0).any()
        difference = np.abs(film - healthy)
        inside.append(difference[masks[number]].mean())
        outside.append(difference[~masks[number]].mean())
        areas.append(masks[number].mean())
    assert np.mean(inside) > 0.015
    assert np.mean(inside) > 2 * np.mean(outside)
    assert 0.001 < np.mean(areas) < 0.6


def test_noise_is_smooth_and_standard():
    maps = np.stack([noise(np.random.default_rng(seed), 64, 9) for seed in range(200)])
    assert abs(maps.mean()) < 0.03
    assert 0.85 < maps.std() < 1.15
    assert np.abs(np.diff(maps, axis=2)).mean() < 0.2


@pytest.mark.parametrize(("n_films", "size", "seed"), [(0, 64, 0), (3, 8, 0), (3, 5000, 0), (3, 64, -1), (2.5, 64, 0)])
def test_wrong_numbers(tmp_path, n_films, size, seed):
    with pytest.raises(InvalidParameterError):
        phantom_films(n_films, size, seed)
    with pytest.raises(InvalidParameterError):
        generate_phantom(tmp_path / "new", n_films, size=size, seed=seed)
    assert not (tmp_path / "new").exists()


def test_a_folder_with_films_is_left_alone(folder):
    before = (folder / "films.csv").read_bytes()
    with pytest.raises(DataError, match=r"already holds films.csv"):
        generate_phantom(folder, 3)
    assert (folder / "films.csv").read_bytes() == before
