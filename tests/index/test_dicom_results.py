"""Hits as a DICOM structured report, and as a manifest: UIDs, ranks and similarities, and nothing of other patients."""

from __future__ import annotations

import json

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.uid import generate_uid

import graphret
from graphret._errors import InvalidParameterError
from graphret.cli import main
from graphret.data import ImageTable
from graphret.index import describe_hits, dicom_manifest, write_dicom_results


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    """Twelve films of twelve patients; the last is no DICOM file, the one before has frames."""
    home = tmp_path_factory.mktemp("films")
    paths = []
    for number in range(12):
        data = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
        data.PatientID, data.PatientName = f"id{number}", f"Name{number}^X"
        data.StudyInstanceUID, data.SeriesInstanceUID, data.SOPInstanceUID = (generate_uid() for _ in range(3))
        data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
        data.save_as(home / f"{number}.dcm")
        paths.append(str(home / f"{number}.dcm"))
    paths[10] += "#frame=1"
    paths[11] = str(home / "none.png")
    codes = np.random.default_rng(0).normal(size=(12, 8)).astype(np.float32)
    films = ImageTable(ids=[f"f{n}" for n in range(12)], paths=paths, labels=[["Mass"]] * 12)
    return graphret.build(codes, films=films, out=home / "index", k=5, tune=False)


def test_the_report(index, tmp_path):
    document = describe_hits(index, index.query("f3", k=11))
    assert write_dicom_results(tmp_path / "hits.dcm", document) == 10
    report = pydicom.dcmread(tmp_path / "hits.dcm")
    assert report.Modality == "SR"
    assert (report.PatientID, str(report.PatientName)) == ("id3", "Name3^X")
    query = pydicom.dcmread(index.films.paths[3])
    assert report.StudyInstanceUID == query.StudyInstanceUID
    parts = [part for part in report.ContentSequence if part.ValueType == "CONTAINER"]
    assert len(parts) == 10
    with_film = [hit for hit in document["queries"][0]["hits"] if hit["id"] != "f11"]
    for part, hit in zip(parts, with_film, strict=True):
        image, rank, similarity = part.ContentSequence
        film = pydicom.dcmread(hit["path"].removesuffix("#frame=1"))
        assert image.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == film.SOPInstanceUID
        assert int(rank.MeasuredValueSequence[0].NumericValue) == hit["rank"]
        assert float(similarity.MeasuredValueSequence[0].NumericValue) == pytest.approx(hit["similarity"], abs=1e-6)
    said = str(report)
    assert not any(f"Name{n}^" in said or f"id{n}" in said for n in range(12) if n != 3)


def test_the_manifest(index, tmp_path):
    document = describe_hits(index, index.query("f3", k=11))
    assert write_dicom_results(tmp_path / "hits.json", document) == 11
    manifest = json.loads((tmp_path / "hits.json").read_text())
    assert manifest == dicom_manifest(document)
    assert manifest["query"]["uids"]["SOPInstanceUID"] == pydicom.dcmread(index.films.paths[3]).SOPInstanceUID
    of = {hit["id"]: hit for hit in manifest["hits"]}
    assert of["f11"]["uids"] is None
    assert of["f10"]["frame"] == 1
    assert "Name" not in json.dumps(manifest)


def test_what_is_no_report(index, tmp_path):
    with pytest.raises(InvalidParameterError, match="one query"):
        write_dicom_results(tmp_path / "hits.dcm", describe_hits(index, index.query(["f1", "f2"])))
    with pytest.raises(InvalidParameterError, match="a query that is a DICOM film"):
        write_dicom_results(tmp_path / "hits.dcm", describe_hits(index, index.query("f11")))
    assert not (tmp_path / "hits.dcm").exists()


def test_the_option(index, tmp_path, capsys):
    call = ["query", str(index.path), "--id", "f3", "-k", "11", "--sr", str(tmp_path / "hits.dcm")]
    assert main(call) == 0
    assert "1 hits are not in" in capsys.readouterr().err
    assert pydicom.dcmread(tmp_path / "hits.dcm").SOPClassUID.name == "Comprehensive SR Storage"
    assert main([*call[:-1], str(tmp_path / "hits.txt")]) == 2
    assert "a file that ends in .dcm or .json" in capsys.readouterr().err
