"""The readers of the archives on small trees: layouts, headers, splits, films that are missing or empty."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from PIL import Image

from graphret._errors import DataError, MissingFileError, UnknownNameError
from graphret.data import read_dataset, read_dataset_spec

FILM = np.arange(64, dtype=np.uint8).reshape(8, 8)


def put(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(FILM).save(path)


HEADERS = {
    "unquoted": "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]",
    "quoted": "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Sex,View Position,"
    '"OriginalImage[Width","Height]","OriginalImagePixelSpacing[x","y]"',
    "one name": "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Sex,View Position,"
    '"OriginalImage[Width,Height]","OriginalImagePixelSpacing[x,y]"',
    "trailing comma": "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],",
}
NIH_FILMS = [f"{patient:08d}_{visit:03d}.png" for patient in range(1, 11) for visit in range(2)]


def nih_rows():
    findings = ["No Finding", "Edema|Mass", "Hernia", "Effusion", "Nodule|Pneumonia"]
    for number, film in enumerate(NIH_FILMS):
        age = ["57", "058Y", "018M", "073D"][number % 4]
        patient = int(film[:8])
        view = "PA" if number % 2 else "AP"
        yield f"{film},{findings[number % 5]},{number % 2},{patient},{age},M,{view},2682,2749,0.143,0.143"


def make_nih(root, *, header="unquoted", table="Data_Entry_2017.csv", layout="images", films=NIH_FILMS):
    root.mkdir(exist_ok=True)
    (root / table).write_text("\n".join([HEADERS[header], *nih_rows()]) + "\n", encoding="utf-8")
    for number, film in enumerate(films):
        folder = {"images": "images", "flat": ".", "twelve": f"images_{number % 12 + 1:03d}/images"}[layout]
        put(root / folder / film)
    return root


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("table", ["Data_Entry_2017.csv", "Data_Entry_2017_v2020.csv"])
def test_nih_headers(tmp_path, header, table):
    films = read_dataset("nih", make_nih(tmp_path / "nih", header=header, table=table))
    assert films.ids.tolist() == NIH_FILMS
    assert films.label_names == read_dataset_spec("nih").labels
    names = [[name for name, value in zip(films.label_names, row, strict=True) if value] for row in films.labels]
    assert names[:5] == [[], ["Edema", "Mass"], [], ["Effusion"], ["Pneumonia", "Nodule"]]
    assert films.patients[:3].tolist() == ["1", "1", "2"]
    assert films.views[:2].tolist() == ["AP", "PA"]
    np.testing.assert_allclose(films.column("age")[:4], [57, 58, 1.5, 73 / 365.25], rtol=1e-6)
    assert films.column("follow_up")[:2].tolist() == [0, 1]
    assert films.column("sex")[0] == "M"


@pytest.mark.parametrize("layout", ["images", "flat", "twelve"])
def test_nih_layouts(tmp_path, layout):
    films = read_dataset("nih", make_nih(tmp_path / "nih", layout=layout))
    assert len(films) == len(NIH_FILMS)
    assert films.problems == ()
    np.testing.assert_array_equal(films.read(7), FILM.astype(np.float32) / np.float32(255))


def test_nih_healthy_class(tmp_path):
    films = read_dataset("nih-15", make_nih(tmp_path / "nih"))
    assert films.labels[:, films.label_names.index("No Finding")].tolist() == [1, 0, 0, 0, 0] * 4
    assert films.labels[2, films.label_names.index("Hernia")] == 1


def test_nih_missing_empty_and_dangling_films_are_problems(tmp_path):
    root = make_nih(tmp_path / "nih", films=NIH_FILMS[3:])
    (root / "images" / NIH_FILMS[1]).write_bytes(b"")
    (root / "images" / NIH_FILMS[2]).symlink_to(root / "nowhere.png")
    films = read_dataset("nih", root)
    assert films.ids.tolist() == NIH_FILMS[3:]
    assert [problem.id for problem in films.problems] == NIH_FILMS[:3]
    assert [problem.reason for problem in films.problems] == [
        "there is no such file",
        "the file is empty (0 bytes)",
        "it is a link to a file that is not there",
    ]
    assert films.problems[1].path.endswith(NIH_FILMS[1])


def test_nih_nothing_there(tmp_path):
    with pytest.raises(MissingFileError, match="folder of the data set"):
        read_dataset("nih", tmp_path / "nowhere")
    with pytest.raises(MissingFileError, match=r"Data_Entry_2017_v2020.csv, Data_Entry_2017.csv"):
        read_dataset("nih", tmp_path)
    with pytest.raises(DataError, match=r"none of the 20 films .* images_.*no such file"):
        read_dataset("nih", make_nih(tmp_path / "nih", films=[]))


def test_nih_official_lists(tmp_path):
    root = make_nih(tmp_path / "nih")
    (root / "train_val_list.txt").write_text("\n".join(NIH_FILMS[:14]), encoding="utf-8")
    (root / "test_list.txt").write_text("\n".join(NIH_FILMS[14:18]) + "\n", encoding="utf-8")
    films = read_dataset("nih", root)
    assert set(films.ids[films.splits == "test"]) == set(NIH_FILMS[14:18])
    assert {"train", "valid", "test"} == set(films.splits)
    films.check_patients()
    assert [problem.reason for problem in films.problems] == ["it is in neither of the official split lists"] * 2
    assert read_dataset("nih", root, "test").ids.tolist() == NIH_FILMS[14:18]


def test_nih_lists_that_share_a_patient_are_refused(tmp_path):
    root = make_nih(tmp_path / "nih")
    (root / "train_val_list.txt").write_text("\n".join(NIH_FILMS[:15]), encoding="utf-8")
    (root / "test_list.txt").write_text("\n".join(NIH_FILMS[15:]), encoding="utf-8")
    with pytest.raises(DataError, match="1 patients have films in more than one split, first 8"):
        read_dataset("nih", root)
    spec = dataclasses.replace(read_dataset_spec("nih"), allow_shared_patients=True)
    assert (read_dataset(spec, root).splits == "test").sum() == 5


def test_nih_without_lists_is_split_by_patient(tmp_path):
    root = make_nih(tmp_path / "nih")
    films = read_dataset("nih", root)
    films.check_patients()
    assert set(films.splits) == {"train", "valid", "test"}
    again = read_dataset("nih", root)
    assert again.splits.tolist() == films.splits.tolist()
    spec = read_dataset_spec("nih")
    other = read_dataset(dataclasses.replace(spec, splits=dataclasses.replace(spec.splits, seed=5)), root)
    assert other.splits.tolist() != films.splits.tolist()


def test_nih_wrong_tables(tmp_path):
    root = make_nih(tmp_path / "nih")
    table = root / "Data_Entry_2017.csv"
    text = table.read_text(encoding="utf-8")
    table.write_text(text.replace("Effusion", "Efusion"), encoding="utf-8")
    with pytest.raises(DataError, match="unknown finding 'Efusion': known are Atelectasis"):
        read_dataset("nih", root)
    table.write_text(text[:-30], encoding="utf-8")
    with pytest.raises(DataError, match=r"line 21 .* cut off"):
        read_dataset("nih", root)
    table.write_text(text.replace("View Position", "View"), encoding="utf-8")
    with pytest.raises(DataError, match="no column View Position: its header is"):
        read_dataset("nih", root)
    table.write_text("", encoding="utf-8")
    with pytest.raises(DataError, match="is empty"):
        read_dataset("nih", root)
    table.write_bytes(b"\xff\xfe\x00binary")
    with pytest.raises(DataError, match="cannot be read"):
        read_dataset("nih", root)


def test_wrong_split_and_card(tmp_path):
    with pytest.raises(UnknownNameError, match=r"split='tset'.*did you mean 'test'"):
        read_dataset("nih", tmp_path, "tset")
    with pytest.raises(UnknownNameError, match="dataset spec='nhi'"):
        read_dataset("nhi", tmp_path)


CHEXPERT_HEADER = (
    "Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Enlarged Cardiomediastinum,Cardiomegaly,Lung Opacity,Lung Lesion,"
    "Edema,Consolidation,Pneumonia,Atelectasis,Pneumothorax,Pleural Effusion,Pleural Other,Fracture,Support Devices"
)


def make_chexpert(root, *, prefix="CheXpert-v1.0-small/", keep_prefix=False, valid=True):
    def line(path, view, labels):
        side = "Lateral" if view == "" else "Frontal"
        return f"{prefix}{path},Female,68,{side},{view},{labels}"

    mixed = ",-1.0,1.0,,,0.0,-1.0,,,,,,,1.0"
    train = []
    for patient in range(1, 31):
        folder = f"train/patient{patient:05d}/study1"
        train += [line(f"{folder}/view1_frontal.jpg", "PA" if patient % 2 else "AP", mixed)]
        train += [line(f"{folder}/view2_lateral.jpg", "", mixed)]
    tests = [line("valid/patient64541/study1/view1_frontal.jpg", "AP", "0.0," * 13 + "1.0")]
    root.mkdir()
    base = root / prefix if keep_prefix else root
    base.mkdir(exist_ok=True)
    for name, rows in (("train", train), ("valid", tests)) if valid else (("train", train),):
        (base / f"{name}.csv").write_text("\n".join([CHEXPERT_HEADER, *rows]) + "\n", encoding="utf-8")
        for row in rows:
            put(base / row.split(",")[0].removeprefix(prefix))
    return root


@pytest.mark.parametrize("prefix", ["CheXpert-v1.0-small/", "CheXpert-v1.0/", ""])
@pytest.mark.parametrize("keep_prefix", [True, False])
def test_chexpert(tmp_path, prefix, keep_prefix):
    films = read_dataset("stanford", make_chexpert(tmp_path / "chexpert", prefix=prefix, keep_prefix=keep_prefix))
    assert len(films) == 31  # frontal views only
    assert set(films.views) == {"PA", "AP"}
    assert films.ids[0] == "train/patient00001/study1/view1_frontal.jpg"
    assert films.patients[0] == "patient00001"
    labels = dict(zip(films.label_names, films.labels[0].tolist(), strict=True))
    assert labels == {
        "Atelectasis": 0,
        "Enlarged Cardiomediastinum": -1,
        "Cardiomegaly": 1,
        "Pleural Effusion": 0,
        "Pneumothorax": 0,
        "Lung Opacity": 0,
        "Consolidation": -1,
        "Edema": 0,
        "Pneumonia": 0,
    }
    assert films.ids[films.splits == "test"].tolist() == ["valid/patient64541/study1/view1_frontal.jpg"]
    assert 0 < (films.splits == "valid").sum() < (films.splits == "train").sum()
    assert films.relevance()[0].sum() == 3
    assert films.read(0).shape == (8, 8)


def test_chexpert_consolidated(tmp_path):
    films = read_dataset("stanford-u", make_chexpert(tmp_path / "chexpert"))
    labels = dict(zip(films.label_names, films.labels[0].tolist(), strict=True))
    assert labels["Enlarged Heart"] == 1  # positive over uncertain
    assert labels["Opacities"] == -1  # uncertain over negative


def test_chexpert_other_views(tmp_path):
    spec = dataclasses.replace(read_dataset_spec("stanford"), views=())
    films = read_dataset(spec, make_chexpert(tmp_path / "chexpert"))
    assert (films.views == "LATERAL").sum() == 30


def test_chexpert_without_valid_is_split_three_ways(tmp_path):
    films = read_dataset("stanford", make_chexpert(tmp_path / "chexpert", valid=False))
    assert set(films.splits) == {"train", "valid", "test"}


def test_chexpert_problems(tmp_path):
    root = make_chexpert(tmp_path / "chexpert")
    (root / "train/patient00001/study1/view1_frontal.jpg").unlink()
    (root / "train/patient00002/study1/view1_frontal.jpg").write_bytes(b"")
    films = read_dataset("stanford", root)
    assert [problem.reason for problem in films.problems] == ["there is no such file", "the file is empty (0 bytes)"]
    assert len(films) == 29
    table = root / "train.csv"
    table.write_text(table.read_text(encoding="utf-8").replace("-1.0,1.0,,,0.0", "-1.0,2.0,,,0.0"), encoding="utf-8")
    with pytest.raises(DataError, match=r"Cardiomegaly of .*patient00001.* is '2.0': give 1, 0, -1"):
        read_dataset("stanford", root)
