"""DICOM films that arrive in a folder are known by their headers, and never by the names of their files."""

import shutil

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.uid import generate_uid

import graphret
from graphret._errors import DataError
from graphret.data import read_dataset, read_unlabelled
from graphret.data.cards import DatasetSpec
from graphret.data.pseudonyms import pseudonym
from graphret.index import build, watch_folder


@pytest.fixture(autouse=True)
def _salt(tmp_path, monkeypatch):
    monkeypatch.setenv("GRAPHRET_SALT_FILE", str(tmp_path / "salt"))


@pytest.fixture
def folder(tmp_path):
    """Where films arrive, called like a patient."""
    root = tmp_path / "MILLER^ANNA"
    root.mkdir()
    return root


def put(path, patient, **tags):
    data = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
    rng = np.random.default_rng(int(patient))
    data.PixelData = rng.integers(0, 2000, (data.Rows, data.Columns), dtype=np.uint16).tobytes()
    data.PatientID, data.StudyDate, data.ViewPosition = f"id{patient}", "20240131", "PA"
    data.SOPInstanceUID = generate_uid(entropy_srcs=[patient])
    for name, value in tags.items():
        setattr(data, name, value)
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    data.save_as(path)
    return data.SOPInstanceUID


def look(index, folder, encoder, **options):
    return list(watch_folder(index.path, folder, once=True, encoder=encoder, settled=0, **options))


@pytest.fixture
def of_dicom(folder, make_encoder, tmp_path):
    for patient in range(6):
        put(folder / f"known{patient}.dcm", str(patient))
    return build(read_dataset("dicom", folder), make_encoder(), out=tmp_path / "index", k=3, n_threads=1)


def test_films_are_known_by_their_headers(of_dicom, folder, make_encoder, tmp_path):
    uid = put(folder / "MILLER_ANNA.dcm", "6")
    put(folder / "another_of_id1", "7", PatientID="id1")
    shutil.copy(folder / "known2.dcm", folder / "copy of known2.dcm")
    (change,) = look(of_dicom, folder, make_encoder())
    assert (change.counts["added"], change.counts["left_out"]) == (2, 0)
    films = graphret.open(of_dicom.path).films
    assert len(films) == 8
    assert "MILLER_ANNA" not in "".join([*films.ids, *films.patients])
    (row,) = np.flatnonzero(films.ids == pseudonym(uid, "film"))
    assert films.patients[row] == pseudonym("id6")
    assert (films.columns["date"][row], films.views[row]) == ("2024-01-31", "PA")
    assert (films.patients == pseudonym("id1")).sum() == 2
    expected = read_dataset("dicom", folder)
    assert dict(zip(films.ids, films.patients, strict=True)) == dict(zip(expected.ids, expected.patients, strict=True))
    assert look(of_dicom, folder, make_encoder()) == []


def test_without_the_salt_nothing_is_added(of_dicom, folder, make_encoder, tmp_path):
    put(folder / "new.dcm", "6")
    (tmp_path / "salt").unlink()
    with pytest.raises(DataError, match=r"named by a salt, and there is none at .*salt.*GRAPHRET_SALT_FILE"):
        look(of_dicom, folder, make_encoder())
    assert not (tmp_path / "salt").exists()
    assert graphret.open(of_dicom.path).n_films == 6


def test_the_index_says_how_headers_are_read(folder, make_encoder, tmp_path):
    """Not the spec of that name, but the one that the index was built by."""
    for patient in range(6):
        put(folder / f"known{patient}.dcm", str(patient))
    spec = DatasetSpec.from_json({"name": "ward", "title": "w", "reader": "dicom", "dicom": {"identifiers": "keep"}})
    index = build(read_dataset(spec, folder), make_encoder(), out=tmp_path / "index", k=3, n_threads=1)
    uid = put(folder / "new.dcm", "6")
    look(index, folder, make_encoder())
    films = graphret.open(index.path).films
    assert (films.ids[-1], films.patients[-1]) == (uid, "id6")
    assert not (tmp_path / "salt").exists()


