"""Whitening of aggregations against a literal reference: what is whitened, from which films, and that it is kept."""

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from graphret._errors import InvalidParameterError, UnknownNameError
from graphret._fidelity import FORMULA
from graphret.encoders import Encoder, create, encoder_spec
from graphret.encoders.encoder_config import EncoderConfig
from graphret.encoders.pooling.regions import rmac_regions
from graphret.encoders.pooling.whitening import Whitening, whitening_axes

WHITENED = ("cam", "crow", "gem", "regional_attention", "rmac", "spoc")
PAPERS = ("crow", "rmac", "spoc")


def unit(vector: np.ndarray) -> np.ndarray:
    norm = np.sqrt((vector**2).sum())
    return vector / norm if norm > 0 else vector


def literal_whitening(descriptors: list[np.ndarray], n_values: int = 0):
    """Mean, covariance by loops, eigenvectors one by one, as the papers print them."""
    rows = [unit(vector) for vector in descriptors if vector.any()]
    c, n = len(rows[0]), len(rows)
    mean = sum(rows) / n
    covariance = np.zeros((c, c))
    for row in rows:
        for i in range(c):
            covariance[i] += (row[i] - mean[i]) * (row - mean) / n
    values, vectors = np.linalg.eig(covariance)
    order = np.argsort(-values.real)[: n_values or c]
    axes = []
    for place in order:
        if values.real[place] <= 1e-6 * values.real.max():
            axes.append(np.zeros(c))
            continue
        vector = vectors.real[:, place]
        vector = vector if vector[np.abs(vector).argmax()] > 0 else -vector
        axes.append(vector / np.sqrt(values.real[place]))

    def whitened(vector: np.ndarray) -> np.ndarray:
        if not vector.any():
            return np.zeros(len(axes))
        return unit(np.array([(axis * (unit(vector) - mean)).sum() for axis in axes]))

    return whitened


def literal_descriptors(name: str, network, maps: np.ndarray) -> list[np.ndarray]:
    """What each paper whitens of one film (c, h, w): its code, its regions, or its classes."""
    if name == "rmac":
        found = []
        for top, left, side in rmac_regions(*maps.shape[1:]):
            found.append(maps[:, top : top + side, left : left + side].max(axis=(1, 2)))
        return found
    if name == "cam":
        active = (maps > 0).mean(axis=(1, 2))
        channel = np.array([np.log(active.sum() / share) if share else 0.0 for share in active])
        found = []
        for row in network.classifier.weight.detach().numpy():
            activation = np.maximum(np.einsum("c,chw->hw", row, maps), 0)
            largest = activation.max()
            found.append((activation / largest * maps).sum(axis=(1, 2)) * channel if largest else np.zeros(len(maps)))
        return found
    return [network.pooling(torch.from_numpy(maps)[None])[0].detach().numpy()]


