import numpy as np
import pytest
from PIL import Image

from graphret._errors import InvalidParameterError
from graphret.evaluation import draw_saliency, saliency_overlay


def test_where_nothing_is_salient_the_film_stays():
    film = np.random.default_rng(0).random((6, 4), dtype=np.float32)
    shown = saliency_overlay(film, np.zeros((3, 3), np.float32))
    np.testing.assert_array_equal(shown, np.rint(film[..., None] * 255).astype(np.uint8).repeat(3, 2))


def test_the_map_is_stretched_to_the_sides_of_the_film():
    saliency = np.zeros((8, 8), np.float32)
    saliency[:4, 4:] = 1  # above, on the right
    film = np.full((40, 20), 0.5, np.float32)
    shown = saliency_overlay(film, saliency, strength=1.0)
    assert shown[5, 15].tolist() == [255, 0, 0]
    for row, column in ((5, 4), (30, 15), (30, 4)):
        assert shown[row, column].tolist() == [128, 128, 128]
    weak = saliency_overlay(film, saliency, strength=0.2)
    assert weak[5, 15].tolist() == [round(255 * (0.8 * 0.5 + 0.2)), *[round(255 * 0.4)] * 2]


def test_the_picture_has_both(tmp_path):
    film = np.random.default_rng(1).random((6, 4), dtype=np.float32)
    saliency = np.random.default_rng(2).random((3, 3), dtype=np.float32)
    draw_saliency(film, saliency, tmp_path / "saliency.png")
    with Image.open(tmp_path / "saliency.png") as picture:
        pixels = np.asarray(picture)
    assert pixels.shape == (6, 8, 3)
    np.testing.assert_array_equal(pixels[:, 4:], saliency_overlay(film, saliency))


@pytest.mark.parametrize(
    ("film", "saliency", "strength", "name"),
    [
        (np.zeros((4, 4)), np.full((2, 2), 1.5), 0.5, "saliency"),
        (np.zeros((4, 4), np.uint8), np.zeros((2, 2)), 0.5, "film"),
        (np.zeros(4), np.zeros((2, 2)), 0.5, "film"),
        (np.zeros((4, 4)), np.zeros((2, 2)), 0.0, "strength"),
    ],
)
def test_what_is_not_allowed_is_named(film, saliency, strength, name):
    with pytest.raises(InvalidParameterError, match=f"{name}="):
        saliency_overlay(film, saliency, strength=strength)
