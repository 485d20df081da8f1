"""Batches on a device: the codes of the network, whatever is under way; on a processor and, marked, on a GPU."""

import logging
from contextlib import contextmanager

import numpy as np
import pytest
import torch

from graphret.encoders import Encoder
from graphret.encoders.inference import device_batches
from graphret.encoders.inference.device_batches import GRAPH_AFTER, DeviceBatches, largest_batch
from graphret.encoders.inference.forward import KINDS_KEPT, Forward
from graphret.encoding import encode_each

SIZE = 32
DEVICES = [
    "cpu",
    pytest.param(
        "cuda", marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]
    ),
]


@pytest.fixture(scope="module")
def encoders():
    made = {}

    def encoder(name="resnet18", device="cpu"):
        if (name, device) not in made:
            made[name, device] = Encoder.untrained(name, ("a", "b"), SIZE, seed=3, device=device)
        return made[name, device]

    return encoder


def images_of(n, seed=0):
    return np.random.default_rng(seed).random((n, SIZE, SIZE), dtype=np.float32)


def batches_of(encoder, batch_size, precision="float32"):
    function = encoder._network.on_device.features
    return DeviceBatches(function, encoder._network.device, precision, (1, SIZE, SIZE), encoder.code_length, batch_size)


def assert_close(codes, expected):
    np.testing.assert_allclose(codes, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("device", DEVICES)
def test_batches_give_the_codes_of_the_network_in_any_order_of_asking(encoders, device):
    encoder, images = encoders(device=device), images_of(22)
    batches = batches_of(encoder, 4)
    expected = encoders().encode(images)
    begun = [batches.begin(images[start : start + 4]) for start in range(0, len(images), 4)]
    assert len(begun) > device_batches.N_SLOTS  # more than there is room for: the first are finished on the way
    for number in (5, 0, 3, 1, 4, 2):
        rows = slice(4 * number, 4 * number + 4)
        assert_close(begun[number].result(), expected[rows])
        assert begun[number].result() is begun[number].result()


@pytest.mark.parametrize("device", DEVICES)
def test_images_may_change_once_a_batch_was_begun(encoders, device):
    encoder, images = encoders(device=device), images_of(4)
    expected = encoders().encode(images)
    begun = batches_of(encoder, 4).begin(images)
    images[:] = 0
    assert_close(begun.result(), expected)


@pytest.mark.parametrize("device", DEVICES)
def test_many_full_batches_and_a_rest(encoders, device):
    """On CUDA the later ones are replayed from a graph."""
    encoder = encoders(device=device)
    batches = batches_of(encoder, 4)
    for seed in range(2 * GRAPH_AFTER):
        images = images_of(4 if seed != GRAPH_AFTER + 2 else 3, seed)
        assert_close(batches.begin(images).result(), encoders().encode(images))
    assert (batches._graph is not None) == (device == "cuda")


class FakeGraph:
    """What a CUDA graph does, on a processor: the same function again, from the same input to the same output."""

    latest = None

    def __init__(self):
        FakeGraph.latest, self.replays, self.work = self, 0, None

    def replay(self):
        self.replays += 1
        self.work()


def test_a_graph_takes_every_batch_and_gives_its_codes(encoders, monkeypatch):
    @contextmanager
    def capturing(graph, **_how):
        calls = []
        original = batches._function

        def record(taken):
            given = original(taken)
            calls.append((taken, given))
            return given

        batches._function = record
        yield
        batches._function = original
        (taken, given) = calls[0]
        graph.work = lambda: given.copy_(original(taken))
        given.zero_()  # a capture computes nothing

    monkeypatch.setattr(torch.cuda, "CUDAGraph", FakeGraph)
    monkeypatch.setattr(torch.cuda, "graph", capturing)
    batches = batches_of(encoders(), 4)
    batches._may_capture = True
    begun, expected = [], []
    for seed in range(GRAPH_AFTER + 4):
        images = images_of(3 if seed == GRAPH_AFTER + 1 else 4, seed)
        begun.append(batches.begin(images))
        expected.append(encoders().encode(images))
    for work, codes in zip(begun, expected, strict=True):
        assert_close(work.result(), codes)
    assert FakeGraph.latest.replays == 3  # the batch of three went without


def test_a_network_that_cannot_be_captured_runs_on_and_says_so(encoders, monkeypatch, caplog):
    @contextmanager
    def refusing(_graph, **_how):
        yield
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    monkeypatch.setattr(torch.cuda, "CUDAGraph", FakeGraph)
    monkeypatch.setattr(torch.cuda, "graph", refusing)
    batches = batches_of(encoders(), 2)
    batches._may_capture = True
    with caplog.at_level(logging.INFO):
        for seed in range(GRAPH_AFTER + 3):
            images = images_of(2, seed)
            assert_close(batches.begin(images).result(), encoders().encode(images))
    assert batches._graph is None
    assert caplog.text.count("kernel by kernel") == 1


@pytest.mark.parametrize("name", ["densenet121", "resnet18"])
def test_the_form_for_a_device_is_the_same_function(encoders, name):
    network = encoders(name)._network.module
    form, images = network.for_device(), torch.from_numpy(images_of(3))[:, None]
    with torch.inference_mode():
        for method in ("features", "forward"):
            assert_close(getattr(form, method)(images).numpy(), getattr(network, method)(images).numpy())
    norms = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    left = [module for module in form.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert len(left) <= 0.52 * len(norms)


@pytest.fixture
def overlapping(monkeypatch):
    """The way of a GPU on a processor."""
    monkeypatch.setattr(Forward, "_overlaps", property(lambda _self: True))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_an_encoder_gives_the_same_codes_on_the_way_of_a_device(encoders, precision, monkeypatch):
    images = images_of(11)
    encoder = Encoder.untrained("resnet18", ("a", "b"), SIZE, seed=3, device="cpu")
    expected, chances = encoder.encode(images, precision=precision), encoder.predict(images)
    monkeypatch.setattr(Forward, "_overlaps", property(lambda _self: True))
    tolerance = {"float32": 1e-5, "bfloat16": 2e-2}[precision] * np.abs(expected).max()
    for batch_size in (3, 64):
        codes = encoder.encode(images, precision=precision, batch_size=batch_size)
        np.testing.assert_allclose(codes, expected, atol=tolerance)
    np.testing.assert_allclose(encoder.predict(images), chances, atol=1e-5)
    with encoder.encoding(precision=precision, batch_size=4) as begin:
        work = [begin(images[:4]), begin(images), begin(images[4:8])]  # the second is more than a batch
        assert begin(images[:0]).result().shape == (0, encoder.code_length)
    for begun, rows in zip(work, (slice(0, 4), slice(None), slice(4, 8)), strict=True):
        np.testing.assert_allclose(begun.result(), expected[rows], atol=tolerance)
    for batch_size in range(1, 2 * KINDS_KEPT):
        encoder.encode(images[:1], batch_size=batch_size)
    assert len(encoder._forward._kept) == KINDS_KEPT


@pytest.mark.usefixtures("overlapping")
def test_nobody_says_the_batch_the_encoder_does(encoders, monkeypatch):
    encoder = Encoder.untrained("resnet18", ("a", "b"), SIZE, seed=3, device="cpu")
    monkeypatch.setattr(device_batches, "films_at_once", lambda _function, shape, _precision: shape[1] // 8)
    sizes = []
    begin = DeviceBatches.begin
    monkeypatch.setattr(DeviceBatches, "begin", lambda self, images: sizes.append(len(images)) or begin(self, images))
    images = images_of(10)
    kept, _ = encode_each(encoder, lambda row: images[row], range(10), on_problem=pytest.fail)
    assert kept.tolist() == list(range(10))
    assert sizes == [4, 4, 2]


@pytest.mark.parametrize(
    ("free", "expected"), [(10**12, 256), (0, 8), (2 * (8 + 24) * 10**6 - 1, 16), (2 * (8 + 24) * 10**6, 32)]
)
def test_the_batch_fits_in_half_of_the_free_memory(free, expected):
    assert largest_batch(free, 8 * 10**6, 16 * 10**6) == expected


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_trial_chooses_a_batch(encoders):
    n = encoders(device="cuda").films_at_once()
    assert 8 <= n <= 256
    assert n & (n - 1) == 0
