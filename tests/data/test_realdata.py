"""The readers on real films; skipped where ../shared/data is absent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from graphret.data import read_dataset

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
pytestmark = [
    pytest.mark.realdata,
    pytest.mark.skipif(not DATA.is_dir(), reason="no real films in ../shared/data"),
]


def counts(films):
    return dict(zip(films.label_names, (films.labels == 1).sum(axis=0).tolist(), strict=True))


def check_films(films, n=12):
    for row in np.linspace(0, len(films) - 1, n).astype(int):
        film = films.read(row)
        assert film.ndim == 2
        assert film.dtype == np.float32
        assert 0 <= film.min() < film.max() <= 1


def test_nih():
    films = read_dataset("nih-15", DATA / "nih")
    assert len(films) == 1672
    assert len(set(films.patients)) == 1314
    assert films.problems == ()
    assert counts(films)["Pneumonia"] == 516
    assert counts(films)["No Finding"] == 640
    assert set(films.views) == {"PA", "AP"}
    films.check_patients()
    check_films(films)


def test_kermany():
    films = read_dataset("kermany", DATA / "kermany")
    assert counts(films) == {"NORMAL": 1583, "BACTERIA": 2780, "VIRUS": 1493}
    assert (films.splits == "test").sum() == 640
    assert (films.splits == "valid").sum() > 300
    assert len(set(films.patients)) == 4097
    check_films(films)


def test_mednist():
    films = read_dataset("folder", DATA / "mednist")
    assert counts(films) == dict.fromkeys(["AbdomenCT", "BreastMRI", "CXR", "ChestCT", "Hand", "HeadCT"], 2000)
    check_films(films)
