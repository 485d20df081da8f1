"""Colours in the hashing systems whose first layers have another shape for them: attention hash and Siamese hash."""

import numpy as np
import pytest
import torch

from graphret._errors import EncoderError
from graphret.encoders import Encoder, create, encoder_spec, list_encoders
from graphret.encoders.networks.attention_hash import InvertedPixels


def colours(n=2, size=32):
    return torch.from_numpy(np.random.default_rng(0).random((n, 3, size, size), dtype=np.float32))


def test_which_factories_take_the_channels():
    found = [name for name in list_encoders() if encoder_spec(name).builds_channels]
    assert found == [*(f"attention_hash_pf{n}" for n in range(3)), "resnet18_hash", "siamese_hash"]
    assert all(encoder_spec(name).colour for name in found)


@pytest.mark.parametrize("name", ["attention_hash_pf1", "resnet18_hash", "siamese_hash"])
def test_three_equal_channels_are_a_grey_film_where_their_weights_add_up(name):
    """A convolution of equal channels is that of one channel with the sum of their weights."""
    grey = Encoder.untrained(name, ["a", "b"], 32, n_bits=8, device="cpu")
    coloured = Encoder.untrained(name, ["a", "b"], 32, n_bits=8, device="cpu", channels=3)
    assert coloured.reads_colour
    own = {key: value.clone() for key, value in grey._network.module.state_dict().items()}
    for key, value in coloured._network.module.state_dict().items():
        if value.shape != own[key].shape:
            assert value.shape[1] == 3 * own[key].shape[1]
            # channels of one picture stand together: film, then film times saliency
            own[key] = own[key].repeat_interleave(3, dim=1) / 3
    coloured._network.module.load_state_dict(own)
    images = colours().numpy()
    equal = np.repeat(images[:, :1], 3, axis=1)
    expected = grey.encode(images[:, 0])
    np.testing.assert_allclose(coloured.encode(equal), expected, atol=1e-5 * np.abs(expected).max())
    assert np.abs(coloured.encode(images) - expected).max() > 1e-4


def test_the_hash_network_sees_the_colours_and_their_salient_part():
    module = create("attention_hash_pf1", n_labels=2, n_bits=8, channels=3).eval()
    images = colours()
    with torch.inference_mode():
        inputs, saliency = module.inputs(images), module.saliency(images)
    assert saliency.shape == (2, 32, 32)
    low, high = (torch.stack([reach(film) for film in images]).view(2, 1, 1, 1) for reach in (torch.min, torch.max))
    torch.testing.assert_close(inputs[:, :3], torch.round(255 * (1 - (images - low) / (high - low))) / 255)
    torch.testing.assert_close(inputs[:, :3], InvertedPixels()(images))
    torch.testing.assert_close(inputs[:, 3:], inputs[:, :3] * saliency[:, None])


@pytest.mark.parametrize(("name", "copies"), [("resnet18_hash", 1), ("attention_hash_pf2", 2)])
@pytest.mark.parametrize("channels", [1, 3])
def test_pretrained_colours_are_spread_over_the_pictures(name, copies, channels):
    module = create(name, n_labels=2, n_bits=8, channels=channels)
    key = "backbone.conv1.weight"
    given = torch.randn(64, 3, 7, 7, generator=torch.Generator().manual_seed(0))
    found = module.fitted({key: given})[key]
    assert found.shape == module.backbone.conv1.weight.shape
    for number in range(copies):
        part = found[:, number * channels : (number + 1) * channels]
        wanted = given if channels == 3 else given.sum(dim=1, keepdim=True)
        torch.testing.assert_close(part, wanted / copies)


def test_weights_of_grey_films_do_not_fit_a_network_of_colours(tmp_path):
    Encoder.untrained("siamese_hash", ["a"], 32, n_bits=8, device="cpu").save(tmp_path)
    with pytest.raises(EncoderError, match="convolutions"):
        create("siamese_hash", n_labels=1, n_bits=8, channels=3, weights=str(tmp_path))
