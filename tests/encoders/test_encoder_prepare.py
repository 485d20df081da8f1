import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from graphret._errors import InvalidParameterError, UnknownNameError
from graphret.encoders import Encoder
from graphret.encoders.inference.resize import prepare_film
from graphret.encoding.films import ARITHMETIC


def with_pillow(film, size):
    """The slow literal reference: a float32 film, resized by Pillow in double precision."""
    if film.dtype.kind == "u":
        film = (film / np.iinfo(film.dtype).max).astype(np.float32)
    image = Image.fromarray(np.ascontiguousarray(film, dtype=np.float32))
    return np.clip(np.asarray(image.resize((size, size), Image.Resampling.BILINEAR)), 0.0, 1.0)


def literal(film, size):
    """The filter of the docstring, pixel by pixel, in float64."""

    def weights(n):
        stretch = max(n / size, 1.0)
        matrix = np.array(
            [
                [max(0.0, 1 - abs(x + 0.5 - (place + 0.5) * n / size) / stretch) for x in range(n)]
                for place in range(size)
            ]
        )
        return matrix / matrix.sum(1, keepdims=True)

    white = np.iinfo(film.dtype).max if film.dtype.kind == "u" else 1
    return weights(film.shape[0]) @ (film / np.float64(white)) @ weights(film.shape[1]).T


def film_of(dtype, shape, seed=0):
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "u":
        return rng.integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)
    return rng.random(shape).astype(dtype)


@pytest.mark.parametrize("size", [1, 8, 33, 224])
@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (7, 3), (33, 33), (101, 67), (224, 300), (449, 223), (640, 1)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64, np.float16])
def test_every_film_is_resized_as_pillow_does_it(dtype, shape, size):
    film = film_of(dtype, shape)
    image = prepare_film(film, size)
    assert image.dtype == np.float32
    np.testing.assert_allclose(image, with_pillow(film, size), rtol=0, atol=6e-7)
    np.testing.assert_allclose(image, literal(film, size), rtol=0, atol=6e-7)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_stored_pixels_give_what_the_film_gives(dtype):
    pixels = film_of(dtype, (300, 211))
    film = (pixels / np.iinfo(dtype).max).astype(np.float32)
    np.testing.assert_allclose(prepare_film(pixels, 64), prepare_film(film, 64), rtol=0, atol=3e-7)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_black_and_white_stay_in_the_range(dtype):
    white = np.full((1023, 517), 1 if dtype == np.float32 else np.iinfo(dtype).max, dtype)
    image = prepare_film(white, 224)
    assert image.max() <= 1
    assert image.min() >= 1 - 1e-6
    assert not prepare_film(np.zeros_like(white), 224).any()


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_views_and_read_only_films(dtype):
    film = film_of(dtype, (90, 70))
    expected = prepare_film(film[::-1, ::2].copy(), 32)
    np.testing.assert_array_equal(prepare_film(film[::-1, ::2], 32), expected)
    np.testing.assert_array_equal(prepare_film(film.T, 32), prepare_film(film.T.copy(), 32))
    film.flags.writeable = False
    np.testing.assert_array_equal(prepare_film(film[::-1, ::2], 32), expected)
    assert prepare_film(film, 32).flags.writeable


def test_a_film_a_little_outside_the_range_is_clipped():
    image = prepare_film(np.array([[-5e-5, 1 + 5e-5]], np.float32), 2)
    np.testing.assert_array_equal(image, [[0, 1], [0, 1]])


def test_the_rounding_belongs_to_the_version_of_the_arithmetic():
    """Whoever changes these bits raises `graphret.encoding.films.ARITHMETIC`, and then what is expected here."""
    values = np.arange(333 * 257, dtype=np.uint32).reshape(333, 257) * 2654435761 >> 16
    films = [values.astype(np.uint8), values.astype(np.uint16), values.astype(np.float32) / np.float32(65535)]
    images = [prepare_film(film, 48) for film in (*films, films[0][:20, :31])]
    digest = hashlib.sha256(b"".join(image.tobytes() for image in images)).hexdigest()
    assert (ARITHMETIC, digest[:16]) == (2, "094e2e1e0b6c6bea")


@settings(max_examples=40, deadline=None)
@given(
    hnp.arrays(np.float32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=40), elements=st.floats(0, 1, width=32)),
    st.integers(1, 40),
)
def test_the_result_is_square_and_within_the_range_of_the_film(film, size):
    image = prepare_film(film, size)
    assert image.shape == (size, size)
    assert image.dtype == np.float32
    assert image.min() >= film.min() - 1e-6
    assert image.max() <= film.max() + 1e-6


def test_reducing_averages_instead_of_picking():
    checkerboard = (np.indices((64, 64)).sum(0) % 2).astype(np.float32)
    np.testing.assert_allclose(prepare_film(checkerboard, 8), 0.5, atol=0.02)


def test_the_same_size_changes_nothing_and_copies():
    film = np.random.default_rng(0).random((16, 16), dtype=np.float32)
    image = prepare_film(film, 16)
    np.testing.assert_array_equal(image, film)
    image[0, 0] = 0.5
    assert not np.shares_memory(image, film)


@pytest.mark.parametrize("size", [0, -1, 2.5, True])
def test_the_size_is_checked(size):
    with pytest.raises(InvalidParameterError, match="size="):
        prepare_film(np.zeros((4, 4), np.float32), size)


def test_the_whole_film_is_kept():
    film = np.zeros((20, 60), dtype=np.float32)
    film[:, -10:] = 1.0
    image = prepare_film(film, 12)
    assert image[:, -1].min() > 0.9
    assert image[:, 0].max() < 0.1


@pytest.mark.parametrize(
    "film",
    [
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4), np.float32),
        np.zeros((4, 4), np.int16),
        np.zeros((4, 4), np.uint32),
        np.zeros((4, 4), bool),
        np.full((4, 4), 255.0, np.float32),
        np.full((4, 4), -0.5, np.float32),
        np.full((4, 4), np.nan, np.float32),
        np.full((4, 4), np.inf, np.float32),
    ],
)
def test_what_is_no_film_is_refused(film):
    with pytest.raises(InvalidParameterError, match="film="):
        prepare_film(film, 8)


@pytest.fixture(scope="module")
def encoder():
    return Encoder.untrained("resnet18", ["Mass"], 32, device="cpu")


@pytest.mark.parametrize(
    "images", [np.zeros((1, 33, 33), np.float32), np.zeros((32, 32), np.float32), np.zeros((1, 32, 32))]
)
def test_images_of_another_shape_or_dtype_are_refused(encoder, images):
    with pytest.raises(InvalidParameterError, match=r"float32 \(b, 32, 32\)"):
        encoder.encode(images)


def test_no_image_gives_no_code(encoder):
    assert encoder.encode(np.zeros((0, 32, 32), np.float32)).shape == (0, 512)


def test_precision_and_batch_size_are_checked(encoder):
    images = np.zeros((1, 32, 32), np.float32)
    with pytest.raises(UnknownNameError, match="bfloat16, float32"):
        encoder.encode(images, precision="half")
    with pytest.raises(InvalidParameterError, match="batch_size=0"):
        encoder.predict(images, batch_size=0)


def test_probabilities_are_the_sigmoid_of_the_logits(encoder):
    import torch

    images = np.random.default_rng(1).random((3, 32, 32), dtype=np.float32)
    with torch.inference_mode():
        logits = encoder._network.module(torch.from_numpy(images)[:, None])
    np.testing.assert_allclose(encoder.predict(images), torch.sigmoid(logits).numpy(), atol=1e-6)
