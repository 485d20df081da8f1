"""What each shallow method promises of its own, against literal versions and against Faiss."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphret.hashing import ITQ, KSH, LSH, MLH, SSH, SpectralHashing, unpack_bits
from graphret.hashing.itq import random_rotation, rotate_to_corners
from graphret.hashing.labels import PairLabels
from graphret.hashing.mlh import loss_augmented_bits
from graphret.hashing.pca import covariance, leading_direction, leading_directions
from graphret.hashing.spectral_hashing import smoothest_modes


@pytest.fixture(scope="module")
def classes():
    return np.random.default_rng(0).integers(0, 4, 300)


@pytest.fixture(scope="module")
def codes(classes):
    rng = np.random.default_rng(1)
    return (2 * rng.normal(size=(4, 20))[classes] + rng.normal(size=(300, 20)) + 5).astype(np.float32)


def test_lsh_distances_estimate_angles():
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(30, 12)).astype(np.float32)
    signs = unpack_bits(LSH(20_000, center=False).fit(codes).transform(codes), 20_000)
    differ = (20_000 - signs @ signs.T) / 2 / 20_000
    unit = codes / np.linalg.norm(codes, axis=1, keepdims=True)
    np.testing.assert_allclose(differ, np.arccos(np.clip(unit @ unit.T, -1, 1)) / np.pi, atol=0.02)


def test_lsh_through_the_mean_splits_codes_that_are_never_negative():
    codes = np.random.default_rng(0).uniform(3, 4, size=(400, 10)).astype(np.float32)
    share = [(LSH(64, center=center).fit(codes).project(codes) >= 0).mean(axis=0) for center in (True, False)]
    assert (abs(share[0] - 0.5) < 0.2).all()
    assert (abs(share[1] - 0.5) > 0.4).mean() > 0.5


@settings(max_examples=50, deadline=None)
@given(st.lists(st.just(0.0) | st.floats(0.1, 5), min_size=1, max_size=5).filter(any), st.integers(1, 30))
def test_the_smoothest_modes_are_those_of_a_literal_sort(ranges, n_bits):
    everything = sorted(
        (mode / width, direction, mode) for direction, width in enumerate(ranges) if width > 0 for mode in range(1, 31)
    )
    directions, modes = smoothest_modes(np.array(ranges), n_bits)
    assert [*zip(directions, modes, strict=True)] == [(entry[1], entry[2]) for entry in everything[:n_bits]]


def test_spectral_hashing_is_the_literal_eigenfunctions(codes):
    hasher = SpectralHashing(16).fit(codes)
    exact = codes.astype(np.float64)
    centred = exact - exact.mean(axis=0)
    basis = np.linalg.eigh(centred.T @ centred)[1][:, ::-1]
    for bit, (direction, mode) in enumerate(zip(hasher.directions, hasher.modes, strict=True)):
        values = centred @ basis[:, direction]
        low, high = values.min(), values.max()
        eigenfunction = np.sin(np.pi / 2 + mode * np.pi / (high - low) * (values - low))
        # the other sign of the direction measures from the other end: cos(k pi - t) = (-1)^k cos(t)
        turned = 1 if abs(eigenfunction - hasher.project(codes)[:, bit]).max() < 0.01 else (-1) ** mode
        np.testing.assert_allclose(hasher.project(codes)[:, bit], turned * eigenfunction, atol=2e-4)
    ranges = np.ptp(centred @ basis, axis=0)
    eigenvalues = hasher.modes / ranges[hasher.directions]
    assert (np.diff(eigenvalues) >= -1e-6).all(), "smooth first"


def test_spectral_hashing_gives_constant_directions_no_bit():
    codes = np.zeros((100, 5), np.float32)
    codes[:, 2] = np.linspace(0, 1, 100)
    hasher = SpectralHashing(6).fit(codes)
    assert set(hasher.directions) == {0}
    assert hasher.modes.tolist() == [1, 2, 3, 4, 5, 6]


def test_itq_never_loses_and_stays_a_rotation(codes):
    hasher = ITQ(8).fit(codes)
    np.testing.assert_allclose(hasher.rotation @ hasher.rotation.T, np.eye(8), atol=1e-6)
    assert len(hasher.losses) > 3
    assert (np.diff(hasher.losses) <= 1e-6 * hasher.losses[0]).all()
    start = ITQ(8, n_iterations=0).fit(codes)
    losses = [
        np.square(np.where(made.project(codes) >= 0, 1, -1) - made.project(codes)).sum() for made in (hasher, start)
    ]
    assert losses[0] < losses[1]
    assert losses[0] / len(codes) <= hasher.losses[-1] + 1e-6


def planted_corners(n, size, generator):
    """Corners of a cube with a little noise, and turned."""
    corners = np.where(generator.random((n, size)) < 0.5, -1.0, 1.0) + 0.2 * generator.normal(size=(n, size))
    return (corners @ random_rotation(size, generator)).astype(np.float32)


def loss_of(rotated):
    return np.square(np.where(rotated >= 0, 1, -1) - rotated).sum() / len(rotated)


def test_itq_turns_a_cube_back():
    rng = np.random.default_rng(3)
    values = planted_corners(1000, 6, rng)
    rotation, losses = rotate_to_corners(values, random_rotation(6, rng), 100)
    assert loss_of(values @ rotation) < 1.5 * 6 * 0.2**2
    np.testing.assert_allclose(loss_of(values @ rotation), losses[-1], rtol=1e-4)


@pytest.mark.parametrize("n_iterations", [0, 1, 5, 50])
def test_itq_loses_no_more_than_that_of_faiss_from_the_same_start(n_iterations):
    faiss = pytest.importorskip("faiss")
    rng = np.random.default_rng(4)
    values, start = planted_corners(1000, 8, rng), random_rotation(8, rng)
    theirs = faiss.ITQMatrix(8)
    theirs.max_iter = n_iterations
    faiss.copy_array_to_vector(start.ravel(), theirs.init_rotation)
    theirs.train(values)
    rotation, _ = rotate_to_corners(values, start, n_iterations)
    if n_iterations == 0:  # one start, in one orientation
        np.testing.assert_allclose(theirs.apply(values), values @ start, atol=1e-5)
    assert loss_of(values @ rotation) <= loss_of(theirs.apply(values)) * (1 + 1e-6)


def test_ssh_directions_are_orthonormal_and_the_leading_ones(codes, classes):
    for method in ("orthogonal", "sequential"):
        weights = SSH(6, method=method).fit(codes, classes).weights
        np.testing.assert_allclose(weights.T @ weights, np.eye(6), atol=1e-5)
    centred = codes.astype(np.float64) - codes.mean(axis=0, dtype=np.float64)
    signs = np.where(classes[:, None] == classes, 1.0, -1.0)
    pairs = np.where(signs > 0, 0.5 / (signs > 0).sum(), -0.5 / (signs < 0).sum())
    adjusted = centred.T @ pairs @ centred + 0.05 * centred.T @ centred / len(codes)
    expected = np.linalg.eigh(adjusted)[1][:, ::-1][:, :6]
    weights = SSH(6, method="orthogonal", eta=0.05).fit(codes, classes).weights
    np.testing.assert_allclose(abs(np.sum(weights * expected, axis=0)), 1, atol=1e-4)
    first = [SSH(1, method=method).fit(codes, classes).weights[:, 0] for method in ("orthogonal", "sequential")]
    np.testing.assert_allclose(*first, atol=1e-6)


def test_ssh_without_pairs_that_matter_is_pca(codes, classes):
    weights = SSH(3, method="orthogonal", eta=1e9).fit(codes, classes).weights
    directions = leading_directions(covariance(codes)[1], 3)[1]
    np.testing.assert_allclose(abs(np.sum(weights * directions, axis=0)), 1, atol=1e-4)


def test_ksh_inner_products_approach_the_similarities(codes, classes):
    hasher = KSH(16, n_anchors=50).fit(codes, classes)
    signs = np.where(classes[:, None] == classes, 1.0, -1.0)

    def loss(bits):
        return np.square(bits @ bits.T / bits.shape[1] - signs).mean()

    ours = loss(unpack_bits(hasher.transform(codes), 16))
    np.testing.assert_allclose(hasher.losses[-1], ours, rtol=1e-3)
    random = loss(np.where(np.random.default_rng(0).random((300, 16)) < 0.5, -1.0, 1.0))
    planes = loss(unpack_bits(LSH(16).fit(codes).transform(codes), 16))
    assert ours < 0.5 * min(random, planes)
    assert hasher.losses[0] == 1.0
    unsmoothed = KSH(16, n_anchors=50, n_iterations=0).fit(codes, classes)
    assert hasher.losses[-1] < unsmoothed.losses[-1]


def test_ksh_values_are_the_literal_kernel_sums(codes, classes):
    hasher = KSH(4, n_anchors=10).fit(codes, classes)
    arrays = hasher._arrays
    scale = float(arrays["scale"])
    anchors = arrays["anchors"].T.astype(np.float64) * scale + arrays["origin"]
    for code, value in zip(codes[:20].astype(np.float64), hasher.project(codes[:20]), strict=True):
        kernels = np.exp(-np.square(code - anchors).sum(axis=1) / (2 * scale))
        np.testing.assert_allclose(value, kernels @ arrays["coefficients"] + arrays["offsets"], atol=2e-4)
    # a code very far from every anchor has kernels of 0
    np.testing.assert_allclose(hasher.project(1000 * codes[:1])[0], arrays["offsets"], atol=1e-6)


def literal_bound(u, v, similar, rho, weight):
    """The largest loss-augmented score over all pairs of codes of b bits."""
    b = len(u)
    best = -np.inf
    for number in range(4**b):
        bits = (number >> np.arange(2 * b)) & 1
        g, h = bits[:b], bits[b:]
        away = np.sum(g != h)
        loss = max(away - rho + 1, 0) if similar else weight * max(rho - away + 1, 0)
        best = max(best, loss + g @ u + h @ v)
    return best - np.maximum(u, 0).sum() - np.maximum(v, 0).sum()


@pytest.mark.parametrize("similar", [1, -1])
@pytest.mark.parametrize(("rho", "weight"), [(1, 1.0), (2, 0.5), (4, 2.0)])
def test_mlh_finds_the_worst_bits_of_all(similar, rho, weight):
    rng = np.random.default_rng(2)
    u, v = rng.normal(size=(2, 12, 4))
    bits, bound = loss_augmented_bits(u, v, np.full(12, similar, np.int8), rho, weight)
    for row in range(12):
        np.testing.assert_allclose(bound[row], literal_bound(u[row], v[row], similar > 0, rho, weight), atol=1e-9)
        g, h = bits[:, row].astype(int)
        away = np.sum(g != h)
        loss = max(away - rho + 1, 0) if similar > 0 else weight * max(rho - away + 1, 0)
        reached = loss + g @ u[row] + h @ v[row] - np.maximum(u[row], 0).sum() - np.maximum(v[row], 0).sum()
        np.testing.assert_allclose(reached, bound[row], atol=1e-9)
        own = np.sum((u[row] >= 0) != (v[row] >= 0))
        assert bound[row] >= (max(own - rho + 1, 0) if similar > 0 else weight * max(rho - own + 1, 0)) - 1e-12


def test_mlh_loss_falls(codes, classes):
    hasher = MLH(16, n_iterations=400).fit(codes, classes)
    assert len(hasher.losses) == 20
    assert hasher.losses[-1] < 0.7 * hasher.losses[0]

    def loss(made):
        signs = unpack_bits(made.transform(codes), 16)
        away = (16 - signs @ signs.T) / 2
        similar = classes[:, None] == classes
        return np.where(similar, np.maximum(away - 3, 0), 0).sum() / similar.sum() + (
            np.where(similar, 0, np.maximum(5 - away, 0)).sum() / (~similar).sum()
        )

    assert loss(hasher) < 0.7 * loss(LSH(16).fit(codes))


def literal_similarity(one, other):
    if any(a == b == 1 for a, b in zip(one, other, strict=True)):
        return 1
    return 0 if any(a != 0 and b != 0 for a, b in zip(one, other, strict=True)) else -1


@given(st.lists(st.lists(st.integers(-1, 1), min_size=3, max_size=3), min_size=1, max_size=8))
def test_pairs_are_similar_dissimilar_or_unknown(labels):
    pairs = PairLabels(np.array(labels), len(labels))
    rows = np.arange(len(labels))
    expected = [[literal_similarity(one, other) for other in labels] for one in labels]
    np.testing.assert_array_equal(pairs.signs(rows, rows), expected)
    first, second = np.repeat(rows, len(rows)), np.tile(rows, len(rows))
    np.testing.assert_array_equal(pairs.sign_of_pairs(first, second), np.ravel(expected))


def test_classes_are_labels_and_unknown_ones_are_not_learnt_from(codes, classes):
    rows = np.arange(300)
    one_hot = np.eye(4, dtype=np.int8)[classes]
    np.testing.assert_array_equal(
        PairLabels(classes, 300).signs(rows, rows), PairLabels(one_hot, 300).signs(rows, rows)
    )
    unknown = np.where(rows < 100, -1, classes)
    pairs = PairLabels(unknown, 300)
    assert (pairs.signs(rows[:100], rows) == 0).all()
    assert pairs.known_rows().tolist() == list(range(100, 300))
    for method in (SSH(4), KSH(4, n_anchors=20, n_iterations=3), MLH(4, n_iterations=20)):
        from_classes, from_labels = (type(method)(4, **method.options).fit(codes, y) for y in (classes, one_hot))
        np.testing.assert_array_equal(from_classes.transform(codes), from_labels.transform(codes))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros(299, int), r"int64 \(299,\)"),
        (np.zeros((300, 2)), "similar and dissimilar pairs"),
        (np.full((300, 2), 2), "labels=2"),
        (np.full(300, -2), "classes >= 0"),
        (np.zeros(300, int), "similar and dissimilar pairs"),
        (np.full(300, -1), "0 labelled films"),
    ],
)
@pytest.mark.parametrize("method", [SSH, KSH, MLH])
def test_labels_that_do_not_fit_are_refused(codes, method, labels, message):
    with pytest.raises(ValueError, match=message):
        method(4).fit(codes, labels)


def test_lanczos_finds_the_leading_direction_of_a_matrix_that_is_not_definite():
    rng = np.random.default_rng(6)
    matrix = rng.normal(size=(200, 200))
    matrix = matrix + matrix.T
    np.testing.assert_allclose(leading_direction(matrix), leading_directions(matrix, 1)[1][:, 0], atol=1e-8)
    np.testing.assert_array_equal(leading_direction(matrix), leading_direction(matrix))
    assert np.linalg.norm(leading_direction(np.zeros((200, 200)))) == pytest.approx(1)
