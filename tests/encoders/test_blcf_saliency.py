"""BLCF weighted by saliency: the spectral residual by its definition, and the histogram by loops."""

import cmath
import math

import numpy as np
import pytest
import torch

from graphret._errors import InvalidParameterError
from graphret.encoders import Encoder, create
from graphret.encoders.inference.resize import prepare_film
from graphret.encoders.pooling.blcf import BLCF
from graphret.encoders.pooling.spectral_residual import spectral_residual

SIDE = 64


def clipped(table, y, x):
    return table[min(max(y, 0), SIDE - 1)][min(max(x, 0), SIDE - 1)]


def literal_saliency(film):
    """Discrete Fourier transforms as sums, filters as loops; the edge goes on beyond itself."""
    waves = np.array([[cmath.exp(-2j * math.pi * u * x / SIDE) for x in range(SIDE)] for u in range(SIDE)])
    spectrum = waves @ film @ waves.T
    logarithm = np.log(np.abs(spectrum) + 1e-6).tolist()
    residual = np.empty((SIDE, SIDE))
    for v in range(SIDE):
        for u in range(SIDE):
            near = [clipped(logarithm, v + dv, u + du) for dv in (-1, 0, 1) for du in (-1, 0, 1)]
            residual[v, u] = logarithm[v][u] - sum(near) / 9
    turned = np.exp(residual + 1j * np.angle(spectrum))
    energy = np.abs(waves.conj() @ turned @ waves.conj().T / SIDE**2) ** 2
    bell = [math.exp(-(d**2) / (2 * 2.5**2)) for d in range(-8, 9)]
    bell = [value / sum(bell) for value in bell]
    table, smooth = energy.tolist(), np.zeros((SIDE, SIDE))
    rows = [[sum(b * clipped(table, y, x + d) for b, d in zip(bell, range(-8, 9), strict=True)) for x in range(SIDE)]
            for y in range(SIDE)]  # fmt: skip
    for y in range(SIDE):
        for x in range(SIDE):
            smooth[y, x] = sum(b * clipped(rows, y + d, x) for b, d in zip(bell, range(-8, 9), strict=True))
    return smooth / smooth.max()


def textured(seed, side=SIDE):
    """A film whose spectrum has no amplitude near 0, where the phase is rounding."""
    rng = np.random.default_rng(seed)
    film = 0.4 + 0.2 * rng.random((side, side))
    film[side // 4 : side // 3, side // 2 : side // 2 + side // 8] = 1.0
    return film.astype(np.float32)


def test_saliency_is_that_of_the_definition():
    film = textured(0)
    found = spectral_residual(torch.from_numpy(film)[None, None])[0].numpy()
    np.testing.assert_allclose(found, literal_saliency(film.astype(np.float64)), atol=2e-4)
    assert found.max() == 1.0


def test_films_are_resized_as_all_films_are_and_colours_are_their_luma():
    large = textured(1, 150)
    found = spectral_residual(torch.from_numpy(large)[None, None])
    small = spectral_residual(torch.from_numpy(prepare_film(large, SIDE))[None, None])
    torch.testing.assert_close(found, small, atol=1e-3, rtol=0)
    colours = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    luma = (colours * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    torch.testing.assert_close(spectral_residual(colours), spectral_residual(luma), atol=1e-4, rtol=0)


@pytest.mark.parametrize("grey", [0.0, 0.5, 1.0])
def test_a_film_of_one_grey_has_a_saliency(grey):
    found = spectral_residual(torch.full((1, 1, 80, 80), grey))
    assert torch.isfinite(found).all()
    assert (found >= 0).all()
    assert found.max() == 1


def test_the_histogram_is_that_of_loops():
    torch.manual_seed(0)
    pooling = BLCF(6, n_words=5, weighting="saliency")
    maps, images = torch.rand(2, 6, 4, 4), torch.from_numpy(np.stack([textured(2), textured(3)]))[:, None]
    found = pooling(maps, images)
    saliency = spectral_residual(images)
    wanted = torch.zeros(2, 5)
    for film in range(2):
        for y in range(4):
            for x in range(4):
                vector = maps[film, :, y, x] / maps[film, :, y, x].norm()
                word = max(range(5), key=lambda j: float(vector @ pooling.words[j]))
                part = saliency[film, 16 * y : 16 * (y + 1), 16 * x : 16 * (x + 1)]
                wanted[film, word] += part.mean()
    torch.testing.assert_close(found, wanted)
    assert not torch.allclose(found, BLCF(6, n_words=5)(maps))
    with pytest.raises(InvalidParameterError, match="the films that the maps are of"):
        pooling(maps)


def test_words_that_films_have_do_not_depend_on_the_weights():
    """n of ``log(N / n)`` counts films that have the word, however little its places weigh."""
    torch.manual_seed(0)
    batches = [torch.rand(5, 6, 4, 4)]
    fitted = []
    for weighting in ("none", "saliency"):
        pooling = BLCF(6, n_words=20, weighting=weighting, tf_idf=True)
        pooling.fit(lambda: iter(batches))
        fitted.append(pooling.word_weights)
    torch.testing.assert_close(*fitted)
    assert fitted[0].std() > 0


@pytest.mark.parametrize("channels", [1, 3])
def test_an_encoder_weighs_by_its_films(channels):
    """On a processor the network is folded, and still sees the films."""
    shared = {"backbone": "small_cnn", "n_words": 12, "weighting": "saliency", "channels": channels}
    encoder = Encoder.untrained("blcf", ["a", "b"], 64, device="cpu", **shared)
    images = torch.rand(3, channels, 64, 64, generator=torch.Generator().manual_seed(0))
    module = encoder._network.module
    maps, saliency = module.maps(images), spectral_residual(images)
    weights = saliency.view(3, 4, 16, 4, 16).mean(dim=(2, 4)).flatten(1)
    counts = module.pooling._words_at(maps) * weights[:, :, None]
    wanted = torch.nn.functional.normalize(counts.sum(dim=1), dim=1)
    found = encoder.encode(images.numpy() if channels == 3 else images[:, 0].numpy())
    np.testing.assert_allclose(found, wanted.numpy(), atol=1e-3)
    assert create("blcf", n_labels=2, **shared).outputs(images).logits.shape == (3, 2)
