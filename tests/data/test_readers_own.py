"""The readers for anyone's films: class folders and tables."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from graphret._errors import DataError, MissingFileError
from graphret.data import read_dataset

FILM = np.arange(64, dtype=np.uint8).reshape(8, 8)


def put(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(FILM).save(path)


def test_folder_of_classes(tmp_path):
    for name in ("cat/a.png", "cat/deep/b.png", "dog/a.png", "dog/.hidden.png", ".git/x.png", "__MACOSX/y.png"):
        put(tmp_path / name)
    (tmp_path / "dog/notes.txt").write_text("no film", encoding="utf-8")
    (tmp_path / "cat/deep/b.png").rename(tmp_path / "cat/deep/b.PNG")
    (tmp_path / "dog/empty.jpg").write_bytes(b"")
    films = read_dataset("folder", tmp_path)
    assert films.ids.tolist() == ["cat/a.png", "cat/deep/b.PNG", "dog/a.png"]
    assert films.label_names == ("cat", "dog")
    assert films.labels.tolist() == [[1, 0], [1, 0], [0, 1]]
    assert films.patients.tolist() == films.ids.tolist()
    assert set(films.splits) == {"train", "valid", "test"}
    assert [(problem.id, problem.reason) for problem in films.problems] == [
        ("dog/empty.jpg", "the file is empty (0 bytes)"),
        (".git", "a folder of the system, with 1 file"),
        ("__MACOSX", "a folder of the system, with 1 file"),
        ("dog/.hidden.png", "a hidden file"),
        ("dog/notes.txt", "not a film: its content is no picture, not PNG, JPEG, TIFF, BMP, GIF or DICOM"),
    ]


@pytest.mark.parametrize("valid", ["val", "valid", None])
def test_folder_with_splits(tmp_path, valid):
    for split in filter(None, ("train", "test", valid)):
        for name in ("cat", "dog"):
            for number in range(12):
                put(tmp_path / split / name / f"person{number}_{split}_{number % 2}.png")
    films = read_dataset("folder", tmp_path)
    assert set(films.splits) == {"train", "valid", "test"}
    assert (films.splits == "test").sum() == 24
    if valid:
        assert (films.splits == "valid").sum() == 24
        assert all(film.startswith(valid + "/") for film in films.ids[films.splits == "valid"])
    assert films.label_names == ("cat", "dog")


def test_folder_patients_by_pattern(tmp_path):
    spec = tmp_path / "mine.toml"
    pattern = r"'(person\d+)_|(scan\d+)'"
    spec.write_text(f'name="m"\ntitle="m"\nreader="folder"\npatient_pattern={pattern}', encoding="utf-8")
    for name in ("a/person1_1.png", "a/person1_2.png", "b/person2_1.png", "b/scan7.png", "b/other.png"):
        put(tmp_path / "films" / name)
    films = read_dataset(spec, tmp_path / "films")
    assert films.patients.tolist() == ["person1", "person1", "b/other.png", "person2", "scan7"]
    films.check_patients()


def test_folder_errors(tmp_path):
    with pytest.raises(MissingFileError, match="one folder per class"):
        read_dataset("folder", tmp_path / "nowhere")
    with pytest.raises(DataError, match="no films under"):
        read_dataset("folder", tmp_path)
    put(tmp_path / "train/cat/a.png")
    put(tmp_path / "extra/cat/a.png")
    with pytest.raises(DataError, match="also extra"):
        read_dataset("folder", tmp_path)
    put(tmp_path / "k/FUNGUS/a.png")
    with pytest.raises(DataError, match=r"'FUNGUS' .* NORMAL, BACTERIA, VIRUS"):
        read_dataset("kermany", tmp_path / "k")


def test_kermany_shares_a_patient_only_within_a_class(tmp_path):
    for name in (
        "train/BACTERIA/person1_bacteria_1.jpeg",
        "train/BACTERIA/person1_bacteria_2.jpeg",
        "train/NORMAL/IM-0115-0001.jpeg",
        "train/NORMAL/NORMAL2-IM-0115-0001.jpeg",
        "test/VIRUS/person1_virus_7.jpeg",
    ):
        put(tmp_path / name)
    films = read_dataset("kermany", tmp_path)
    assert sorted(set(films.patients)) == ["IM-0115", "NORMAL2-IM-0115", "person1_bacteria", "person1_virus"]


@pytest.mark.parametrize("table", ["films.csv", "labels.csv"])
def test_csv_by_convention(tmp_path, table):
    lines = ["path,labels,patient,view,split,age,site,dose"]
    for number in range(6):
        put(tmp_path / f"a/{number}.png")
        names = ["", "No Finding", "Edema", "Mass|Edema", "Mass", ""][number]
        split = ["train", "train", "val", "valid", "test", "test"][number]
        patient = max(number, 1)
        lines.append(f"a/{number}.png,{names},p{patient},PA,{split},{number * 10},Basel,0.{number}")
    (tmp_path / table).write_text("\n".join(lines) + "\n\n", encoding="utf-8")
    films = read_dataset("csv", tmp_path)
    assert films.label_names == ("Edema", "Mass")
    assert films.labels.tolist() == [[0, 0], [0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]
    assert films.splits.tolist() == ["train", "train", "valid", "valid", "test", "test"]
    assert films.patients.tolist() == ["p1", "p1", "p2", "p3", "p4", "p5"]
    assert films.columns.keys() == {"age", "site", "dose"}
    assert films.column("age").dtype == np.int64
    assert films.column("dose").dtype == np.float64
    assert films.column("site").tolist() == ["Basel"] * 6
    assert films.read(3).shape == (8, 8)


def test_csv_with_a_card(tmp_path):
    spec = tmp_path / "mine.toml"
    spec.write_text(
        """
