"""Options of a training beyond the papers: changed films, averaged weights, a cosine schedule, soft labels."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from graphret._errors import InvalidParameterError
from graphret.encoders.losses import label_weights, weighted_cross_entropy
from graphret.training import TrainConfig, train
from graphret.training.augmentation import CROP, Augmentation
from graphret.training.averaging import WeightAverage
from graphret.training.optimization import LearningRate, make_optimizer

ALL = {
    "augmentation": 0.7,
    "averaging": 0.6,
    "schedule": "cosine",
    "warmup_iterations": 3,
    "objective_options": {"label_smoothing": 0.1},
}


@pytest.fixture
def films():
    return torch.rand((6, 1, 24, 24), generator=torch.Generator().manual_seed(0))


def changes(epoch=0, mirrored=(0, 1, 0, 1, 0, 1), **config):
    return Augmentation(TrainConfig(**config), epoch, np.array(mirrored, dtype=bool))


def test_without_strength_films_are_mirrored_alone(films):
    masks = torch.cat([films, 1 - films], dim=1)
    rows = np.array([1, 0, 3])
    changed, moved = changes().apply(rows, films[rows], masks[rows])
    expected = films[rows].clone()
    expected[[0, 2]] = expected[[0, 2]].flip(-1)
    assert torch.equal(changed, expected)
    assert torch.equal(moved, torch.cat([expected, 1 - expected], dim=1))
    assert torch.equal(changes(horizontal_flip=False).apply(rows, films[rows], None)[0], films[rows])


def test_a_film_is_changed_alike_whatever_stands_beside_it(films):
    config = {"augmentation": 1.0}
    together, _ = changes(**config).apply(np.arange(6), films, None)
    for row in range(6):
        alone, _ = changes(**config).apply(np.array([row]), films[[row]], None)
        assert torch.allclose(alone, together[[row]], atol=1e-6)
    other, _ = changes(1, **config).apply(np.arange(6), films, None)
    assert not torch.allclose(other, together, atol=1e-2), "another epoch, other changes"
    assert together.min() >= 0
    assert together.max() <= 1


def test_strength_says_how_far(films):
    """A film that grows from left to right: crops and turns move little, contrast nothing in its mean."""
    ramp = torch.linspace(0.3, 0.6, 24).expand(200, 1, 24, 24).contiguous()
    found = []
    for strength in (0.1, 0.5, 1.0):
        augmented = changes(mirrored=[0] * 200, augmentation=strength)
        changed, _ = augmented.apply(np.arange(200), ramp, None)
        found.append(float((changed - ramp).abs().mean()))
    assert found == sorted(found)
    assert found[0] < 0.02 < found[2]


def test_a_mask_goes_with_its_film_and_none_stays_none(films):
    """Where contrast is not changed, a film and a mask of the same values stay the same inside."""
    augmented = changes(mirrored=[0, 1] * 3, augmentation=0.8)
    augmented._draws[:, 4] = 0
    smooth = torch.nn.functional.avg_pool2d(films, 5, stride=1, padding=2)
    masks = torch.cat([smooth, smooth / 2], dim=1)
    masks[2] = torch.nan
    changed, moved = augmented.apply(np.arange(6), smooth, masks)
    inside = slice(6, 18)
    kept = [0, 1, 3, 4, 5]
    for number, share in enumerate((1, 0.5)):
        film, mask = changed[kept, 0, inside, inside], moved[kept, number, inside, inside]
        assert torch.allclose(share * film, mask, atol=1e-5)
    assert moved[2].isnan().all()


def test_a_crop_enlarges_what_is_in_the_middle():
    film = torch.zeros((1, 1, 40, 40))
    film[..., 15:25, 15:25] = 1
    augmented = changes(mirrored=[0], augmentation=1.0)
    augmented._draws[0] = [0, 1, 0, 0, 0]
    changed, _ = augmented.apply(np.array([0]), film, None)
    assert float(changed.sum()) == pytest.approx(100 / (1 - CROP) ** 2, rel=0.05)


def test_averages_are_those_of_a_loop():
    torch.manual_seed(0)
    layer = torch.nn.Linear(3, 2)
    average = WeightAverage(layer, 0.6)
    expected = layer.weight.detach().clone()
    for step in range(1, 9):
        torch.nn.init.normal_(layer.weight)
        average.update(step)
        decay = min(0.6, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * layer.weight.detach()
    last = layer.weight.detach().clone()
    with average.in_place():
        assert torch.allclose(layer.weight, expected)
    assert torch.equal(layer.weight, last)


def test_the_rate_rises_and_falls_in_half_a_wave():
    config = TrainConfig(schedule="cosine", warmup_iterations=4, learning_rate=0.1, learning_rate_floor=1e-3)
    rate = LearningRate(make_optimizer([torch.nn.Parameter(torch.zeros(1))], config), config)
    found = []
    for done in range(20):
        rate.after_iterations(done, done / 20)
        found.append(rate.current)
    wave = [max(0.05 * (1 + math.cos(math.pi * done / 20)), 1e-3) for done in range(20)]
    assert found == pytest.approx([value * min(1, (done + 1) / 4) for done, value in enumerate(wave)])


def test_a_warm_up_ends_in_the_rate_of_the_plateau():
    config = TrainConfig(warmup_iterations=4, plateau_patience=0, plateau_factor=0.5, learning_rate=0.1)
    rate = LearningRate(make_optimizer([torch.nn.Parameter(torch.zeros(1))], config), config)
    rate.after_epoch(0.5)
    rate.after_epoch(0.5)
    for done, expected in ((0, 0.0125), (3, 0.05), (9, 0.05)):
        rate.after_iterations(done, done / 20)
        assert rate.current == pytest.approx(expected)


def test_smoothed_labels_are_mixed_terms():
    labels = np.array([[1, 0], [0, -1], [0, 1]], dtype=np.int8)
    weights = torch.as_tensor(label_weights(labels))
    logits = torch.tensor([[0.3, -1.0], [2.0, 0.1], [-0.4, 0.7]], dtype=torch.float64)
    total = 0.0
    for film, label in zip(*np.nonzero(labels >= 0), strict=True):
        share = 1 - 0.1 if labels[film, label] == 1 else 0.1
        p = 1 / (1 + math.exp(-float(logits[film, label])))
        w_plus, w_minus = weights[:, label].tolist()
        total += -share * w_plus * math.log(p) - (1 - share) * w_minus * math.log(1 - p)
    found = weighted_cross_entropy(logits, torch.from_numpy(labels), weights, 0.2)
    assert float(found) == pytest.approx(total / 3)


def test_a_run_with_all_of_them_goes_on_to_the_same_bits(table, tmp_path, small):
    whole = train(table, "tiny", out=tmp_path / "whole", **small, **ALL)

    def stop(stage, done, _):
        if (str(stage), done) == ("epoch 2/3", 3):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(table, "tiny", out=tmp_path / "out", progress=stop, checkpoint_minutes=1e-9, **small, **ALL)
    again = train(table, "tiny", out=tmp_path / "out", **small, **ALL)
    assert again.fingerprint == whole.fingerprint
    rates = [epoch["learning_rate"] for epoch in json.loads((tmp_path / "out" / "history.json").read_text())["epochs"]]
    assert rates == sorted(rates, reverse=True)


def test_what_is_kept_is_the_average(table, tmp_path, small):
    averaged = train(table, "tiny", out=tmp_path / "a", **small, averaging=0.9)
    plain = train(table, "tiny", out=tmp_path / "b", **small)
    first, last = (np.asarray(encoder.tensors()["code.weight"]) for encoder in (averaged, plain))
    assert not np.array_equal(first, last)
    kept = SimpleNamespace(**averaged.record["training"])
    assert kept.averaging == 0.9


def test_a_wave_that_has_ended_is_not_lengthened(table, tmp_path, small):
    train(table, "tiny", out=tmp_path / "out", **small, schedule="cosine")
    with pytest.raises(InvalidParameterError, match="epochs was 3 and is 5"):
        train(table, "tiny", out=tmp_path / "out", **{**small, "epochs": 5}, schedule="cosine")
