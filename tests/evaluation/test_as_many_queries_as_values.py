"""A batch of as many codes as a code has values is no film, also where an encoder could read it as one."""

import numpy as np
import pytest
from PIL import Image

import graphret
from graphret.evaluation.queries import resolve_queries
from graphret.plotting.asked import ask_queries

LENGTH = 16
N_FILMS = 64 + LENGTH
"""A full batch, and one of as many queries as a code has values."""


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    root = tmp_path_factory.mktemp("films")
    random = np.random.default_rng(0)
    for number in range(N_FILMS):
        folder = root / ("dark" if number % 2 else "light")
        folder.mkdir(exist_ok=True)
        pixels = random.integers(0, 120, (32, 32)) + (0 if number % 2 else 120)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number}.png")
    return graphret.read_dataset("folder", root)


@pytest.fixture(scope="module")
def index(films, tmp_path_factory):
    def means(images):
        return images.reshape(len(images), 4, 8, 4, 8).mean(axis=(2, 4)).reshape(len(images), LENGTH)

    encoder = graphret.ModelEncoder(means, size=32, pixels=(0, 1), fingerprint="means of a grid")
    return graphret.build(films, encoder, out=tmp_path_factory.mktemp("index"), k=8, tune=False)


def test_they_are_evaluated(index, films):
    report = graphret.evaluate(index, films, measures=["P@1"], rankings=["nearest"], n_resamples=20)
    assert report.rankings[0].scores["P@1"].n_queries == N_FILMS


def test_they_are_plotted(index, films):
    positions, _ = ask_queries(index, resolve_queries(index, films), "nearest", 3, None)
    assert positions.shape == (N_FILMS, 3)
    assert positions.min() >= 0
