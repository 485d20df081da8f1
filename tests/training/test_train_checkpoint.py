import json
import os
from pathlib import Path

import pytest
import torch

from graphret._errors import EncoderError
from graphret.training.checkpoint import Checkpoint, CheckpointFolder, flatten_optimizer, restore_optimizer


def make(number: float, best: float | None = None) -> Checkpoint:
    tensors = {"weight": torch.full((3, 2), number), "step": torch.tensor(number)}
    return Checkpoint({"epoch": number}, tensors, None if best is None else {"weight": torch.full((2,), best)})


def equal(a: Checkpoint, b: Checkpoint) -> bool:
    def same(x, y):
        return x.keys() == y.keys() and all(torch.equal(x[key], y[key]) for key in x)

    return a.state == b.state and same(a.tensors, b.tensors) and same(a.best or {}, b.best or {})


@pytest.fixture
def folder(tmp_path):
    return CheckpointFolder(tmp_path / "checkpoint")


def test_what_is_written_is_read_and_the_old_files_go(folder):
    assert folder.read() is None
    for checkpoint in (make(1), make(2, best=5), make(3, best=5)):
        folder.write(checkpoint)
        assert equal(folder.read(), checkpoint)
    assert len(list(folder.folder.iterdir())) == 3
    folder.remove()
    assert folder.read() is None
    folder.remove()


@pytest.mark.parametrize("n_files", range(3))
def test_a_kill_while_writing_leaves_the_old_checkpoint(folder, monkeypatch, n_files):
    folder.write(make(1, best=1))
    replace, done = Path.replace, []

    def until_killed(partial, target):
        if len(done) == n_files:
            os.link(partial, partial.with_name(f"{partial.name}0"))  # the kill leaves it
            raise KeyboardInterrupt
        done.append(target)
        return replace(partial, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", until_killed)
        with pytest.raises(KeyboardInterrupt):
            folder.write(make(2, best=2))
    assert equal(folder.read(), make(1, best=1))
    folder.write(make(3, best=2))
    assert equal(folder.read(), make(3, best=2))
    assert len(list(folder.folder.iterdir())) == 3


@pytest.mark.parametrize("kind", ["run", "best"])
def test_damage_is_refused_by_name(folder, kind):
    folder.write(make(1, best=1))
    path = next(folder.folder.glob(f"{kind}-*"))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(EncoderError, match=rf"{path.name}: its sha256.*resume=False"):
        folder.read()
    path.unlink()
    with pytest.raises(EncoderError, match=rf"{path.name}: it is missing"):
        folder.read()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format_version": 99, "files": {}, "state": {}}'])
def test_an_index_that_is_none_is_refused(folder, text):
    folder.write(make(1))
    (folder.folder / "checkpoint.json").write_text(text)
    with pytest.raises(EncoderError, match=r"checkpoint\.json"):
        folder.read()


def test_the_state_of_adam_survives_with_its_layout():
    def make_optimizer():
        torch.manual_seed(0)
        network = torch.nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
        return network, torch.optim.Adam(network.parameters(), lr=0.1, betas=(0.8, 0.9))

    def step(network, optimizer):
        optimizer.zero_grad()
        network(torch.ones(1, 3, 5, 5)).square().sum().backward()
        optimizer.step()

    network, optimizer = make_optimizer()
    step(network, optimizer)
    tensors, groups = flatten_optimizer(optimizer)
    assert all(isinstance(value, torch.Tensor) for value in tensors.values())
    groups = json.loads(json.dumps(groups))
    other, restored = make_optimizer()
    other.load_state_dict(network.state_dict())
    restore_optimizer(restored, {key: value.contiguous().clone() for key, value in tensors.items()}, groups)
    assert restored.param_groups[0]["betas"] == (0.8, 0.9)
    assert restored.state[other.weight]["exp_avg"].stride() == other.weight.stride()
    for _ in range(2):
        step(network, optimizer)
        step(other, restored)
    assert torch.equal(network.weight, other.weight)
