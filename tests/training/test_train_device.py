"""What a training does otherwise on a GPU, by its logic: precision, fused steps, films that are there already."""

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from graphret._errors import DeviceError, UnknownNameError
from graphret.training import TrainConfig, accelerator, train, trainer
from graphret.training.checkpoint import flatten_optimizer, restore_optimizer
from graphret.training.films import PreparedFilms, _as_float, as_float_on_device
from graphret.training.optimization import make_optimizer
from graphret.training.trainer import Trainer

ON_GPU = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]


def test_half_precision_is_chosen_where_the_device_has_it(monkeypatch):
    assert accelerator.chosen_precision("cpu", "auto") == "no"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError):
        accelerator.chosen_precision("cuda", "auto")
    monkeypatch.setattr(accelerator, "choose_device", lambda _device: torch.device("cuda"))
    for has, expected in ((True, "bf16"), (False, "no")):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda has=has: has)
        assert accelerator.chosen_precision("cuda", "auto") == expected
        assert accelerator.chosen_precision("cuda", "fp16") == "fp16"


def test_the_record_says_which_precision_it_was(table, tmp_path, small):
    encoder = train(table, "tiny", out=tmp_path, mixed_precision="auto", **{**small, "device": "cpu", "epochs": 1})
    assert encoder.record["training"]["mixed_precision"] == "no"
    again = train(table, "tiny", out=tmp_path, mixed_precision="no", **{**small, "device": "cpu", "epochs": 1})
    assert again.fingerprint == encoder.fingerprint  # the same checkpoint


@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_a_checkpoint_goes_on_whether_its_step_was_fused_or_not(name):
    """One of a GPU is gone on with on a processor, and the other way round; the weights after it are the same."""
    config = TrainConfig(optimizer=name, learning_rate=0.1)

    def run(kinds):
        torch.manual_seed(0)
        network = torch.nn.Linear(3, 2)
        state = None
        for fused in kinds:
            optimizer = make_optimizer(network.parameters(), config)
            optimizer.param_groups[0]["fused"] = fused
            if state is not None:
                restore_optimizer(optimizer, *state)
                assert optimizer.param_groups[0]["fused"] is fused
            for _ in range(3):
                optimizer.zero_grad()
                network(torch.ones(4, 3)).square().sum().backward()
                optimizer.step()
            state = flatten_optimizer(optimizer)
        return network.weight.detach()

    expected = run([None, None])
    for kinds in ([True, None], [None, True]):
        torch.testing.assert_close(run(kinds), expected, rtol=1e-5, atol=1e-6)


def test_films_that_lie_on_the_device_train_the_same_weights(table, tmp_path, small, monkeypatch):
    expected = train(table, "tiny", out=tmp_path / "a", **{**small, "device": "cpu"})
    placed = []

    def place(films, where, at_most):
        placed.append((where.type, at_most))
        films._on_device = torch.from_numpy(films._cache)

    monkeypatch.setattr(PreparedFilms, "place_on", place)
    found = train(table, "tiny", out=tmp_path / "b", device_cache_bytes=77, **{**small, "device": "cpu"})
    assert placed == [("cpu", 77)]
    for key, value in expected.tensors().items():
        assert torch.equal(found.tensors()[key], value)


def test_films_of_uint8_train_other_weights_and_are_part_of_what_decides_them(table, tmp_path, small):
    one = train(table, "tiny", out=tmp_path / "a", **{**small, "device": "cpu"})
    other = train(table, "tiny", out=tmp_path / "b", cache_type="uint8", **{**small, "device": "cpu"})
    assert one.fingerprint != other.fingerprint
    assert TrainConfig().deciding()["cache_type"] == "float32"
    assert "device_cache_bytes" not in TrainConfig().deciding()
    with pytest.raises(UnknownNameError, match=r"cache_type.*float32.*uint8"):
        TrainConfig(cache_type="int4")


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=ON_GPU)])
def test_films_of_uint8_have_the_same_bits_wherever_they_lie(device):
    """All 256 values; a product with 1 / 255 rounds 126 of them otherwise than the division does."""
    stored = np.arange(256, dtype=np.uint8)
    found = as_float_on_device(torch.from_numpy(stored).to(device))
    np.testing.assert_array_equal(found.cpu().numpy(), _as_float(stored))
    assert (stored * (np.float32(1) / np.float32(255)) != _as_float(stored)).any(), "else the test says nothing"


def test_no_copy_of_a_step_waits_for_the_device(table, tmp_path, small, monkeypatch):
    copies = []
    to = torch.Tensor.to
    step = Trainer._train_step

    def spied(self, *args):
        with monkeypatch.context() as patch:
            patch.setattr(torch.Tensor, "to", lambda t, *a, **k: copies.append((t.dtype, a, k)) or to(t, *a, **k))
            return step(self, *args)

    monkeypatch.setattr(Trainer, "_train_step", spied)
    train(table, "tiny", out=tmp_path, augmentation=0.5, **{**small, "device": "cpu", "epochs": 1})
    to_a_device = [(dtype, how) for dtype, where, how in copies if any(isinstance(one, torch.device) for one in where)]
    assert {torch.bool, torch.float32, torch.int8, torch.int64} <= {dtype for dtype, _ in to_a_device}
    assert all(how.get("non_blocking") for _, how in to_a_device)


@pytest.mark.parametrize(("n_processes", "steps"), [(1, list(range(1, 12))), (2, [2, 4])])
def test_several_processes_seldom_ask_each_other_for_the_time(table, tmp_path, small, monkeypatch, n_processes, steps):
    """Each question waits for all devices. Two processes have six of 12 batches each; the last one asks nothing."""
    asked = []

    def agree(self, wish):
        asked.append(self.state.step)
        return wish

    monkeypatch.setattr(Accelerator, "num_processes", n_processes)
    monkeypatch.setattr(Trainer, "_agree", agree)
    monkeypatch.setattr(trainer, "_AGREE_EVERY", 2)
    train(table, "tiny", out=tmp_path, **{**small, "epochs": 1, "batch_size": 2, "checkpoint_minutes": 60.0})
    assert asked == steps


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_convolutions_are_tried_where_shapes_stay_and_the_switch_is_put_back():
    before = torch.backends.cudnn.benchmark
    for same_shapes in (True, False):
        with accelerator.borrow_accelerator("cuda", "no", same_shapes=same_shapes):
            assert torch.backends.cudnn.benchmark is (same_shapes or before)
        assert torch.backends.cudnn.benchmark is before


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_everything_of_it_is_used_and_a_processor_goes_on(table, tmp_path, small):
    parameters = {**small, "device": "cuda"}
    encoder = train(table, "tiny", out=tmp_path, **parameters)
    assert encoder.record["training"]["mixed_precision"] in {"bf16", "no"}
    used = encoder.record["training"]["mixed_precision"]
    again = {**parameters, "device": "cpu", "epochs": parameters["epochs"] + 1, "mixed_precision": used}
    assert np.isfinite(train(table, "tiny", out=tmp_path, **again).record["validation"]["score"])