name = "mine"
title = "Hospital films"
reader = "csv"
labels = ["Opacity", "Nodule"]
views = ["frontal"]
[consolidate]
Opacity = ["Edema", "Pneumonia"]
[files]
tables = ["export.csv"]
images = ["png"]
[columns]
path = "file"
id = "accession"
patient = "mrn"
view = "projection"
positive = ["yes"]
negative = ["no"]
uncertain = ["?"]
""",
        encoding="utf-8",
    )
    rows = ["file,accession,mrn,projection,Edema,Pneumonia,Nodule", "a.png,A1,7,frontal,no,yes,?"]
    rows += ["b.png,A2,8,frontal,?,no,no", "c.png,A3,9,lateral,no,no,no", "d.png,A4,9,frontal,no,no,yes"]
    (tmp_path / "export.csv").write_text("\n".join(rows), encoding="utf-8")
    for name in "abc":
        put(tmp_path / "png" / f"{name}.png")
    films = read_dataset(spec, tmp_path)
    assert films.ids.tolist() == ["A1", "A2"]
    assert films.patients.tolist() == ["7", "8"]
    assert films.labels.tolist() == [[1, -1], [-1, 0]]
    assert [(problem.id, problem.reason) for problem in films.problems] == [("A4", "there is no such file")]
    (tmp_path / "export.csv").write_text("\n".join(rows).replace("yes,?", "yes,maybe"), encoding="utf-8")
    with pytest.raises(DataError, match=r"Nodule of film a.png is 'maybe': give one of 'no', 'yes', '\?'"):
        read_dataset(spec, tmp_path)
    (tmp_path / "export.csv").write_text("\n".join(rows).replace("mrn", "pid"), encoding="utf-8")
    with pytest.raises(DataError, match="no column mrn"):
        read_dataset(spec, tmp_path)


def test_csv_absolute_paths(tmp_path):
    put(tmp_path / "elsewhere/a.png")
    (tmp_path / "films.csv").write_text(f"path,labels\n{tmp_path}/elsewhere/a.png,Edema\n", encoding="utf-8")
    assert read_dataset("csv", tmp_path).paths.tolist() == [f"{tmp_path}/elsewhere/a.png"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,labels\na.png,Edema\n", "no column path"),
        ("path,Edema\na.png,1\n", "no column labels, and the dataset spec 'csv' names no labels"),
        ("path,labels\nb.png,Edema\n", "none of the 1 films .*b.png: there is no such file"),
        ("path,labels\n", "none of the 0 films"),
        ("path,labels,split\na.png,Edema,holdout\n", "split 'holdout'"),
        ("path,labels,split,id\na.png,Edema,train,1\na.png,Edema,,2\n", "1 of 2 films have no split"),
        ("path,labels\na.png,Edema\na.png,Mass\n", "'a.png' occurs more than once"),
        (
            "path,labels,patient,split,id\na.png,Edema,p,train,1\na.png,Edema,p,test,2\n",
            "1 patients have films in more than one split",
        ),
    ],
)
def test_csv_errors(tmp_path, text, message):
    put(tmp_path / "a.png")
    (tmp_path / "films.csv").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_dataset("csv", tmp_path)
