"""PIL images and arrays of bytes as queries: the hits are those of the file that they came from."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from graphret._errors import InvalidParameterError
from graphret.data import film_in_memory, read_film, read_pixels

GREY = np.random.default_rng(0).integers(0, 256, (20, 16)).astype(np.uint8)
COLOUR = np.random.default_rng(1).integers(0, 256, (20, 16, 3)).astype(np.uint8)


def test_every_way_to_hand_over_a_film(film_index, film_table):
    path = film_table.paths[4]
    expected = film_index.query(path, 6)
    pixels = read_pixels(path)
    with Image.open(path) as picture:
        ways = [
            picture,
            pixels,
            read_film(path),
            pixels[..., None],
            pixels.astype(np.uint16) * 257,
            np.dstack([pixels] * 3),
        ]
        for what in ways:
            for given in (what, [what], [what, film_table.ids[3]]):
                hits = film_index.query(given, 6)
                assert hits.ids[0].tolist() == expected.ids[0].tolist()
                assert hits.queries[0] == ""


def saved(folder, picture, **how):
    picture.save(folder / "film.png", **how)
    return folder / "film.png"


def exif_turned():
    picture = Image.fromarray(GREY)
    exif = picture.getexif()
    exif[274] = 6
    return picture, {"exif": exif}


PICTURES = {
    "L": lambda: (Image.fromarray(GREY), {}),
    "1": lambda: (Image.fromarray(GREY > 100), {}),
    "RGB": lambda: (Image.fromarray(COLOUR), {}),
    "RGBA": lambda: (Image.fromarray(np.dstack([COLOUR, GREY])), {}),
    "LA": lambda: (Image.fromarray(GREY).convert("LA"), {}),
    "P": lambda: (Image.fromarray(COLOUR).convert("P"), {}),
    "16 bits": lambda: (Image.fromarray(GREY.astype(np.uint16) * 201), {}),
    "turned": exif_turned,
    "one clear grey": lambda: (Image.fromarray(GREY), {"transparency": int(GREY[0, 0])}),
}


@pytest.mark.parametrize("kind", PICTURES)
def test_a_picture_is_what_its_file_is(kind, tmp_path):
    picture, how = PICTURES[kind]()
    path = saved(tmp_path, picture, **how)
    with Image.open(path) as opened:
        np.testing.assert_array_equal(film_in_memory(opened), read_pixels(path))
    if not how:
        np.testing.assert_array_equal(film_in_memory(picture), read_pixels(path))


def test_colours_of_arrays_are_luma(tmp_path):
    expected = read_pixels(saved(tmp_path, Image.fromarray(COLOUR)))
    np.testing.assert_array_equal(film_in_memory(COLOUR), expected)
    np.testing.assert_allclose(film_in_memory(COLOUR.astype(np.float64) / 255), expected, atol=1e-6)
    clear = np.dstack([COLOUR, GREY])
    np.testing.assert_allclose(film_in_memory(clear), read_pixels(saved(tmp_path, Image.fromarray(clear))), atol=1e-6)


def test_whole_numbers_of_pillow():
    wide = Image.fromarray(GREY.astype(np.int32) * 200)
    assert wide.mode == "I"
    np.testing.assert_array_equal(film_in_memory(wide), GREY.astype(np.uint16) * 200)
    with pytest.raises(InvalidParameterError, match="values 0 to 65535"):
        film_in_memory(Image.fromarray(GREY.astype(np.int32) - 300))
    shares = Image.fromarray((GREY / 255).astype(np.float32))
    np.testing.assert_array_equal(film_in_memory(shares), (GREY / 255).astype(np.float32))


def test_what_is_no_film(film_index, shared_index):
    for what in (np.zeros((3, 4, 5), np.uint8), np.zeros((2, 8, 8, 3), np.uint8), np.zeros((4, 4), np.int64)):
        with pytest.raises(InvalidParameterError, match="a PIL image, or uint8"):
            film_index.query(what)
    with pytest.raises(InvalidParameterError, match=r"list\(films\)"):
        film_index.query(np.zeros((3, 8, 8), np.uint8))
    with pytest.raises(InvalidParameterError, match="mode HSV"):
        film_index.query(Image.fromarray(COLOUR).convert("HSV"))
    for what in (GREY, Image.fromarray(GREY)):
        with pytest.raises(InvalidParameterError, match="has no encoder"):
            shared_index.query(what)
    frames = Image.fromarray(GREY)
    vars(frames)["n_frames"] = 2
    with pytest.raises(InvalidParameterError, match="2 frames"):
        film_index.query(frames)
