"""Marks of films: kept outside of the index, and exported as files that evaluation reads."""

import csv
import io

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.uid import generate_uid

import graphret
from graphret import InvalidParameterError, StoreError
from graphret.data import ImageTable
from graphret.evaluation import read_qrels
from graphret.serve.lists import Lists

MARK = {"query": "film 1/ü", "film": "film 2/ü"}


def put(client, name, expected=204, **mark):
    answer = client.put(f"/api/v1/lists/{name}", json={**MARK, **mark})
    assert answer.status_code == expected, answer.text
    return answer


def test_marks_are_kept_and_exported(client, code_root, tmp_path, snapshot):
    before = snapshot(code_root)
    put(client, "teaching", relevance=1)
    put(client, "teaching", relevance=2, note="clear, see\nalso")
    put(client, "teaching", film="film 3/ü", expected=404, relevance=1)
    put(client, "teaching", film="film 4/ü", relevance=0)
    put(client, "teaching", film="film 5/ü", note="=HYPERLINK(1)")
    marks = client.get("/api/v1/lists/teaching").json()
    assert [(mark["film"], mark["relevance"]) for mark in marks] == [
        ("film 2/ü", 2), ("film 4/ü", 0), ("film 5/ü", None),
    ]  # fmt: skip
    assert client.get("/api/v1/lists").json()[0] | {"created": ""} == {"name": "teaching", "created": "", "marks": 3}
    rows = list(csv.DictReader(io.StringIO(client.get("/api/v1/lists/teaching/export").text)))
    assert rows[0]["note"] == "clear, see\nalso"
    assert rows[2]["note"] == "'=HYPERLINK(1)"
    (tmp_path / "qrels").write_text(client.get("/api/v1/lists/teaching/export?format=qrels").text, encoding="utf-8")
    assert read_qrels(tmp_path / "qrels") == {"film 1/ü": {"film 2/ü": 2, "film 4/ü": 0}}
    assert snapshot(code_root) == before


def test_marks_survive_a_restart_and_are_removed(client_of, code_root):
    put(client_of(code_root), "a", relevance=1)
    client = client_of(code_root)
    put(client, "a", relevance=None)
    assert client.get("/api/v1/lists/a").json() == []
    assert client.delete("/api/v1/lists/a").status_code == 204
    assert client.get("/api/v1/lists/a").status_code == 404
    assert client.delete("/api/v1/lists/a").status_code == 404


def test_nothing_is_written_before_the_first_mark(client, tmp_path):
    assert client.get("/api/v1/lists").json() == []
    assert not (tmp_path / "lists.sqlite").exists()


@pytest.mark.parametrize(
    ("mark", "name"),
    [
        ({"relevance": 3}, "a"),
        ({"note": "x" * 5000}, "a"),
        ({"relevance": 1}, "x" * 200),
        ({"relevance": 1}, "%0a"),
        ({"x": 1}, "a"),
    ],
)
def test_a_wrong_mark_is_refused(client, mark, name):
    put(client, name, 422, **mark)
    assert client.get("/api/v1/lists").json() == []


def test_a_folder_that_cannot_be_written_to_is_said_without_its_path(client_of, code_root, tmp_path):
    client = client_of(code_root, lists=tmp_path / "no such folder" / "lists.sqlite")
    said = put(client, "a", 503, relevance=1).json()["error"]["message"]
    assert "cannot be kept" in said
    assert str(tmp_path) not in said
    assert client.post("/api/v1/query", json={"id": "film 1/ü"}).status_code == 200


def test_a_file_that_holds_no_lists_is_left_alone(tmp_path):
    path = tmp_path / "lists.sqlite"
    path.write_bytes(b"something else" * 100)
    with pytest.raises(StoreError, match="not a database"):
        Lists(path).mark("a", "i", "q", "f", relevance=1)
    assert path.read_bytes() == b"something else" * 100


def test_the_class_checks_by_itself(tmp_path):
    lists = Lists(tmp_path / "lists.sqlite")
    for wrong in (True, 3, "1"):
        with pytest.raises(InvalidParameterError, match="relevance"):
            lists.mark("a", "i", "q", "f", relevance=wrong)


@pytest.fixture(scope="module")
def dicom_root(tmp_path_factory):
    """An index of five films of five patients; the last is no DICOM file."""
    home = tmp_path_factory.mktemp("dicom")
    paths = []
    for number in range(4):
        data = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
        data.PatientID, data.PatientName, data.AccessionNumber = f"id{number}", f"Doe{number}^Jo", f"acc{number}"
        data.PatientComments, data.OtherPatientIDs = f"comment{number}", f"other{number}"
        data.StudyInstanceUID, data.SeriesInstanceUID, data.SOPInstanceUID = (generate_uid() for _ in range(3))
        data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
        data.save_as(home / f"{number}.dcm")
        paths.append(str(home / f"{number}.dcm"))
    films = ImageTable(ids=[*"abcde"], paths=[*paths, str(home / "none.png")], labels=[["Mass"]] * 5)
    codes = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    graphret.build(codes, films=films, out=home / "index", k=3, tune=False)
    return home / "index"


def test_a_query_of_a_list_is_a_dicom_report_without_a_patient(client_of, dicom_root):
    pytest.importorskip("highdicom")
    client = client_of(dicom_root)
    for film, relevance in (("b", 2), ("c", 0), ("e", 1), ("d", None)):
        put(client, "ä x", query="a", film=film, relevance=relevance, note="Doe1^Jo was here")
    answer = client.get("/api/v1/lists/ä x/export?format=sr")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/dicom"
    assert answer.headers["x-films-left-out"] == "1"
    report = pydicom.dcmread(io.BytesIO(answer.content))
    films = {name: pydicom.dcmread(dicom_root.parent / f"{number}.dcm") for number, name in enumerate("abcd")}
    assert report.StudyInstanceUID == films["a"].StudyInstanceUID
    query, *parts = report.ContentSequence
    assert query.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == films["a"].SOPInstanceUID
    found = {
        image.ReferencedSOPSequence[0].ReferencedSOPInstanceUID: int(number.MeasuredValueSequence[0].NumericValue)
        for image, number in (part.ContentSequence for part in parts)
    }
    assert found == {films["b"].SOPInstanceUID: 2, films["c"].SOPInstanceUID: 0}
    for said in ("Doe", "id0", "id1", "acc", "comment", "other", films["a"].StudyDate):
        assert said.encode() not in answer.content, said
    assert not report.PatientName
    assert not report.PatientID


def test_the_page_offers_reports_of_films_of_an_index(client_of, dicom_root):
    client = client_of(dicom_root)
    put(client, "x", query="a", film="b", relevance=1)
    put(client, "x", query="film-5e1b", film="b", relevance=1)
    page = client.get("/lists").text
    assert "format=sr&amp;index=index&amp;query=a" in page
    assert "query=film-5e1b" not in page


@pytest.mark.parametrize(
    ("query", "status", "message"),
    [
        ("", 422, "a query of the list: a, e, film-5e1b"),
        ("&query=b", 422, "a query of the list"),
        ("&query=e", 422, "a query that is a DICOM film of the archive"),
        ("&query=film-5e1b", 404, "is not the id of a film"),
        ("&index=other", 422, "index='other'"),
    ],
)
def test_what_is_no_report_is_said(client_of, dicom_root, query, status, message):
    client = client_of(dicom_root)
    for name in ("a", "e", "film-5e1b"):
        put(client, "x", query=name, film="b", relevance=1)
    answer = client.get(f"/api/v1/lists/x/export?format=sr{query}")
    assert answer.status_code == status, answer.text
    assert message in answer.json()["error"]["message"]
