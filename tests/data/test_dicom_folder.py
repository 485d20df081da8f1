"""Archives of DICOM files: any names, DICOMDIR trees, frames, tags as columns, identifiers as salted hashes."""

from __future__ import annotations

import json
import logging
import os
import stat
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.fileset import FileSet
from pydicom.uid import generate_uid

from graphret._errors import DataError, DatasetSpecError
from graphret.data import ImageTable, generate_phantom, read_dataset, read_film, read_pixels
from graphret.data.cards import DatasetSpec, read_dataset_spec
from graphret.data.pseudonyms import Pseudonyms, pseudonym


@pytest.fixture(autouse=True)
def _salt(tmp_path, monkeypatch):
    monkeypatch.setenv("GRAPHRET_SALT_FILE", str(tmp_path / "secret" / "salt"))
    monkeypatch.setattr(pydicom.config.settings, "_writing_validation_mode", pydicom.config.IGNORE)  # odd values too
    monkeypatch.setattr(pydicom.config.settings, "reading_validation_mode", pydicom.config.IGNORE)


@pytest.fixture
def archive(tmp_path, put_dicom):
    """archive.put(name, **tags) writes a film of 8 x 8 under archive/."""
    root = tmp_path / "archive"

    def put(name, *, frames=1, **tags):
        path = root / name
        put_dicom(path)
        data = pydicom.dcmread(path)
        data.SOPInstanceUID = tags.pop("SOPInstanceUID", generate_uid())
        data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
        data.Modality = "DX"
        if frames > 1:
            data.NumberOfFrames = frames
            data.PixelData = b"".join((np.full((8, 8), 100 * n, np.uint16)).tobytes() for n in range(1, frames + 1))
        for key, value in tags.items():
            setattr(data, key, value)
        data.save_as(path, enforce_file_format=True)
        return path

    return SimpleNamespace(put=put, root=root)


def spec(**dicom):
    files = {"tables": dicom.pop("tables")} if "tables" in dicom else {}
    columns = dicom.pop("columns", {})
    content = {"name": "d", "title": "d", "reader": "dicom", "dicom": dicom, "files": files, "columns": columns}
    return DatasetSpec.from_json(content)


def test_a_film_is_found_by_the_hash_of_its_uid_as_a_film(archive):
    archive.put("a.dcm", SOPInstanceUID="1.2.840.1")
    archive.put("b.dcm", SOPInstanceUID="1.2.840.2", frames=2)
    ids = read_dataset(spec(frames="each"), archive.root).ids.tolist()
    several = pseudonym("1.2.840.2", kind="film")
    assert ids == [pseudonym("1.2.840.1", kind="film"), f"{several}#1", f"{several}#2"]
    assert pseudonym("1.2.840.1") not in ids


def test_tags_become_columns_and_identifiers_hashes(archive):
    archive.put("a/IM0001", PatientID="MILLER-4711", PatientName="Miller^Anna", ViewPosition="pa", PatientSex="F",
            PatientAge="058Y", StudyDate="20240131", StudyInstanceUID="1.2.3", AccessionNumber="77")  # fmt: skip
    archive.put("b/1.2.840.1", PatientID="MILLER-4711", PatientBirthDate="19800615", StudyDate="20240614")
    archive.put("b/odd.dcm", PatientAge="unknown", PatientSex="?", StudyDate="20249999")
    table = read_dataset("dicom", archive.root)
    assert len(table) == 3
    first, second, odd = (table.select([row]) for row in range(3))
    assert first.patients[0] == second.patients[0] == pseudonym("MILLER-4711") != odd.patients[0]
    assert first.columns["study"][0] == pseudonym("1.2.3", "study")
    assert (first.views[0], first.columns["sex"][0], first.columns["date"][0]) == ("PA", "F", "2024-01-31")
    np.testing.assert_array_equal(table.columns["age"], np.float32([58, 43, np.nan]))
    assert (odd.columns["sex"][0], odd.columns["date"][0]) == ("", "")
    arrow = json.dumps(table.to_arrow().to_pydict()) + str(table.to_arrow().schema.metadata)
    salt = (archive.root.parent / "secret" / "salt").read_text().strip()
    for secret in ("MILLER", "Miller", "4711", "1.2.3", "19800615", salt):
        assert secret not in arrow
    assert all(read_film(path).shape == (8, 8) for path in table.paths)
    assert ImageTable.from_arrow(table.to_arrow()).origin == table.origin


