import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from graphret._errors import InvalidParameterError, UnknownNameError
from graphret.encoders import Encoder
from graphret.encoders.encoder import prepare_film


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
        np.zeros((4, 4), np.uint8),
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
        logits = encoder._module(torch.from_numpy(images)[:, None])
    np.testing.assert_allclose(encoder.predict(images), torch.sigmoid(logits).numpy(), atol=1e-6)
