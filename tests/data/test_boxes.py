"""Boxes of ChestX-ray14: the list as it is published, the column that it becomes, and what is refused."""

import dataclasses
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from graphret._errors import DataError, DatasetSpecError
from graphret.data import parse_boxes, read_dataset, read_dataset_spec
from graphret.data.boxes import nih_boxes
from graphret.data.cards import DatasetSpec
from graphret.data.images import write_png

HEADER = "Image Index,Finding Label,Bbox [x,y,w,h],,,"
TABLE = "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position\n"


def listed(tmp_path, *rows):
    path = tmp_path / "BBox_List_2017.csv"
    path.write_text("\n".join([HEADER, *rows]) + "\n", encoding="utf-8")
    return path


def test_boxes_become_shares_of_the_film_by_finding(tmp_path):
    rows = (
        "b.png,Infiltrate,0,512,256,128,,,",
        "b.png,Mass,1,2,3,4",
        "b.png,Mass,512.0,512.0,512.0,512.0",
        "z.png,Mass,1,1,1,1",
    )
    cells = nih_boxes(listed(tmp_path, *rows), ["a.png", "b.png"])
    assert cells[0] == ""
    boxes = parse_boxes(cells[1])
    assert list(boxes) == ["Infiltration", "Mass"]
    np.testing.assert_allclose(boxes["Infiltration"], [[0, 0.5, 0.25, 0.125]])
    np.testing.assert_allclose(boxes["Mass"], [np.array([1, 2, 3, 4]) / 1024, [0.5] * 4], atol=5e-6)
    assert parse_boxes("") == {}


@pytest.mark.parametrize(
    "row",
    ["a.png,Mass,1,2,3,x", "a.png,Mass,1000,2,30,4", "a.png,,1,2,3,4", "a.png,Mass,1,2,0,4", "a.png,Mass,1,nan,3,4"],
)
def test_what_is_no_box_is_named_with_its_line(tmp_path, row):
    with pytest.raises(DataError, match=r"line 3 of .*BBox_List_2017.csv: .* is no box: give a finding"):
        nih_boxes(listed(tmp_path, "a.png,Mass,1,2,3,4", row), ["a.png"])


@pytest.mark.parametrize("text", ["Mass", "Mass:1,2,3", "Mass:1,2,3,x", ":0,0,1,1"])
def test_a_cell_that_no_reader_wrote_is_refused(text):
    with pytest.raises(DataError, match="is no box: give FINDING:LEFT,TOP,WIDTH,HEIGHT"):
        parse_boxes(text)


def test_the_reader_takes_the_list_where_the_spec_asks_for_it(tmp_path, caplog):
    (tmp_path / "images").mkdir()
    names = [f"{number:08d}_000.png" for number in range(6)]
    for name in names:
        write_png(tmp_path / "images" / name, np.full((8, 8), 0.5, dtype=np.float32))
    rows = [f"{name},Mass,0,{number},60,M,PA" for number, name in enumerate(names)]
    (tmp_path / "Data_Entry_2017.csv").write_text(TABLE + "\n".join(rows) + "\n", encoding="utf-8")
    without = read_dataset("nih-12", tmp_path)
    assert not any(without.columns["boxes"].tolist())
    assert "the films have no boxes" in caplog.text
    listed(tmp_path, f"{names[2]},Mass,256,256,512,512")
    films = read_dataset("nih-12", tmp_path)
    cells = dict(zip(films.ids.tolist(), films.columns["boxes"].tolist(), strict=True))
    assert parse_boxes(cells.pop(names[2]))["Mass"].tolist() == [[0.25, 0.25, 0.5, 0.5]]
    assert set(cells.values()) == {""}
    assert "boxes" not in read_dataset("nih", tmp_path).columns


def test_a_spec_without_boxes_keeps_its_hash_and_other_readers_take_none():
    spec = read_dataset_spec("nih")
    assert "boxes" not in spec.to_json()["files"]
    with_boxes = dataclasses.replace(spec, files=dataclasses.replace(spec.files, boxes=("list.csv",)))
    assert with_boxes.sha256 != spec.sha256
    assert DatasetSpec.from_json(with_boxes.to_json()) == with_boxes
    with pytest.raises(DatasetSpecError, match=r"files.boxes = .*only for nih"):
        dataclasses.replace(with_boxes, reader="chexpert")


def test_the_published_list():
    spec = importlib.util.find_spec("torchxrayvision")
    path = Path(spec.origin).parent / "data" / "BBox_List_2017.csv.gz" if spec and spec.origin else Path()
    if not path.is_file():
        pytest.skip("torchxrayvision with BBox_List_2017.csv.gz is not installed")
    import csv
    import gzip

    with gzip.open(path, "rt", encoding="utf-8") as file:
        films = sorted({row[0] for row in list(csv.reader(file))[1:]})
    cells = [parse_boxes(cell) for cell in nih_boxes(path, films).tolist()]
    counts = {
        name: sum(len(boxes.get(name, [])) for boxes in cells) for name in {name for boxes in cells for name in boxes}
    }
    assert len(films) == 880
    assert sum(counts.values()) == 984
    assert set(counts) == {
        "Atelectasis",
        "Cardiomegaly",
        "Effusion",
        "Infiltration",
        "Mass",
        "Nodule",
        "Pneumonia",
        "Pneumothorax",
    }