def test_identifiers_may_be_kept_and_further_tags_added(archive):
    uid = generate_uid()
    archive.put("film", SOPInstanceUID=uid, PatientID="p1", StationName="room 3", StudyInstanceUID="1.2")
    table = read_dataset(spec(identifiers="keep", tags={"station": "StationName"}), archive.root)
    assert (table.ids[0], table.patients[0], table.columns["study"][0]) == (uid, "p1", "1.2")
    assert table.columns["station"].tolist() == ["room 3"]
    assert not (archive.root.parent / "secret").exists()


@pytest.mark.parametrize(("frames", "expected"), [("first", [1]), ("middle", [3]), ("each", [1, 2, 3, 4, 5])])
def test_frames_by_option(archive, frames, expected):
    path = archive.put("run.dcm", frames=5)
    archive.put("film.dcm")
    table = read_dataset(spec(frames=frames, identifiers="keep"), archive.root)
    of_run = [film for film in table.paths.tolist() if "#" in film]
    assert of_run == [f"{path}#frame={number}" for number in expected]
    for row, film in enumerate(table.paths.tolist()):
        number = int(film.partition("frame=")[2] or 0)
        pixels = table.read(row)
        assert number == 0 or np.allclose(pixels, pixels[0, 0])
        np.testing.assert_array_equal(pixels, read_pixels(film))


def test_frames_are_refused_unless_said(archive):
    archive.put("run.dcm", frames=5)
    archive.put("film.dcm")
    table = read_dataset("dicom", archive.root)
    assert len(table) == 1
    (problem,) = table.problems
    assert problem.id == "run.dcm"
    assert '"first", "middle" or "each"' in problem.reason


@pytest.mark.parametrize("frames", ["4097", "99999999999999999999"])
def test_impossible_numbers_of_frames_are_problems(archive, frames):
    archive.put("film.dcm")
    data = pydicom.dcmread(archive.put("run.dcm", frames=5))
    data.NumberOfFrames = 5
    data["NumberOfFrames"]._value = frames
    data.save_as(archive.root / "run.dcm")
    table = read_dataset(spec(frames="each"), archive.root)
    assert [problem.id for problem in table.problems] == ["run.dcm"]
    assert "number of frames" in table.problems[0].reason


def test_dicomdir_trees(tmp_path, archive):
    source = [archive.put(f"in/{number}.dcm", PatientID=f"p{number}", StudyInstanceUID=generate_uid(),
                      SeriesInstanceUID=generate_uid(), PatientName="x", StudyDate="20240101", StudyTime="1200",
                      StudyID="1", SeriesNumber="1", InstanceNumber="1") for number in range(3)]  # fmt: skip
    files = FileSet()
    for path in source:
        files.add(path)
    tree = tmp_path / "disc"
    files.write(tree)
    files._stage["t"].cleanup()  # it would warn when it is collected
    table = read_dataset("dicom", tree)
    assert len(table) == 3
    assert [problem.is_film for problem in table.problems] == [False]  # the list itself
    Path(table.paths[1]).unlink()
    again = read_dataset("dicom", tree)
    assert len(again) == 2
    missing = [problem for problem in again.problems if problem.is_film]
    assert [problem.reason for problem in missing] == ["the DICOMDIR lists it, but it is not there, or no film"]


@pytest.mark.parametrize("place", [["..", "secret.dcm"], ["/etc", "passwd"], ["a/../..", "b"], ["a"] * 9])
def test_a_list_that_leads_out_is_not_followed(archive, place):
    archive.put("film.dcm")
    record, lists = Dataset(), Dataset()
    record.DirectoryRecordType, record.ReferencedFileID = "IMAGE", place
    lists.DirectoryRecordSequence = [record]
    lists.file_meta, lists.preamble = pydicom.dataset.FileMetaDataset(), bytes(128)
    lists.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    pydicom.dcmwrite(archive.root / "DICOMDIR", lists)
    table = read_dataset("dicom", archive.root)
    assert len(table) == 1
    assert "its place in the DICOMDIR leads out of the folder" in [problem.reason for problem in table.problems]


