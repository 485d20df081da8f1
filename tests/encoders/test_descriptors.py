"""GIST and the Gabor and Schmid textures against convolutions that are written out."""

import math

import numpy as np
import pytest
import torch

from graphret._errors import InvalidParameterError
from graphret.encoders import Encoder, create
from graphret.encoders.descriptors.filtering import mirrored
from graphret.encoders.descriptors.gabor_schmid import N_FILTERS, SCHMID, filter_bank, patch_textures
from graphret.encoders.descriptors.gist import gabor_transfer, gist, whitened
from graphret.encoders.pooling.kmeans import nearest_rows

SIDE = 32


def film_of(seed=0, side=SIDE):
    """Blobs and noise, not symmetric in any way."""
    rng = np.random.default_rng(seed)
    down, right = np.mgrid[:side, :side] / side
    return 0.4 * down + 0.3 * np.sin(9 * right + 4 * down**2) ** 2 + 0.3 * rng.random((side, side))


def around(film, margin):
    """Mirror by looking up every pixel: -1 is 0, -2 is 1, ..., s is s - 1, s + 1 is s - 2."""
    side = len(film)

    def inside(place):
        return -1 - place if place < 0 else 2 * side - 1 - place if place >= side else place

    places = [inside(place) for place in range(-margin, side + margin)]
    return np.array([[film[row, column] for column in places] for row in places])


def kernel_of(transfer):
    """The filter in space: the inverse Fourier sum, written as a matrix of waves on each side."""
    n = len(transfer)
    waves = np.exp(2j * math.pi * np.outer(np.arange(n), np.arange(n)) / n) / n
    return waves @ transfer @ waves.T


def convolved(film, kernel):
    """Circular convolution in space, shift by shift."""
    found = np.zeros(film.shape, dtype=complex)
    for down, right in np.ndindex(kernel.shape):
        if abs(kernel[down, right]) > 1e-12:
            found += kernel[down, right] * np.roll(film, (down, right), axis=(0, 1))
    return found


