"""Maps of two films: sums, where a covered place matters, and what each kind of network gives."""

import numpy as np
import pytest

from graphret import InvalidParameterError
from graphret._checks import unit_rows
from graphret.encoders import Encoder
from graphret.evaluation import similarity_maps

FILMS = np.random.default_rng(0).random((2, 64, 64), dtype=np.float32)


@pytest.mark.parametrize("name", ["resnet18", "densenet121"])
def test_positions_sum_to_the_cosine(name):
    encoder = Encoder.untrained(name, ("Mass",), 64, 0)
    codes = encoder.encode(FILMS)
    features = encoder.position_features(FILMS)
    np.testing.assert_allclose(features.mean(axis=(2, 3)), codes, rtol=1e-3, atol=1e-4)
    maps = similarity_maps(encoder, *FILMS)
    cosine = float(np.multiply(*unit_rows(codes)).sum())
    assert maps.kind == "positions"
    assert maps.first.sum() == pytest.approx(cosine, abs=1e-4)
    assert maps.second.sum() == pytest.approx(cosine, abs=1e-4)
    swapped = similarity_maps(encoder, FILMS[1], FILMS[0])
    np.testing.assert_allclose(swapped.first, maps.second, atol=1e-6)


def test_a_network_with_attention_shows_it():
    encoder = Encoder.untrained("attention_hash_pf1", ("Mass",), 64, 0, n_bits=8)
    maps = similarity_maps(encoder, *FILMS)
    assert maps.kind == "attention"
    np.testing.assert_allclose(maps.first, encoder.saliency(FILMS[:1])[0], atol=1e-6)


class Corner:
    """An encoder that sees nothing but one corner."""

    def position_features(self, images):
        return None

    def saliency(self, images):
        from graphret import EncoderError

        raise EncoderError("none")

    def encode(self, images):
        return np.stack([images[:, :9, :9].mean(axis=(1, 2)), np.full(len(images), 0.5)], axis=1).astype(np.float32)


def test_of_any_other_network_places_are_covered():
    films = FILMS.copy()
    films[:, :9, :9] = 1.0
    maps = similarity_maps(Corner(), *films)
    assert maps.kind == "occlusion"
    assert maps.first.shape == (7, 7)
    assert np.argmax(maps.first) == 0
    assert np.abs(maps.first.ravel()[1:]).max() < 1e-6


def test_images_of_another_shape_are_refused():
    encoder = Encoder.untrained("resnet18", ("Mass",), 64, 0)
    with pytest.raises(InvalidParameterError, match="float32"):
        similarity_maps(encoder, FILMS[0, :32, :32], FILMS[1, :32, :32])
