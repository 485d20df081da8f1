"""Sheets of saliency and masks: their numbers, the films that they show, and what is passed over."""

import json

import numpy as np
import pytest
from PIL import Image

from graphret._errors import DataError, EncoderError, InvalidParameterError
from graphret.data import ImageTable
from graphret.encoders import Encoder
from graphret.evaluation import segmentation_quality
from graphret.plotting import plot


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """Six films, four with masks of two classes; one film and one mask are broken."""
    folder = tmp_path_factory.mktemp("sheets")
    rng = np.random.default_rng(0)
    halves = np.repeat([[1] * 16 + [2] * 16], 32, axis=0).astype(np.uint8)
    halves[:4] = 0
    for number in range(6):
        Image.fromarray(rng.integers(0, 255, (32, 32), dtype=np.uint8)).save(folder / f"film{number}.png")
        Image.fromarray(halves).save(folder / f"mask{number}.png")
    (folder / "film0.png").write_bytes(b"broken")
    (folder / "mask1.png").write_bytes(b"broken")
    return ImageTable(
        ids=[f"secret{number}" for number in range(6)],
        paths=[str(folder / f"film{number}.png") for number in range(6)],
        labels=np.ones((6, 1), np.int8),
        label_names=("a",),
        splits=["train"] * 4 + ["test"] * 2,
        root=str(folder),
        columns={"mask": np.array([f"mask{n}.png#classes=0,1,2" if n < 4 else "" for n in range(6)])},
    )


@pytest.fixture(scope="module")
def ynet():
    return Encoder.untrained("ynet", ["a"], 32, n_bits=4, device="cpu", mask_classes=2)


def test_masks_beside_their_truth_have_the_measured_overlap(films, ynet):
    made = plot("segmentation", films, encoder=ynet)
    assert sorted({row[0] for row in made.rows}) == [2, 3]
    quality = segmentation_quality(ynet, films)
    for number in (1, 2):
        rows = [row for row in made.rows if row[1] == number]
        for name, column in (("dice", 4), ("iou", 5)):
            assert np.mean([row[column] for row in rows]) == pytest.approx(quality[name][str(number)])
        assert all(row[3] == 28 / 64 for row in rows)
    assert "2 films were passed over: they, or their masks, cannot be read" in made.notes
    assert "the encoder was not trained: its weights are random" in made.notes
    panels = [axes.get_title() for axes in made.figure.axes]
    assert len(panels) == 6
    assert panels[2].startswith("true mask, Dice")
    assert "secret" not in made.csv_text() + made._repr_html_()


def test_films_without_masks_show_what_is_drawn(films, ynet):
    bare = films.select(films.splits == "test")
    made = plot("segmentation", bare, encoder=ynet, n_films=1)
    found = ynet.segmentation(ynet.prepare(bare.read(made.rows[0][0]))[None])[0]
    assert [row[2:] for row in made.rows] == [((found == n).mean(), None, None, None) for n in (1, 2)]
    assert len(made.figure.axes) == 2


def test_saliency_is_that_of_the_encoder_and_seeds_draw_the_films(films, tmp_path):
    encoder = Encoder.untrained("attention_hash_pf1", ["a"], 32, n_bits=4, device="cpu")
    encoder.save(tmp_path / "run")
    made = plot("saliency", films, encoder=tmp_path / "run", n_films=3)
    assert len(made.rows) == 3
    for position, mean, x, y in made.rows:
        saliency = encoder.saliency(encoder.prepare(films.read(position))[None])[0]
        assert mean == pytest.approx(saliency.mean(), rel=1e-5)
        assert saliency[int(y * 32), int(x * 32)] == saliency.max()
    drawn = {
        tuple(row[0] for row in plot("saliency", films, encoder=encoder, n_films=3, seed=s).rows) for s in range(4)
    }
    assert len(drawn) > 1
    tested = plot("saliency", films, encoder=encoder, split="test")
    assert sorted(row[0] for row in tested.rows) == [4, 5]


def test_what_draws_nothing_is_refused(films, ynet, tmp_path):
    dense = Encoder.untrained("resnet18", ["a"], 32, device="cpu")
    with pytest.raises(EncoderError, match="draws no masks"):
        plot("segmentation", films, encoder=dense)
    with pytest.raises(EncoderError, match="no saliency"):
        plot("saliency", films, encoder=dense)
    with pytest.raises(InvalidParameterError, match="encoder=None"):
        plot("saliency", films)
    with pytest.raises(InvalidParameterError, match=r"split='valid'.*test, train"):
        plot("segmentation", films, encoder=ynet, split="valid")
    with pytest.raises(DataError, match="none of the 1 films can be read"):
        plot("segmentation", films.select([0]), encoder=ynet)
    three = Encoder.untrained("ynet", ["a"], 32, n_bits=4, device="cpu", mask_classes=3)
    with pytest.raises(DataError, match="draws 3 classes"):
        plot("segmentation", films, encoder=three)


def test_the_command_reads_a_folder_of_films(run, tmp_path, ynet):
    rng = np.random.default_rng(1)
    for name in ("healthy", "ill"):
        (tmp_path / "films" / name).mkdir(parents=True)
        for number in range(2):
            pixels = rng.integers(0, 255, (32, 32), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "films" / name / f"{number}.png")
    ynet.save(tmp_path / "run")
    call = ["plot", "segmentation", tmp_path / "films", "--data", "folder", "--encoder", tmp_path / "run"]
    done = run(*call, "--n-films", "3", "--out", tmp_path / "sheet.png", "--json")
    assert done.status == 0, done.err
    document = json.loads(done.out)
    assert len({row[0] for row in document["rows"]}) == 3
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size[0] > 300
    balance = run("plot", "class-balance", tmp_path / "films", "--data", "folder", "--by", "split",
                  "--out", tmp_path / "b.svg", "--json")  # fmt: skip
    assert sum(row[2] for row in json.loads(balance.out)["rows"]) == 4
    assert run("plot", "roc", tmp_path / "films", "--data", "folder", "--out", tmp_path / "r.svg").status == 2