@pytest.mark.parametrize("n_values", [0, 5])
@pytest.mark.parametrize("name", WHITENED)
def test_codes_are_the_sum_of_whitened_descriptors(name, n_values):
    torch.manual_seed(0)
    network = create(name, n_labels=3, backbone="small_cnn", whitening="training", n_values=n_values).double().eval()
    images = torch.rand(40, 1, 96, 96, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    network.calibrate([images[:16], images[16:]])
    with torch.no_grad():
        maps = network.maps(images).numpy()
        codes = network.features(images).numpy()
        logits = network.outputs(images)
    films = [literal_descriptors(name, network, of_film) for of_film in maps]
    whitened = literal_whitening([vector for film in films for vector in film], n_values)
    assert codes.shape == (40, n_values or 64)
    for film, code in zip(films[:6], codes[:6], strict=True):
        np.testing.assert_allclose(code, unit(sum(whitened(vector) for vector in film)), atol=1e-6)
    np.testing.assert_array_equal(logits.codes.numpy(), codes)


def test_whitened_descriptors_have_no_correlation():
    rows = torch.rand(500, 7, generator=torch.Generator().manual_seed(0)).double()
    rows[:, 3] = 0.0  # a dead channel
    module = Whitening(7)
    assert module.fit([rows]) == 6
    turned = (normalize(rows, dim=1) - module.mean) @ module.axes.double()
    np.testing.assert_allclose(np.cov(turned[:, :6].T.numpy(), bias=True), np.eye(6), atol=1e-4)
    assert turned[:, 6].eq(0).all()
    torch.testing.assert_close(module(rows).norm(dim=1), torch.ones(500).double())


def test_descriptors_of_zeros_stay_and_count_in_nothing():
    rows = torch.rand(60, 5, generator=torch.Generator().manual_seed(0))
    padded = torch.cat([rows, torch.zeros(40, 5)])
    one, other = Whitening(5), Whitening(5)
    one.fit([rows])
    other.fit([padded])
    assert torch.equal(one.mean, other.mean)
    assert torch.equal(one.axes, other.axes)
    assert other(padded)[60:].eq(0).all()
    with pytest.raises(InvalidParameterError, match="1 descriptors"):
        Whitening(5).fit([rows[:1], torch.zeros(3, 5)])


def test_the_same_batches_give_the_same_numbers_and_others_nearly_so():
    rows = torch.rand(300, 6, generator=torch.Generator().manual_seed(0))
    modules = [Whitening(6) for _ in range(3)]
    for module, cut in zip(modules, (100, 100, 77), strict=True):
        module.fit([rows[:cut], rows[cut:]])
    assert torch.equal(modules[0].axes, modules[1].axes)
    torch.testing.assert_close(modules[0].axes, modules[2].axes, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(modules[0](rows.view(3, 100, 6)).view(300, 6), modules[0](rows))


def test_axes_have_one_sign_and_go_from_the_largest_variance():
    factor = torch.randn(6, 6, generator=torch.Generator().manual_seed(0)).double()
    axes = whitening_axes(factor @ factor.T)
    assert (axes.norm(dim=0).diff() > 0).all()  # 1 over the root of the variance
    assert (axes.gather(0, axes.abs().argmax(dim=0, keepdim=True)) > 0).all()


def test_nothing_is_turned_before_films_were_seen():
    torch.manual_seed(0)
    plain = create("spoc", n_labels=2, backbone="small_cnn").eval()
    torch.manual_seed(0)
    other = create("spoc", n_labels=2, backbone="small_cnn", whitening="archive").eval()
    images = torch.rand(2, 1, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(other.features(images), plain.features(images))


def test_a_whitening_is_stored_with_the_encoder(tmp_path):
    encoder = Encoder.untrained(
        "rmac", ["a", "b"], 64, device="cpu", backbone="small_cnn", whitening="training", n_values=20
    )
    images = np.random.default_rng(0).random((30, 64, 64), dtype=np.float32)
    before = encoder.encode(images)
    network = encoder.config.create()
    network.load_state_dict(encoder.tensors())
    network.eval().calibrate([torch.from_numpy(images)[:, None]])
    fitted = Encoder(network, encoder.config, device="cpu")
    codes = fitted.encode(images)
    assert codes.shape == (30, 20)
    assert not np.allclose(codes, before)
    fitted.save(tmp_path)
    again = Encoder.load(tmp_path, device="cpu")
    np.testing.assert_array_equal(again.encode(images), codes)
    assert again.fingerprint == fitted.fingerprint != encoder.fingerprint


def test_weights_without_a_whitening_fit_a_network_with_one(tmp_path):
    Encoder.untrained("crow", ["a"], 64, device="cpu", backbone="small_cnn").save(tmp_path)
    network = create("crow", n_labels=1, weights=tmp_path, backbone="small_cnn", whitening="training")
    assert network.whitening.mean.eq(0).all()
    Encoder(network, EncoderConfig("crow", 64, ("a",), None, {"backbone": "small_cnn", "whitening": "training"}))


def test_mistakes_are_refused():
    with pytest.raises(UnknownNameError, match="training"):
        create("spoc", n_labels=1, whitening="zca")
    with pytest.raises(InvalidParameterError, match=r"n_values=8.*with whitening"):
        create("spoc", n_labels=1, n_values=8)
    with pytest.raises(InvalidParameterError, match="at most 64"):
        create("spoc", n_labels=1, backbone="small_cnn", whitening="training", n_values=65)


@pytest.mark.parametrize("name", WHITENED)
def test_only_the_formula_of_the_paper_loses_its_mark(name):
    spec = encoder_spec(name)
    assert spec.fidelity_with({}) == spec.fidelity_with({"whitening": "none"}) == spec.fidelity == "changed formula"
    for films in ("training", "archive"):
        assert (spec.fidelity_with({"whitening": films}) == FORMULA) == (name in PAPERS)
    assert "whitening" not in encoder_spec("blcf").options  # it whitens before it makes words
