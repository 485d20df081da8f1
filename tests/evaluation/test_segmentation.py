"""Dice and intersection over union, and measures of columns, against plain loops."""

import json

import numpy as np
import pytest
from PIL import Image

from graphret._errors import DataError, EncoderError, InvalidParameterError
from graphret.data import ImageTable
from graphret.encoders import Encoder
from graphret.evaluation import column_scores, evaluate_ranking, mask_overlap, segmentation_quality
from graphret.evaluation.measures import largest_k, parse_measure
from graphret.training import train


def test_overlap_is_its_loop():
    rng = np.random.default_rng(0)
    truth, found = rng.integers(0, 3, (2, 4, 5, 6))
    truth[1][truth[1] == 2] = 0
    found[1][found[1] == 2] = 1
    dice, iou = mask_overlap(truth, found, 2)
    for film in range(4):
        for number in (1, 2):
            both = either = sizes = 0
            for t, f in zip(truth[film].ravel(), found[film].ravel(), strict=True):
                both += t == number and f == number
                either += number in {t, f}
                sizes += int(t == number) + int(f == number)
            expected = (2 * both / sizes, both / either) if either else (np.nan, np.nan)
            np.testing.assert_allclose((dice[film, number - 1], iou[film, number - 1]), expected)
    assert np.isnan(dice[1, 1])
    for wrong in (found[:3], found.astype(float), found + 1):
        with pytest.raises(InvalidParameterError):
            mask_overlap(truth, wrong, 2)


@pytest.fixture
def masked(tmp_path):
    """Three films with masks of two classes in the left and right half, one without, one whose mask is broken."""
    rng = np.random.default_rng(0)
    paths, masks = [], []
    halves = np.repeat([[1] * 16 + [2] * 16], 32, axis=0).astype(np.uint8)
    for number in range(5):
        Image.fromarray(rng.integers(0, 255, (32, 32), dtype=np.uint8)).save(tmp_path / f"film{number}.png")
        Image.fromarray(halves).save(tmp_path / f"mask{number}.png")
        paths.append(str(tmp_path / f"film{number}.png"))
        masks.append(f"mask{number}.png#classes=0,1,2")
    (tmp_path / "mask4.png").write_bytes(b"broken")
    masks[3] = ""
    return ImageTable(
        ids=[f"f{number}" for number in range(5)],
        paths=paths,
        labels=np.ones((5, 1), np.int8),
        label_names=("a",),
        root=str(tmp_path),
        columns={"mask": np.array(masks)},
    )


def test_the_quality_of_masks_that_an_encoder_draws(masked, caplog, monkeypatch):
    encoder = Encoder.untrained("ynet", ["a"], 32, n_bits=4, device="cpu", mask_classes=2)
    monkeypatch.setattr(encoder, "segmentation", lambda images, batch_size: np.ones(images.shape, np.uint8))
    found = segmentation_quality(encoder, masked, batch_size=2)
    assert (found["n_films"], found["n_without_mask"], found["n_left_out"]) == (3, 1, 1)
    assert found["dice"] == {"1": pytest.approx(2 / 3), "2": 0.0}
    assert found["iou"] == {"1": pytest.approx(1 / 2), "2": 0.0}
    assert "film f4 is left out of the measure of masks" in caplog.text
    inside = Encoder.untrained("ynet", ["a"], 32, n_bits=4, device="cpu")
    monkeypatch.setattr(inside, "segmentation", lambda images, batch_size: np.ones(images.shape, np.uint8))
    assert segmentation_quality(inside, masked)["dice"] == {"1": 1.0}
    with pytest.raises(DataError, match="draws 3 classes of masks, and those of the table have 2"):
        segmentation_quality(Encoder.untrained("ynet", ["a"], 32, n_bits=4, device="cpu", mask_classes=3), masked)


def test_an_encoder_draws_the_class_with_the_highest_score(masked):
    import torch

    images = np.random.default_rng(1).random((3, 32, 32), dtype=np.float32)
    for n_classes in (1, 2):
        encoder = Encoder.untrained("ynet", ["a"], 32, n_bits=4, device="cpu", mask_classes=n_classes)
        found = encoder.segmentation(images, batch_size=2)
        assert found.shape == (3, 32, 32)
        assert found.max() <= n_classes
        with torch.inference_mode():
            scores = encoder._network.module.outputs(torch.from_numpy(images)[:, None]).mask_logits
        assert scores.shape[1] == (1 if n_classes == 1 else 3)
        large = torch.nn.functional.interpolate(scores, size=(32, 32), mode="bilinear", align_corners=False)
        expected = large.argmax(1) if n_classes > 1 else (large[:, 0] > 0).long()
        np.testing.assert_array_equal(found, expected.numpy())
    with pytest.raises(EncoderError, match="draws no masks"):
        Encoder.untrained("ynet", ["a"], 32, n_bits=4, device="cpu", fpn=False).segmentation(images)


