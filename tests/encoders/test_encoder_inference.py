"""The form of a network that encodes on a processor, against the network that was trained."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from graphret._errors import InvalidParameterError
from graphret.encoders import Encoder, create
from graphret.encoders.encoder_config import EncoderConfig
from graphret.encoders.inference import forward
from graphret.encoders.inference.folding import clamp_of, fold_batch_norms, scale_and_shift
from graphret.encoders.inference.workers import parts_of, single_threaded_workers

NETWORKS = [("densenet121", {}), ("densenet121", {"pixels": "xrayvision"}), ("resnet18", {})]


def with_lively_norms(module: nn.Module) -> nn.Module:
    """Statistics and weights as a training may leave them: negative scales, and channels that are switched off."""
    random = torch.Generator().manual_seed(1)
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean.normal_(0, 0.2, generator=random)
            norm.running_var.uniform_(0.5, 1.5, generator=random)
            norm.weight.data.uniform_(0.3, 1.2, generator=random)
            norm.bias.data.normal_(0, 0.3, generator=random)
            norm.weight.data[::7] *= -1
            norm.weight.data[3::11] = 0
    return module


def network(name: str, **options) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        return with_lively_norms(create(name, n_labels=3, **options)).eval()


def images_of(size: int, n: int = 5) -> np.ndarray:
    return np.random.default_rng(0).random((n, size, size), dtype=np.float32)


@pytest.fixture(scope="module", params=NETWORKS, ids=str)
def pair(request):
    """A network and an encoder that has a network of the same weights."""
    name, options = request.param
    config = EncoderConfig(name, 64, ("Edema", "Mass", "Nodule"), options=options)
    return network(name, **options), Encoder(network(name, **options), config, device="cpu")


@pytest.fixture
def two_threads(torch_threads):
    with torch_threads(2):
        yield


def assert_same_function(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found, expected, atol=2e-5 * np.abs(expected).max(), rtol=0)
    found, expected = found.astype(np.float64), expected.astype(np.float64)
    cosines = (found * expected).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(expected, axis=1)
    assert cosines.min() >= 0.999999


@pytest.mark.parametrize("size", [32, 33, 50, 64, 97])
@pytest.mark.parametrize("n", [1, 5])
def test_codes_and_probabilities_are_those_of_the_network(pair, size, n, torch_threads):
    plain, encoder = pair
    images = images_of(size, n)
    with torch.inference_mode():
        outputs = plain.outputs(torch.from_numpy(images)[:, None])
    with torch_threads(min(n, 2)):
        assert_same_function(encoder.resized(size).encode(images), outputs.codes.numpy())
        assert_same_function(encoder.resized(size).predict(images), torch.sigmoid(outputs.logits).numpy())


def test_a_processor_uses_the_faster_form_and_bfloat16_the_network(pair, monkeypatch):
    _, encoder = pair
    seen = []
    kinds = {"fast": encoder._network.folded, "plain": encoder._network.module}
    for kind, form in kinds.items():
        real = form.features
        record = lambda images, real=real, kind=kind: seen.append(kind) or real(images)  # noqa: E731
        monkeypatch.setattr(form, "features", record)
    encoder.encode(images_of(64, 1))
    encoder.encode(images_of(64, 1), precision="bfloat16")
    assert seen == ["fast", "plain"]


def test_weights_files_and_training_stay_as_they_were(pair, tmp_path):
    _, encoder = pair
    fresh = Encoder(network(encoder.name, **encoder.config.options), encoder.config, device="cpu")
    before = {key: value.clone() for key, value in fresh.tensors().items()}
    fresh.encode(images_of(64))
    fresh.save(tmp_path)
    assert Encoder.load(tmp_path, device="cpu").fingerprint == encoder.fingerprint
    after = fresh.tensors()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)

    module = fresh._network.module.requires_grad_(True).train()
    loss = module(torch.from_numpy(images_of(64))[:, None]).square().sum()
    loss.backward()
    assert all(parameter.grad is not None for parameter in module.parameters())


def test_the_form_has_its_own_copy_of_the_weights(pair):
    _, encoder = pair
    module = network(encoder.name, **encoder.config.options)
    form = module.for_inference()
    grey = torch.from_numpy(images_of(32, 2))[:, None]
    with torch.inference_mode():
        before = form.forward(grey)
        for parameter in module.parameters():
            parameter.zero_()
        assert torch.equal(form.forward(grey), before)
    assert module.training is False


def test_runs_are_identical_and_parts_change_rounding_only(pair, two_threads, monkeypatch):
    _, encoder = pair
    images = images_of(64, 9)
    codes = encoder.encode(images)
    np.testing.assert_array_equal(encoder.encode(images), codes)
    for pixels in (64 * 64, 3 * 64 * 64, 100 * 64 * 64):
        monkeypatch.setattr(forward, "PIXELS_AT_ONCE", pixels)
        np.testing.assert_allclose(encoder.encode(images), codes, atol=1e-5 * codes.max(), rtol=0)


@pytest.mark.parametrize("n_threads", [1, 2, 3])
@pytest.mark.parametrize("n", [1, 2, 7])
def test_every_film_is_encoded_once_whatever_the_threads(n_threads, n, monkeypatch):
    encoder = Encoder.untrained("resnet18", ["Mass"], 32, device="cpu")
    images = images_of(32, n)
    expected = np.concatenate([encoder.encode(image[None]) for image in images])
    monkeypatch.setattr(forward, "PIXELS_AT_ONCE", 2 * 32 * 32)
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        sizes, names = [], set()
        real = encoder._network.folded.features

        def features(grey):
            sizes.append(len(grey))
            names.add(threading.current_thread().name)
            return real(grey)

        monkeypatch.setattr(encoder._network.folded, "features", features)
        codes = encoder.encode(images)
        assert torch.get_num_threads() == n_threads
    finally:
        torch.set_num_threads(before)
    np.testing.assert_allclose(codes, expected, atol=1e-5 * expected.max(), rtol=0)
    assert sum(sizes) == n
    assert max(sizes) <= 2
    assert len(names) <= n_threads


@pytest.mark.parametrize("n_threads", [1, 2, 3])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_batches_in_a_row_have_the_codes_of_each_alone(n_threads, precision, monkeypatch):
    encoder = Encoder.untrained("resnet18", ["Mass"], 32, device="cpu")
    monkeypatch.setattr(forward, "PIXELS_AT_ONCE", 2 * 32 * 32)
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        batches = [images_of(32, n) for n in (5, 4, 7, 2)]
        expected = [encoder.encode(images, precision=precision, batch_size=4) for images in batches]
        with encoder.encoding(precision=precision, batch_size=4) as begin:
            begun = [begin(images) for images in batches]
            for work, codes in zip(begun, expected, strict=True):
                np.testing.assert_array_equal(work.result(), codes)
        assert torch.get_num_threads() == n_threads
        assert not torch.is_inference_mode_enabled()
    finally:
        torch.set_num_threads(before)


def test_a_thread_that_is_ready_goes_on_with_the_next_batch(monkeypatch):
    """One film holds a thread until all others, of both batches, are encoded: passes only without a wait between."""
    encoder = Encoder.untrained("resnet18", ["Mass"], 32, device="cpu")
    monkeypatch.setattr(forward, "PIXELS_AT_ONCE", 32 * 32)
    real = encoder._network.folded.features
    others = threading.Semaphore(0)
    held = []

    def features(grey):
        if not held:
            held.append(1)
            for _ in range(7):
                assert others.acquire(timeout=20)
        else:
            others.release()
        return real(grey)

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        monkeypatch.setattr(encoder._network.folded, "features", features)
        with encoder.encoding() as begin:
            first, second = begin(images_of(32, 4)), begin(images_of(32, 4))
            assert first.result().shape == second.result().shape == (4, 512)
    finally:
        torch.set_num_threads(before)


def test_an_error_of_a_batch_comes_with_its_result(monkeypatch):
    encoder = Encoder.untrained("resnet18", ["Mass"], 32, device="cpu")

    def fail(_):
        raise RuntimeError("out of memory")

    with encoder.encoding() as begin:
        good = begin(images_of(32, 4))
        assert good.result().shape == (4, 512)
        with pytest.raises(InvalidParameterError, match=r"float32 \(b, 32, 32\)"):
            begin(images_of(33, 2))
        monkeypatch.setattr(encoder._network.folded, "features", fail)
        bad = begin(images_of(32, 4))
        with pytest.raises(RuntimeError, match="out of memory"):
            bad.result()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 300), st.integers(1, 40), st.integers(1, 9))
def test_parts_cover_every_row_once_and_are_alike(n, at_once, n_workers):
    parts = parts_of(n, at_once, n_workers)
    assert [row for part in parts for row in range(part.start, part.stop)] == list(range(n))
    sizes = [part.stop - part.start for part in parts]
    if n:
        assert max(sizes) <= at_once
        assert max(sizes) - min(sizes) <= 1
        assert len(parts) == n or len(parts) % min(n_workers, n) == 0


def test_callers_may_encode_at_the_same_time(two_threads):
    encoder = Encoder.untrained("resnet18", ["Mass"], 32, device="cpu")
    images = images_of(32, 6)
    expected = encoder.encode(images)
    before = torch.get_num_threads()
    with ThreadPoolExecutor(4) as pool:
        for codes in pool.map(lambda _: encoder.encode(images), range(12)):
            np.testing.assert_allclose(codes, expected, atol=1e-5 * expected.max(), rtol=0)
    assert torch.get_num_threads() == before


def test_an_error_in_a_worker_reaches_the_caller(two_threads, monkeypatch):
    encoder = Encoder.untrained("resnet18", ["Mass"], 32, device="cpu")

    def fail(_):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(encoder._network.folded, "features", fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        encoder.encode(images_of(32, 4))


def test_workers_have_one_thread_each_and_the_caller_keeps_its_own():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with single_threaded_workers(2) as pool:
            together = threading.Barrier(2, timeout=20)

            def look(_):
                together.wait()
                return torch.get_num_threads(), torch.is_inference_mode_enabled()

            assert list(pool.map(look, range(2))) == [(1, True)] * 2
            assert torch.get_num_threads() == 2
        with ThreadPoolExecutor(1) as other:
            assert other.submit(torch.get_num_threads).result() == 2
    finally:
        torch.set_num_threads(before)


def test_a_clamp_is_the_norm_and_the_relu_whatever_the_scale():
    norm = nn.BatchNorm2d(8).eval()
    norm.weight.data = torch.tensor([1.5, -0.7, 0.0, 0.0, 1e-45, -1e-45, 1e-30, 2.0])
    norm.bias.data = torch.tensor([0.3, 0.3, 0.4, -0.4, -5.0, 5.0, 5.0, 0.0])
    norm.running_mean.copy_(torch.linspace(-1, 1, 8))
    values = torch.linspace(-3, 3, 50)[:, None].repeat(1, 8)
    clamp = clamp_of(norm)
    scale, shift = scale_and_shift(norm)
    found = clamp.scale * torch.clamp(values, clamp.low, clamp.high) + clamp.shift
    torch.testing.assert_close(found, torch.relu(scale * values + shift), rtol=0, atol=1e-6)


def test_folding_leaves_other_pairs_alone():
    module = nn.Sequential(nn.Conv2d(2, 3, 1), nn.ReLU(), nn.BatchNorm2d(3), nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2))
    with_lively_norms(module).eval()
    values = torch.rand(2, 2, 4, 4)
    with torch.inference_mode():
        expected = module(values)
        fold_batch_norms(module)
        torch.testing.assert_close(module(values), expected)
    assert [type(child) for child in module] == [nn.Conv2d, nn.ReLU, nn.BatchNorm2d, nn.Conv2d, nn.Identity]


def test_black_maps_of_several_sizes(pair):
    plain, _ = pair
    form = plain.for_inference()
    with torch.inference_mode():
        for size in (32, 48, 32):
            grey = torch.from_numpy(images_of(size, 2))[:, None]
            assert_same_function(form.features(grey).numpy(), plain.features(grey).numpy())
