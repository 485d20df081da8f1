"""Hashing without labels: two views of a film, a backbone that stays, and what a training says of both."""

import logging

import numpy as np
import pytest
import torch

from graphret._errors import InvalidParameterError
from graphret.encoders import Encoder
from graphret.encoders.objectives.cibhash import CIBHash
from graphret.training import TrainConfig, train
from graphret.training.augmentation import Augmentation

SIZE = 32
SETTINGS = {"size": SIZE, "n_bits": 8, "epochs": 1, "batch_size": 12, "device": "cpu", "n_workers": 1, "seed": 3}
SMALL = {"options": {"backbone": "small_cnn"}}


def trained(table, name, out, **further) -> Encoder:
    config = TrainConfig.for_encoder(name, **{**SETTINGS, **SMALL, **further})
    return train(table, name, out=out, config=config)


def test_a_loss_of_views_gets_each_film_twice_changed_otherwise(table, tmp_path, monkeypatch):
    seen = []

    def keep(self, outputs, targets):
        seen.append((outputs.codes.detach(), targets.labels))
        return outputs.codes.square().mean()

    monkeypatch.setattr(CIBHash, "forward", keep)
    trained(table, "cibhash", tmp_path)
    assert len(seen) == 2
    for codes, labels in seen:
        assert len(codes) == 2 * len(labels) == 24
        assert (codes[:12] != codes[12:]).any(dim=1).all()


def test_the_second_view_has_changes_of_its_own():
    config = TrainConfig(seed=1, augmentation=1.0)
    images = torch.rand(6, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    rows = np.arange(6)
    first = Augmentation(config, 2, np.zeros(6, np.bool_)).apply(rows, images, None)[0]
    views = [Augmentation.second_view(config, epoch, 6).apply(rows, images, None)[0] for epoch in (2, 2, 3)]
    assert torch.equal(views[0], views[1])
    assert not torch.equal(views[0], views[2])
    assert not any(torch.equal(one, other) for one, other in zip(first, views[0], strict=True))


def test_views_that_would_be_the_same_are_refused(table, tmp_path):
    with pytest.raises(InvalidParameterError, match=r"augmentation=0.*'cibhash' compares two changed views"):
        trained(table, "cibhash", tmp_path, augmentation=0.0)


@pytest.mark.parametrize("name", ["bihalf", "greedyhash_unsupervised", "cibhash"])
def test_the_backbone_stays_and_random_weights_are_said(name, table, tmp_path, caplog):
    with caplog.at_level(logging.WARNING, logger="graphret"):
        encoder = trained(table, name, tmp_path)
    assert f"the backbone of '{name}' is not trained, and begins from random weights" in caplog.text
    names = table.label_names
    start = Encoder.untrained(name, names, SIZE, n_bits=8, seed=3, device="cpu", backbone="small_cnn").tensors()
    after = encoder.tensors()
    changed = {key for key in start if not torch.equal(torch.as_tensor(start[key]), torch.as_tensor(after[key]))}
    assert changed == {key for key in start if key.startswith("hash.")}


def test_given_weights_are_no_reason_to_warn(table, tmp_path, caplog):
    first = Encoder.untrained("dsh", ["a"], SIZE, n_bits=8, seed=4, device="cpu", backbone="small_cnn")
    first.save(tmp_path / "start")
    with caplog.at_level(logging.WARNING, logger="graphret"):
        encoder = trained(table, "bihalf", tmp_path / "run", weights=str(tmp_path / "start"))
    assert "is not trained" not in caplog.text
    key = "backbone.conv1.weight"
    assert torch.equal(torch.as_tensor(encoder.tensors()[key]), torch.as_tensor(first.tensors()[key]))


def test_a_resumed_training_draws_the_same_bits(table, tmp_path):
    whole = trained(table, "cibhash", tmp_path / "whole", epochs=2)
    trained(table, "cibhash", tmp_path / "part", epochs=2, max_minutes=1e-9)
    resumed = trained(table, "cibhash", tmp_path / "part", epochs=2)
    assert resumed.fingerprint == whole.fingerprint