def test_other_files_are_counted_and_named(archive):
    uid = generate_uid()
    archive.put("a.dcm", SOPInstanceUID=uid)
    archive.put("copy.dcm", SOPInstanceUID=uid)
    archive.put("ct.dcm", Modality="CT")
    report = pydicom.dcmread(archive.put("report.dcm"))
    del report.Rows
    report.save_as(archive.root / "report.dcm")
    (archive.root / "broken.dcm").write_bytes(bytes(128) + b"DICM" + b"\xff" * 60)
    (archive.root / "readme.txt").write_text("x")
    os.mkfifo(archive.root / "pipe.dcm")
    (archive.root / "DICOMDIR").write_bytes(bytes(128) + b"DICM" + b"\x02" * 77)
    table = read_dataset(spec(modalities=["DX"]), archive.root)
    assert len(table) == 1
    reasons = {problem.id: (problem.reason, problem.is_film) for problem in table.problems}
    assert reasons["copy.dcm"] == ("the same picture as a.dcm", False)
    assert reasons["ct.dcm"] == ("of another modality", False)
    assert reasons["report.dcm"] == ("a DICOM file without an image", False)
    assert "broken.dcm" in reasons
    assert reasons["pipe.dcm"][0] == "it is a named pipe, not a file"
    assert "no picture" in reasons["readme.txt"][0]
    assert "DICOMDIR" in reasons


def test_of_a_picture_that_was_cut_off_the_whole_copy_is_taken(archive):
    uid = generate_uid()
    archive.put("b.dcm", SOPInstanceUID=uid)
    whole = (archive.root / "b.dcm").read_bytes()
    for name, content in (("a.dcm", whole[:-100]), ("c.dcm", whole)):
        (archive.root / name).write_bytes(content)
    table = read_dataset(spec(identifiers="keep"), archive.root)
    assert [Path(path).name for path in table.paths] == ["b.dcm"]
    assert [problem.id for problem in table.problems] == ["a.dcm", "c.dcm"]
    assert {problem.reason for problem in table.problems} == {"the same picture as b.dcm"}


def test_labels_of_a_tag_and_of_a_table(archive):
    archive.put("a", BodyPartExamined="CHEST", AccessionNumber="7")
    archive.put("b", BodyPartExamined="HAND", AccessionNumber="8")
    archive.put("c", AccessionNumber="9")
    table = read_dataset(spec(labels="BodyPartExamined", identifiers="keep"), archive.root)
    assert table.label_names == ("CHEST", "HAND")
    assert table.labels.tolist() == [[1, 0], [0, 1], [0, 0]]
    (archive.root / "reports.csv").write_text("accession,labels\n8,Mass|Edema\n7,Edema\n10,Mass\n")
    table = read_dataset(spec(tables=["reports.csv"], columns={"id": "accession"}), archive.root)
    assert table.label_names == ("Edema", "Mass")
    assert table.labels.tolist() == [[1, 0], [1, 1]]
    assert "the table of labels has no row for it" in [problem.reason for problem in table.problems]
    (archive.root / "reports.csv").write_text("accession,labels\n8,Mass\n8,Edema\n")
    with pytest.raises(DataError, match=r"line 2 of .*'accession' comes again"):
        read_dataset(spec(tables=["reports.csv"], columns={"id": "accession"}), archive.root)


def test_wrong_specs_are_refused(archive):
    archive.put("a")
    with pytest.raises(DatasetSpecError, match=r"dicom.view = 'Projection' is no keyword of DICOM"):
        read_dataset(spec(view="Projection"), archive.root)
    with pytest.raises(DatasetSpecError, match=r"dicom.frames = 'last' is not allowed: give one of refuse, first"):
        spec(frames="last")
    with pytest.raises(DatasetSpecError, match=r"dicom.identifiers = 'none' is not allowed: give hash or keep"):
        spec(identifiers="none")


def test_specs_without_dicom_keep_their_hash():
    """Indexes store the hash of their spec: a new block must not change it."""
    assert "dicom" not in read_dataset_spec("nih").to_json()
    assert DatasetSpec.from_json(spec(frames="each").to_json()) == spec(frames="each")


def test_a_value_in_the_wrong_place_is_not_repeated(archive, caplog):
    data = pydicom.dcmread(archive.put("film"))
    archive.put("good")
    data.add_new("PatientAge", "LO", "Miller^Anna" * 40)
    data.save_as(archive.root / "film")
    with caplog.at_level(logging.DEBUG):
        table = read_dataset("dicom", archive.root)
    assert [problem.reason for problem in table.problems] == ["the value of PatientAge has more than 255 characters"]
    assert "Miller" not in caplog.text