def signed_frequencies(n):
    return [place if place < (n + 1) // 2 else place - n for place in range(n)]


def naive_whitened(film):
    padded = around(np.log(1 + 255 * film), 5)
    n, cycles = len(padded), signed_frequencies(len(padded))
    low = np.array([[math.exp(-(f**2 + g**2) / (4 / math.sqrt(math.log(2))) ** 2) for g in cycles] for f in cycles])
    blur = kernel_of(low)
    details = padded - convolved(padded, blur).real
    contrast = np.sqrt(np.abs(convolved(details**2, blur).real))
    return (details / (0.2 + contrast))[5 : n - 5, 5 : n - 5]


def naive_transfer(n, scale, orientation, n_orientations):
    """Of Torralba's createGabor, value by value."""
    found = np.zeros((n, n))
    for row, f in enumerate(signed_frequencies(n)):
        for column, g in enumerate(signed_frequencies(n)):
            turn = math.atan2(f, g) + math.pi / n_orientations * orientation
            turn += 2 * math.pi * (turn < -math.pi) - 2 * math.pi * (turn > math.pi)
            length = math.hypot(f, g) / n / (0.3 / 1.85**scale)
            narrow = 16 * n_orientations**2 / 32**2
            found[row, column] = math.exp(-10 * 0.35 * (length - 1) ** 2 - 2 * narrow * math.pi * turn**2)
    return found


def test_whitening_is_the_convolution_in_space():
    film = film_of()
    found = whitened(torch.from_numpy(film)[None])[0].numpy()
    np.testing.assert_allclose(found, naive_whitened(film), atol=1e-9)


@pytest.mark.parametrize("number", [0, 5])
def test_gist_is_the_mean_energy_of_convolutions_in_space(number):
    film, n_orientations = film_of(1), 2
    stretched = (film - film.min()) / (film.max() - film.min())
    padded = around(naive_whitened(stretched), 32)
    scale, orientation = divmod(number, n_orientations)
    energy = np.abs(convolved(padded, kernel_of(naive_transfer(96, scale, orientation, n_orientations))))[32:64, 32:64]
    expected = [energy[8 * row : 8 * row + 8, 8 * col : 8 * col + 8].mean() for row in range(4) for col in range(4)]
    found = gist(torch.from_numpy(film)[None], n_orientations)[0].numpy()
    assert found.shape == (128,)
    np.testing.assert_allclose(found[16 * number : 16 * number + 16], expected, rtol=1e-5)


def test_every_transfer_function_is_that_of_the_authors():
    found = gabor_transfer(37, 3).numpy()
    for number, transfer in enumerate(found):
        np.testing.assert_allclose(transfer, naive_transfer(37, *divmod(number, 3), 3), atol=2e-7)


def test_gist_tells_directions_and_takes_no_notice_of_brightness():
    waves = 0.5 + 0.4 * np.sin(2 * np.pi * np.arange(64) / 8)
    standing = torch.from_numpy(np.tile(waves, (64, 1)))
    codes = gist(torch.stack([standing, standing.T, 0.5 * standing + 0.2]), 8)
    by_filter = codes.view(3, 4, 8, 16).sum(dim=(1, 3))
    assert by_filter[0].argmax() == 0
    assert by_filter[1].argmax() == 4
    torch.testing.assert_close(codes[2], codes[0], rtol=1e-6, atol=1e-9)


def test_lengths_of_gist_and_what_is_refused():
    assert create("gist", n_labels=1).features(torch.rand(1, 1, 32, 32)).shape == (1, 1024)
    assert create("gist", n_labels=1, n_values=512).features(torch.rand(1, 1, 40, 40)).shape == (1, 512)
    with pytest.raises(InvalidParameterError, match=r"n_values=500 .*a multiple of 64"):
        create("gist", n_labels=1, n_values=500)
    with pytest.raises(InvalidParameterError, match=r"patch=33 .*1 to 32"):
        create("gabor_schmid", n_labels=1, patch=33)
    assert torch.isfinite(create("gist", n_labels=1).features(torch.zeros(1, 1, 32, 32))).all()


def test_the_film_is_mirrored_pixel_by_pixel():
    film = film_of(2)
    np.testing.assert_array_equal(mirrored(torch.from_numpy(film)[None], 24)[0].numpy(), around(film, 24))


def test_the_bank_has_the_formulas_of_its_papers():
    bank = filter_bank().double().numpy()
    assert bank.shape == (N_FILTERS, 49, 49) == (37, 49, 49)
    np.testing.assert_allclose(bank.sum(axis=(1, 2)), 0, atol=1e-6)
    np.testing.assert_allclose(np.abs(bank).sum(axis=(1, 2)), 1, rtol=1e-5)
    for number, (sigma, tau) in enumerate(SCHMID):
        plain = np.zeros((49, 49))
        for row, column in np.ndindex(49, 49):
            r = math.hypot(row - 24, column - 24)
            plain[row, column] = math.cos(math.pi * tau * r / sigma) * math.exp(-(r**2) / (2 * sigma**2))
        plain -= plain.mean()
        np.testing.assert_allclose(bank[24 + number], plain / np.abs(plain).sum(), atol=1e-8)
    gabor = np.zeros((49, 49))
    for row, column in np.ndindex(49, 49):  # wavelength 8, the third of eight directions
        y, x = row - 24, column - 24
        along = x * math.cos(math.pi / 4) + y * math.sin(math.pi / 4)
        gabor[row, column] = math.cos(2 * math.pi * along / 8) * math.exp(-(x * x + y * y) / (2 * 4**2))
    gabor -= gabor.mean()
    np.testing.assert_allclose(bank[8 + 2], gabor / np.abs(gabor).sum(), atol=1e-8)


def test_patches_hold_the_mean_modulus_of_convolutions_in_space():
    film = film_of(3, side=35)  # three columns are left over
    padded, bank = around(film, 24), filter_bank().double().numpy()
    found = patch_textures(torch.from_numpy(film)[None], 8)[0].numpy()
    assert found.shape == (37, 4, 4)
    for number in (0, 11, 36):
        kernel = bank[number][::-1, ::-1]
        response = np.array(
            [[(padded[row : row + 49, col : col + 49] * kernel).sum() for col in range(32)] for row in range(32)]
        )
        expected = np.abs(response).reshape(4, 8, 4, 8).mean(axis=(1, 3))
        np.testing.assert_allclose(found[number], expected, atol=1e-9)


def test_a_code_counts_the_words_of_the_patches():
    torch.manual_seed(0)
    module = create("gabor_schmid", n_labels=2, n_words=6).eval()
    films = torch.from_numpy(np.stack([film_of(seed, 48) for seed in range(12)])[:, None]).float()
    before = module.words.words.clone()
    module.calibrate([films[:8], films[8:]])
    assert not torch.equal(module.words.words, before)
    codes = module.features(films)
    assert (codes.sum(dim=1) == 36).all()
    vectors = torch.nn.functional.normalize(patch_textures(films[:, 0], 8).flatten(2).transpose(1, 2), dim=2)
    described = torch.nn.functional.normalize((vectors - module.words.mean) @ module.words.whitening, dim=2)
    for film, code in zip(described, codes, strict=True):
        words = nearest_rows(film, module.words.words)[0].tolist()
        assert code.tolist() == [words.count(word) for word in range(6)]


def test_a_descriptor_needs_no_training():
    images = np.stack([film_of(seed, 40) for seed in range(3)]).astype(np.float32)
    codes = [Encoder.untrained("gist", ["Mass"], 40, seed, device="cpu").encode(images) for seed in (0, 1)]
    np.testing.assert_array_equal(codes[0], codes[1])