def films(**columns):
    n = len(next(iter(columns.values())))
    return ImageTable(
        ids=[str(row) for row in range(n)],
        paths=[],
        labels=np.ones((n, 1), np.int8),
        label_names=("a",),
        columns={name: np.array(values) for name, values in columns.items()},
    )


def test_the_gap_of_a_number_and_the_share_of_a_word_are_their_loops():
    rng = np.random.default_rng(0)
    numbers = rng.random(30)
    numbers[[3, 9, 11]] = np.nan
    words = np.array(["cancer", "granuloma", ""])[rng.integers(0, 3, 30)]
    table = films(cdr=numbers, diagnosis=words)
    asked = table.select(np.arange(8))
    ranked = np.array([rng.permutation(np.arange(8, 30))[:10] for _ in range(8)])
    ranked[2, 6:] = -1
    names = ["gap@10:column=cdr", "gap@3:column=cdr", "P@10:column=diagnosis"]
    scores = column_scores(ranked, asked, table, names)
    for query in range(8):
        for name, k in ((names[0], 10), (names[1], 3)):
            gaps = [abs(numbers[hit] - numbers[query]) for hit in ranked[query, :k] if hit >= 0]
            gaps = [gap for gap in gaps if not np.isnan(gap)]
            np.testing.assert_allclose(scores[name][query], np.mean(gaps) if gaps else np.nan)
        same = sum(words[hit] == words[query] for hit in ranked[query] if hit >= 0)
        np.testing.assert_allclose(scores[names[2]][query], same / 10 if words[query] else np.nan)
    assert np.isnan(scores[names[0]]).sum() == 1
    assert np.isnan(scores[names[2]]).any()


def test_measures_of_columns_that_cannot_be():
    table = films(cdr=[0.5, 0.6], diagnosis=["a", "b"])
    ranked = np.array([[1], [0]])
    for name, match in (
        ("gap@1:column=age", "a column of the films: there are cdr, diagnosis"),
        ("gap@1:column=diagnosis", "holds words"),
        ("gap@2:column=cdr", "at most 1"),
        ("gap@1", "gap@K:column=NAME"),
    ):
        with pytest.raises(InvalidParameterError, match=match):
            column_scores(ranked, table, table, [name])
    assert parse_measure("P@7:column=diagnosis").k == 7
    assert largest_k(["P@5", "gap@9:column=cdr"]) == 9
    labels = np.ones((2, 1), bool)
    with pytest.raises(InvalidParameterError, match="a column of the films is needed"):
        evaluate_ranking(ranked, labels, labels, ["gap@1:column=cdr"])


def test_ynet_learns_from_masks_of_two_classes(tmp_path):
    """Bright discs with a brighter cup: the masks that it draws are better than those of an untrained network."""
    rng = np.random.default_rng(0)
    n, size = 24, 32
    y, x = np.mgrid[:size, :size]
    paths, masks, cups = [], [], []
    for number in range(n):
        cx, cy, cup = *rng.integers(12, 20, 2), rng.integers(3, 6)
        far = np.hypot(x - cx, y - cy)
        classes = (far < 9).astype(np.uint8) + (far < cup)
        film = np.clip(40 + 90 * classes + rng.normal(0, 5, (size, size)), 0, 255).astype(np.uint8)
        for kind, pixels, kept in (("film", film, paths), ("mask", classes, masks)):
            Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / f"{kind}{number}.png")
            kept.append(str(tmp_path / f"{kind}{number}.png"))
        cups.append(cup > 3)
    table = ImageTable(
        ids=[f"f{number}" for number in range(n)],
        paths=paths,
        labels=np.array(cups, np.int8)[:, None],
        label_names=("glaucoma",),
        splits=np.array(["train"] * 16 + ["valid"] * 8),
        columns={"mask": np.array([f"{mask}#classes=0,1,2" for mask in masks])},
    )
    options = {"mask_classes": 2}
    recipe = {"size": size, "n_bits": 4, "epochs": 6, "batch_size": 8, "optimizer": "adam", "learning_rate": 3e-3}
    encoder = train(table, "ynet", out=tmp_path / "out", options=options, device="cpu", n_workers=1, **recipe)
    history = json.loads((tmp_path / "out" / "history.json").read_text())["epochs"]
    for entry in history:
        parts = entry["loss_parts"]
        assert entry["loss"] == pytest.approx((parts["classes"] + parts["segmentation"]) / 2, rel=1e-5)
    assert history[-1]["loss_parts"]["segmentation"] < history[0]["loss_parts"]["segmentation"]
    valid = table.split("valid")
    found = segmentation_quality(encoder, valid)
    untrained = Encoder.untrained("ynet", ["glaucoma"], size, n_bits=4, device="cpu", **options)
    assert found["n_films"] == 8
    assert found["dice"]["1"] > segmentation_quality(untrained, valid)["dice"]["1"]
