"""The readers of the papers' other archives, on small copies of the layouts of their owners, broken ones too."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from PIL import Image

from graphret._errors import DataError, DatasetSpecError, FilmError, MissingFileError
from graphret.data import list_dataset_specs, read_dataset, read_dataset_spec, read_film
from graphret.data.cards import CardSample
from graphret.data.raw import RAW_BYTES
from graphret.data.sample import sample_films
from graphret.data.table import ImageTable

FILM = np.arange(64, dtype=np.uint8).reshape(8, 8)
NODULES = [
    "JPCLN001.IMG\t5\t15\t53\tMale\t1634\t692\tmalignant\tl.upper lobe\tlung cancer",
    "JPCLN002.IMG\t5\t30\t78\tFemale\t1614\t1090\tbenign\tl.upper lobe(S3)\tgranuloma",
    "JPCLN003.IMG\t4\t20\t?\tFemale\t534\t1000\tmalignant\tr.upper lobe\tlung cancer",
]
OTHERS = ["JPCNN001.IMG\t70\tmale\tnon-nodule", "JPCNN002.IMG\t59\tfemale\tnon-nodule"]


def put(path, picture=FILM):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)


@pytest.fixture
def jsrt(tmp_path):
    folder = tmp_path / "Clinical_Information"
    folder.mkdir()
    (folder / "CLNDAT_EN.txt").write_text("\n".join(NODULES) + "\n", encoding="utf-8")
    (folder / "CNNDAT_EN.TXT").write_text("\n".join(OTHERS) + "\n", encoding="utf-8")
    for name in ("JPCLN001", "JPCLN002", "JPCLN003", "JPCNN001", "JPCNN002"):
        put(tmp_path / "images" / f"{name}.png")
    return tmp_path


def test_the_cards_are_listed():
    assert {"jsrt", "fundus", "tcia-ct", "via-elcap", "nih-osdh"} <= set(list_dataset_specs())


def test_jsrt_reads_nodules_and_what_is_known_of_them(jsrt):
    table = read_dataset("jsrt", jsrt)
    assert table.ids.tolist() == ["JPCLN001", "JPCLN002", "JPCLN003"]
    assert table.labels.tolist() == [[1, 0], [0, 1], [1, 0]]
    assert table.patients.tolist() == table.ids.tolist()
    np.testing.assert_array_equal(table.column("age"), [53, 78, np.nan])
    assert table.column("size_mm").tolist() == [15, 30, 20]
    assert table.column("diagnosis").tolist() == ["lung cancer", "granuloma", "lung cancer"]
    assert table.column("mask").tolist() == ["", "", ""]
    assert table.read(0).shape == (8, 8)


def test_jsrt_with_films_without_nodules(jsrt):
    spec = dataclasses.replace(read_dataset_spec("jsrt"), labels=("malignant", "benign", "non-nodule"))
    table = read_dataset(spec, jsrt)
    assert table.labels.sum(axis=0).tolist() == [2, 1, 2]
    assert table.column("age").tolist()[-2:] == [70, 59]
    assert table.column("sex").tolist()[-2:] == ["male", "female"]


def test_jsrt_raw_films_are_inverted_and_checked(tmp_path):
    values = np.zeros((2048, 2048), dtype=">u2")
    values[0, 0], values[0, 1] = 4095, 1365
    path = tmp_path / "JPCLN001.IMG"
    values.tofile(path)
    assert path.stat().st_size == RAW_BYTES
    film = read_film(path)
    assert film.shape == (2048, 2048)
    np.testing.assert_allclose(film[0, :3], [0, 2 / 3, 1], atol=1e-6)
    values[5, 5] = 4096
    values.tofile(path)
    with pytest.raises(FilmError, match="largest value is 4096: the raw films of JSRT have 12 bits"):
        read_film(path)
    path.write_bytes(bytes(range(10)) * 100)
    with pytest.raises(FilmError, match="not an image"):
        read_film(path)


def test_jsrt_prefers_the_raw_film_and_finds_masks(jsrt):
    np.zeros((2048, 2048), dtype=">u2").tofile(jsrt / "images" / "JPCLN001.IMG")
    for fold, name in (("fold1", "JPCLN001"), ("fold2", "JPCLN002")):
        for lung in ("left lung", "right lung"):
            put(jsrt / "scratch" / fold / "masks" / lung / f"{name}.gif", (FILM > 30).astype(np.uint8) * 255)
    put(jsrt / "masks" / "JPCLN002.png")
    table = read_dataset("jsrt", jsrt)
    assert table.paths[0].endswith("JPCLN001.IMG")
    masks = table.column("mask").tolist()
    assert [path[len(str(jsrt)) + 1 :] for path in masks[0].split("|")] == [
        f"scratch/fold1/masks/{lung} lung/JPCLN001.gif" for lung in ("left", "right")
    ]
    assert masks[1].endswith("masks/JPCLN002.png")
    assert masks[2] == ""
    assert set(np.unique(read_film(masks[0].split("|")[0]))) == {0.0, 1.0}


def test_jsrt_films_that_are_missing_are_named(jsrt):
    (jsrt / "images" / "JPCLN002.png").unlink()
    (jsrt / "images" / "JPCLN003.png").write_bytes(b"")
    table = read_dataset("jsrt", jsrt)
    assert table.ids.tolist() == ["JPCLN001"]
    assert [problem.id for problem in table.problems] == ["JPCLN002", "JPCLN003"]
    (jsrt / "images" / "JPCLN001.png").unlink()
    with pytest.raises(DataError, match=r"none of the 3 films .* names such as JPCLN001.IMG"):
        read_dataset("jsrt", jsrt)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no film\t1\n", "line 1 .* begins with 'no film'"),
        ("JPCLN001.IMG\t5\t15\n", "has 3 values"),
        (NODULES[0].replace("malignant", "unclear"), "'unclear' is not known: give malignant or benign"),
        ("\n\n", "has no film"),
    ],
)
def test_jsrt_tables_that_are_none(jsrt, text, message):
    (jsrt / "Clinical_Information" / "CLNDAT_EN.txt").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_dataset("jsrt", jsrt)


def test_jsrt_without_its_table(tmp_path):
    with pytest.raises(MissingFileError, match="CLNDAT_EN"):
        read_dataset("jsrt", tmp_path)


ORIGA = {
    "OrigaList.csv": "Eye,Filename,ExpCDR,Set,Glaucoma\nOD,001.jpg,0.7097,A,0\n"
    "OS,002.jpg,0.6953,A,1\nOD,003.jpg,,B,0\n",
    "origa_info.csv": "Image,Source,CDR,Label\n/a/Images/001.jpg,x,0.7097,0\n002.jpg,x,0.6953,1\n003.jpg,x,,0\n",
}


@pytest.mark.parametrize("name", ORIGA)
def test_fundus_in_both_releases(tmp_path, name):
    (tmp_path / name).write_text(ORIGA[name], encoding="utf-8")
    for number in (1, 2, 3):
        put(tmp_path / "Images" / f"00{number}.jpg", np.stack([FILM] * 3, axis=2))
    put(tmp_path / "Masks" / "001.png", (FILM > 30).astype(np.uint8))
    table = read_dataset("fundus", tmp_path)
    assert table.ids.tolist() == ["001", "002", "003"]
    assert table.labels.tolist() == [[0, 1], [1, 0], [0, 1]]
    np.testing.assert_allclose(table.column("cdr"), [0.7097, 0.6953, np.nan], rtol=1e-6)
    ends = [path.endswith("Masks/001.png#classes=0,1,2") for path in table.column("mask").tolist()]
    assert ends == [True, False, False]


def test_fundus_that_is_broken(tmp_path):
    with pytest.raises(MissingFileError, match=r"OrigaList.csv"):
        read_dataset("fundus", tmp_path)
    path = tmp_path / "OrigaList.csv"
    path.write_text(ORIGA["OrigaList.csv"], encoding="utf-8")
    with pytest.raises(DataError, match="none of the 3 images"):
        read_dataset("fundus", tmp_path)
    put(tmp_path / "Images" / "001.jpg")
    assert [problem.id for problem in read_dataset("fundus", tmp_path).problems] == ["002", "003"]
    path.write_text(ORIGA["OrigaList.csv"].replace("A,1", "A,maybe"), encoding="utf-8")
    with pytest.raises(DataError, match=r"class of 002.jpg is 'maybe': give 1"):
        read_dataset("fundus", tmp_path)
    path.write_text("Eye,Set\nOD,A\n", encoding="utf-8")
    with pytest.raises(DataError, match="no column Filename or Image"):
        read_dataset("fundus", tmp_path)


TCIA = (
    "Series UID,Collection,3rd Party Analysis,Data Description URI,Subject ID,Study UID,Study Description,Study Date,"
    "Series Description,Manufacturer,Modality,SOP Class Name,SOP Class UID,Number of Images,File Size,File Location,"
    "Download Timestamp"
)


def tcia_row(number, collection, subject, modality, location):
    start = f"1.2.{number},{collection},NO,doi,{subject},1.3.{number},study,01-01-2008,series,maker,{modality}"
    return f"{start},CT Image Storage,1.2,2,1 MB,{location},2026-01-01"


@pytest.fixture
def tcia(tmp_path, put_dicom):
    rows = [
        tcia_row(1, "NSCLC-Radiomics", "LUNG1-001", "CT", ".\\NSCLC-Radiomics\\LUNG1-001\\s1\\a"),
        tcia_row(2, "NSCLC-Radiomics", "LUNG1-001", "SEG", ".\\NSCLC-Radiomics\\LUNG1-001\\s1\\seg"),
        tcia_row(3, "Pancreas-CT", "PANCREAS_0001", "CT", "./Pancreas-CT/PANCREAS_0001/s/b"),
        tcia_row(4, "RIDER NEURO MRI", "RIDER-1", "MR", "RIDER NEURO MRI/RIDER-1/s/c"),
        tcia_row(5, "COVID-19-AR", "X", "CT", "./COVID/X/s/d"),
    ]
    home = tmp_path / "manifest-1"
    home.mkdir()
    (home / "metadata.csv").write_text("\n".join([TCIA, *rows]) + "\n", encoding="utf-8")
    places = ("NSCLC-Radiomics/LUNG1-001/s1/a", "Pancreas-CT/PANCREAS_0001/s/b", "RIDER NEURO MRI/RIDER-1/s/c")
    for folder in (*places, "NSCLC-Radiomics/LUNG1-001/s1/seg", "COVID/X/s/d"):
        for number in (1, 2):
            put_dicom(home / folder / f"1-{number:02}.dcm")
        (home / folder / "LICENSE").write_text("terms", encoding="utf-8")
    return tmp_path


def test_tcia_trees(tcia):
    table = read_dataset("tcia-ct", tcia)
    assert len(table) == 6
    assert table.label_names == ("lung", "pancreas", "neuro", "bladder")
    assert table.labels.sum(axis=0).tolist() == [2, 2, 2, 0]
    assert table.ids[0] == "manifest-1/NSCLC-Radiomics/LUNG1-001/s1/a/1-01.dcm"
    assert sorted(set(table.patients.tolist())) == [
        "NSCLC-Radiomics/LUNG1-001",
        "Pancreas-CT/PANCREAS_0001",
        "RIDER NEURO MRI/RIDER-1",
    ]
    assert sorted(set(table.views.tolist())) == ["CT", "MR"]
    assert table.read(0).shape == (8, 8)
    assert table.column("series")[0] == "1.2.1"


def test_tcia_that_is_broken(tcia, tmp_path_factory):
    home = tcia / "manifest-1"
    (home / "Pancreas-CT/PANCREAS_0001/s/b/1-01.dcm").write_bytes(b"")
    for path in (home / "RIDER NEURO MRI").rglob("*.dcm"):
        path.unlink()
    table = read_dataset("tcia-ct", tcia)
    assert table.labels.sum(axis=0).tolist() == [2, 1, 0, 0]
    reasons = [problem.reason for problem in table.problems if problem.is_film]
    assert reasons == ["the file is empty (0 bytes)", "the folder of the series has no slice"]
    assert [problem.id.rpartition("/")[2] for problem in table.problems if not problem.is_film] == ["LICENSE"] * 3
    (home / "metadata.csv").write_text(TCIA.replace("Modality,", "") + "\n", encoding="utf-8")
    with pytest.raises(DataError, match="no column Modality"):
        read_dataset("tcia-ct", tcia)
    with pytest.raises(MissingFileError, match=r"metadata.csv"):
        read_dataset("tcia-ct", tmp_path_factory.mktemp("empty"))
    (home / "metadata.csv").write_text(TCIA + "\n", encoding="utf-8")
    with pytest.raises(DataError, match="no slice of the collections NSCLC-Radiomics"):
        read_dataset("tcia-ct", tcia)


def test_elcap_by_table_and_by_header(tmp_path, put_dicom):
    for scan in ("W0001", "W0002"):
        for number, part in enumerate(("CHEST", "ABDOMEN", "")):
            put_dicom(tmp_path / scan / "1.2.3" / "S02A01" / f"{number}.dcm", part)
    table = read_dataset("via-elcap", tmp_path)
    assert table.label_names == ("ABDOMEN", "CHEST")
    assert table.patients.tolist() == ["W0001", "W0001", "W0002", "W0002"]
    assert [problem.reason for problem in table.problems] == ["its header names no body part (BodyPartExamined)"] * 2
    lines = ["file,body_part", "W0001,upper lung", "W0002/1.2.3/S02A01/0.dcm,lower lung", "W0002/1.2.3/,heart"]
    (tmp_path / "body_parts.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    table = read_dataset("via-elcap", tmp_path)
    assert len(table) == 6
    assert table.label_names == ("heart", "lower lung", "upper lung")
    assert table.labels.sum(axis=0).tolist() == [2, 1, 3]


def test_elcap_that_is_broken(tmp_path):
    with pytest.raises(MissingFileError, match="folder of the data set"):
        read_dataset("via-elcap", tmp_path / "nowhere")
    with pytest.raises(DataError, match="no slice with a body part"):
        read_dataset("via-elcap", tmp_path)
    (tmp_path / "W0001").mkdir()
    (tmp_path / "W0001" / "a.dcm").write_bytes(b"no dicom file at all")
    with pytest.raises(DataError, match=r"first, W0001/a.dcm: its header cannot be read"):
        read_dataset("via-elcap", tmp_path)


def many(n=60):
    return ImageTable(
        ids=np.array([f"film{number}" for number in range(n)]),
        paths=[],
        labels=np.stack([np.arange(n) % 2, (np.arange(n) + 1) % 2], axis=1).astype(np.int8),
        label_names=("odd", "even"),
        splits=np.array(["train", "train", "valid", "test"] * (n // 4)),
    )


def test_a_sample_depends_on_ids_alone():
    table, sample = many(), CardSample(per_label={"odd": 25}, per_split={"train": 20, "test": 5})
    kept = sample_films(table, sample)
    assert int((kept.splits == "test").sum()) == 5
    assert int((kept.splits != "test").sum()) == 20
    assert int(sample_films(table, CardSample(per_label={"odd": 7})).labels[:, 0].sum()) == 7
    turned = sample_films(table.select(np.arange(60)[::-1]), sample)
    assert sorted(kept.ids.tolist()) == sorted(turned.ids.tolist())
    other = sample_films(table, dataclasses.replace(sample, seed=1))
    assert sorted(kept.ids.tolist()) != sorted(other.ids.tolist())
    assert len(sample_films(table, CardSample(per_split={"train": 500}))) == 60


def test_a_sample_of_fewer_films_chooses_the_same_among_them():
    sample = CardSample(per_label={"odd": 5})
    chosen = set(sample_films(many(), sample).ids.tolist())
    part = many().select(np.arange(40))
    again = set(sample_films(part, sample).ids.tolist())
    assert {name for name in chosen if name in set(part.ids.tolist())} <= again


def test_cards_with_a_wrong_sample_are_refused():
    spec = read_dataset_spec("jsrt")
    with pytest.raises(DatasetSpecError, match=r"sample.per_label = 'cyst'"):
        dataclasses.replace(spec, sample=CardSample(per_label={"cyst": 3}))
    with pytest.raises(
        DatasetSpecError, match=r"sample.per_split = 'valid' .* train \(valid is taken from it\) or test"
    ):
        dataclasses.replace(spec, sample=CardSample(per_split={"valid": 3}))


def test_facts_of_the_papers():
    assert read_dataset_spec("jsrt").facts.films == 154
    assert read_dataset_spec("fundus").facts.positive == {"glaucoma": 168, "normal": 482}
    assert (
        read_dataset_spec("tcia-ct").facts.films == sum(read_dataset_spec("tcia-ct").facts.positive.values()) == 199_000
    )
    assert read_dataset_spec("via-elcap").facts.films == 12_000
    assert read_dataset_spec("nih-osdh").sample.per_split == {"train": 12_000, "test": 1_000}
