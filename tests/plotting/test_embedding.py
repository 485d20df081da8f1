"""Codes in the plane: neighbours stay neighbours, samples and seeds are what they say."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

import graphret
from graphret._errors import InvalidParameterError, MissingDependencyError, UnknownNameError
from graphret.plotting import plot

KINDS = np.repeat([0, 1, 2], 20)


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    codes = (np.random.default_rng(0).normal(size=(60, 10)) + 6 * np.eye(10)[KINDS]).astype(np.float32)
    labels = {"Mass": KINDS == 1}
    return graphret.build(codes, labels=labels, out=tmp_path_factory.mktemp("plane") / "index", k=5, tune=False)


def test_films_of_a_kind_lie_together(index):
    made = plot("tsne", index, colour="Mass", seed=3)
    assert [row[0] for row in made.rows] == list(range(60))
    assert [row[3] for row in made.rows] == np.where(KINDS == 1, "with it", "without it").tolist()
    places = np.array([row[1:3] for row in made.rows])
    distances = np.linalg.norm(places[:, None] - places, axis=2) + 1e9 * np.eye(60)
    assert (KINDS[distances.argmin(axis=1)] == KINDS).mean() == 1.0
    assert made.notes == ("t-SNE, perplexity 19.6667, seed 3",)
    assert plot("tsne", index, colour="Mass", seed=3).rows == made.rows


def test_a_sample_is_drawn_by_its_seed(index):
    first, second = (plot("tsne", index, n_films=12, seed=seed) for seed in (0, 1))
    for made in (first, second):
        positions = [row[0] for row in made.rows]
        assert len(set(positions)) == 12
        assert [row[3] for row in made.rows] == [str(index.communities[position]) for position in positions]
        assert "12 of 60 films, drawn at random" in made.notes
    assert [row[0] for row in first.rows] != [row[0] for row in second.rows]
    assert first.columns == ("position", "x", "y", "community")


def test_mistakes_and_missing_packages_are_named(index, monkeypatch):
    with pytest.raises(InvalidParameterError, match="n_films=4"):
        plot("tsne", index, n_films=4)
    with pytest.raises(UnknownNameError, match="colour"):
        plot("tsne", index, colour="age")
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(MissingDependencyError, match="UMAP needs the package umap-learn: pip install umap-learn"):
        plot("umap", index)
    monkeypatch.setitem(sys.modules, "sklearn.manifold", None)
    with pytest.raises(MissingDependencyError, match="pip install scikit-learn"):
        plot("tsne", index)


def test_umap_is_asked_for_cosine(index, monkeypatch):
    """umap-learn is no dependency: its class is replaced, and what it is given is looked at."""
    given = {}

    class UMAP:
        def __init__(self, **options):
            given.update(options)

        def fit_transform(self, codes):
            given["norms"] = np.linalg.norm(codes, axis=1)
            return codes[:, :2]

    monkeypatch.setitem(sys.modules, "umap", SimpleNamespace(UMAP=UMAP))
    made = plot("umap", index, n_films=8, seed=2)
    assert {name: given[name] for name in ("n_neighbors", "metric", "random_state")} == {
        "n_neighbors": 7, "metric": "cosine", "random_state": 2,
    }  # fmt: skip
    np.testing.assert_allclose(given["norms"], 1, rtol=1e-6)
    position, x = made.rows[0][:2]
    assert x == pytest.approx(index.codes[position][0] / np.linalg.norm(index.codes[position]))