def test_the_salt_is_made_once_and_closed_to_others(tmp_path, caplog):
    path = tmp_path / "folder" / "salt"
    first = Pseudonyms(path)
    assert "a new salt was made" in caplog.text
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    caplog.clear()
    assert Pseudonyms(path).of("patient", "1") == first.of("patient", "1") != first.of("study", "1")
    assert not caplog.text
    other = tmp_path / "other"
    other.write_text("y" * 40)
    assert Pseudonyms(other).of("patient", "1") != first.of("patient", "1")
    assert "may be read by others" in caplog.text
    other.write_text("short")
    with pytest.raises(DataError, match="has 5 characters: give 16 to"):
        Pseudonyms(other)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="named pipe"):
        Pseudonyms(tmp_path / "pipe")


def test_phantom_films_as_dicom_are_their_png(tmp_path, archive):
    """The same pixels, so the same codes."""
    generate_phantom(tmp_path / "png", 4, size=64)
    table = read_dataset("phantom", tmp_path / "png")
    for row in range(len(table)):
        pixels = table.read_pixels(row)
        data = pydicom.dcmread(archive.put("template"))
        (archive.root / "template").unlink()
        data.Rows, data.Columns = pixels.shape
        data.BitsAllocated, data.BitsStored, data.HighBit = 8, 8, 7
        data.PixelData = pixels.tobytes()
        data["PixelData"].VR = "OB"
        data.SOPInstanceUID = f"1.2.{row}"
        data.save_as(archive.root / f"IM{row}")
    films = read_dataset(spec(identifiers="keep"), archive.root)
    for row in range(len(films)):
        np.testing.assert_allclose(films.read(row), table.read(row), atol=1e-7)


@pytest.mark.parametrize("deflated", [False, True])
@pytest.mark.parametrize(
    ("tags", "difference"),
    [
        ({"PatientID": "MILLER"}, "another patient"),
        ({"StudyInstanceUID": "1.2.4"}, "another study"),
        ({"PixelData": bytes(126) + b"\1\1"}, "another picture"),
        ({"Rows": 4, "Columns": 16}, "another picture"),
        ({"AccessionNumber": "2", "NumberOfFrames": 1}, ""),
    ],
)
def test_two_pictures_of_one_uid_are_named(archive, tags, difference, deflated):
    """They were taken for copies, and one was dropped as harmless."""
    same = {"SOPInstanceUID": generate_uid(), "PatientID": "JONES", "StudyInstanceUID": "1.2.3"}
    archive.put("a.dcm", **same, PatientComments="the larger one " * 4)
    path = archive.put("b.dcm", **same | tags)
    if deflated:
        data = pydicom.dcmread(path)
        data.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
        data.save_as(path)
    table = read_dataset("dicom", archive.root)
    assert [Path(path).name for path in table.paths] == ["a.dcm"]
    (problem,) = table.problems
    assert (problem.id, problem.is_film, table.n_left_out) == ("b.dcm", bool(difference), int(bool(difference)))
    if difference:
        assert problem.reason.startswith(f"the same SOPInstanceUID as a.dcm, but {difference}: ")
        assert "MILLER" not in problem.reason
    else:
        assert problem.reason == "the same picture as a.dcm"


@pytest.mark.parametrize("syntax", ["ImplicitVRLittleEndian", "ExplicitVRBigEndian", "RLELossless"])
def test_pixels_of_one_uid_are_compared_as_they_are_stored(archive, syntax):
    uid = generate_uid()
    for name, last in (("a.dcm", 0), ("b.dcm", 0), ("c.dcm", 1)):
        path = archive.put(name, SOPInstanceUID=uid, PixelData=bytes(range(1, 128)) + bytes([last]))
        data = pydicom.dcmread(path)
        if syntax == "RLELossless":
            data.compress(pydicom.uid.RLELossless, generate_instance_uid=False)
            data.save_as(path)
            continue
        data.file_meta.TransferSyntaxUID = getattr(pydicom.uid, syntax)
        big = syntax == "ExplicitVRBigEndian"
        pydicom.dcmwrite(path, data, implicit_vr=syntax[0] == "I", little_endian=not big, force_encoding=True)
    table = read_dataset("dicom", archive.root)
    assert {problem.id: problem.is_film for problem in table.problems} == {"b.dcm": False, "c.dcm": True}