def test_films_that_cannot_be_taken_are_left_out_by_name(of_dicom, folder, make_encoder, tmp_path):
    """With a film that can, and alone; nothing has to be taken for that to be said."""
    empty = tmp_path / "empty"
    empty.mkdir()
    put(empty / "run.dcm", "8", NumberOfFrames=5)
    (change,) = look(of_dicom, empty, make_encoder())
    assert ([problem.id for problem in change.problems], change.counts["left_out"]) == (["run.dcm"], 1)
    assert change.generation == graphret.open(of_dicom.path).generation
    shutil.copy(empty / "run.dcm", folder)
    shutil.copy(folder / "known3.dcm", folder / "a copy.dcm")
    put(folder / "other patient.dcm", "3", PatientID="id77")
    put(folder / "new.dcm", "6")
    (change,) = look(of_dicom, folder, make_encoder())
    assert sorted(problem.id for problem in change.problems) == ["other patient.dcm", "run.dcm"]
    assert change.counts["left_out"] == 2
    assert pseudonym("id77") not in graphret.open(of_dicom.path).films.patients


def test_a_header_is_read_again_when_its_file_changes(of_dicom, folder, make_encoder):
    looks = []

    def stop():
        looks.append(None)
        if len(looks) == 9:
            put(folder / "known0.dcm", "9", PatientComments="another film in the same place")
        return len(looks) > 20

    list(watch_folder(of_dicom.path, folder, every=0.01, settled=0, encoder=make_encoder(), stop=stop))
    assert pseudonym("id9") in graphret.open(of_dicom.path).films.patients


@pytest.fixture
def of_pictures(film_table, make_encoder, tmp_path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for path in film_table.paths[:8]:
        shutil.copy(path, pictures)
    put(pictures / "built.dcm", "0")
    return build(read_unlabelled(pictures), make_encoder(), out=tmp_path / "index", k=3, n_threads=1), pictures


def test_an_index_of_pictures_reads_headers_too(of_pictures, make_encoder, film_table):
    """What it has under its place stays there, and pictures get none of the columns."""
    index, pictures = of_pictures
    uid = put(pictures / "MILLER_ANNA.dcm", "6")
    put(pictures / "jones.png", "7")
    shutil.copy(film_table.paths[8], pictures)
    changes = look(index, pictures, make_encoder())
    assert sum(change.counts["added"] for change in changes) == 3
    films = graphret.open(index.path).films
    of = dict(zip(films.ids.tolist(), films.patients.tolist(), strict=True))
    assert of[pseudonym(uid, "film")] == pseudonym("id6")
    assert pseudonym("id7") in of.values()
    assert (of["film08.png"], of["built.dcm"]) == ("film08.png", "built.dcm")
    assert "MILLER_ANNA.dcm" not in of
    assert "jones.png" not in of
    assert films.columns["date"].tolist().count("2024-01-31") == 2
    assert look(index, pictures, make_encoder()) == []


def test_pictures_come_to_an_index_of_dicom_as_before(of_dicom, folder, make_encoder, film_table):
    shutil.copy(film_table.paths[0], folder)
    look(of_dicom, folder, make_encoder())
    assert graphret.open(of_dicom.path).films.ids[-1] == "film00.png"


def test_no_salt_is_made_for_pictures_alone(of_pictures, make_encoder, tmp_path, film_table):
    index, pictures = of_pictures
    shutil.copy(film_table.paths[8], pictures)
    look(index, pictures, make_encoder())
    assert not (tmp_path / "salt").exists()


def test_paths_are_absolute(of_pictures, make_encoder, film_table, monkeypatch):
    """They led nowhere from another folder."""
    index, pictures = of_pictures
    shutil.copy(film_table.paths[8], pictures)
    put(pictures / "new.dcm", "6")
    monkeypatch.chdir(pictures.parent)
    look(index, pictures.name, make_encoder())
    paths = graphret.open(index.path).films.paths.tolist()
    assert {str(pictures / "film08.png"), str(pictures / "new.dcm")} <= {*paths}
