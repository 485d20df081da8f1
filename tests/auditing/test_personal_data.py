"""Personal data in columns, tags and pixels: what is put in is found, by row, and never repeated."""

from __future__ import annotations

import json

import numpy as np
import pydicom
import pytest
from PIL import Image, ImageDraw, ImageFont
from pydicom.data import get_testdata_file

from graphret._errors import InvalidParameterError
from graphret.auditing import audit_phi
from graphret.auditing.burned_in import text_lines
from graphret.auditing.personal_tags import personal_tags
from graphret.cli import main
from graphret.data import ImageTable, generate_phantom, read_dataset, read_film


def table(**columns):
    n = len(next(iter(columns.values())))
    return ImageTable(ids=[f"f{row}" for row in range(n)], paths=[], labels=[], columns=columns)


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ("Miller^Anna", "values like a person's name"),
        ("seen by Dr. Brown", "values like a person's name"),
        ("MILLER_ANNA", "values like a person's name"),
        ("anna.miller@example.org", "values like an e-mail address"),
        ("+49 221 478-4711", "values like a telephone number"),
        ("born 31.12.1950", "values like a full date"),
        ("19501231", "values like a full date"),
        ("1.2.840.113619.2.5.1762583153", "values like a DICOM UID"),
        ("00471100", "values like a long number"),
        ("no effusion, heart of normal size today", "values like free text"),
    ],
)
def test_values(value, what):
    found = audit_phi(table(ward=["x", value, "y", value])).suspicions
    assert (what, 2, (1, 3)) in [(one.what, one.n_films, one.rows) for one in found]
    assert value not in json.dumps([one.what + one.place for one in found])


def test_ordinary_columns_are_none():
    plain = table(projection=["PA", "AP"], sex=["F", "M"], age=np.array([40.0, 3.5]), hash=["0a" * 16, "ff" * 16],
                  file=["images/p00001_00.png", "images/p00002_01.png"])  # fmt: skip
    assert not audit_phi(plain).suspicions


def test_names_of_columns():
    (found,) = audit_phi(table(patient_birth_year=["x", ""])).suspicions
    assert (found.place, found.what, found.n_films) == ("patient_birth_year", "called like personal data", 1)


def test_tags(tmp_path):
    (tmp_path / "a").mkdir()
    data = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
    data.PatientID, data.SOPInstanceUID = "4711", "1.2.3"
    data.PatientName, data.StudyDate, data.PatientComments, data.PatientBirthDate = "Miller^Anna", "20240101", "ill", ""
    data.private_block(0x0011, "X", create=True).add_new(1, "LO", "Miller")
    item = pydicom.Dataset()
    item.ReferringPhysicianName = "Brown"
    data.RequestAttributesSequence = [item]
    data.save_as(tmp_path / "a" / "film")
    found = personal_tags(tmp_path / "a" / "film")
    assert found["PatientName"] == found["ReferringPhysicianName"] == "a person's name"
    assert found["PatientComments"] == "free text"
    assert found["StudyDate"] == "a date"
    assert "PatientBirthDate" not in found
    assert {"PatientID", "private tags", "SOPInstanceUID"} <= set(found)
    films = ImageTable(ids=["x"], paths=[str(tmp_path / "a" / "film")], labels=[])
    said = json.dumps(audit_phi(films).to_dict())
    assert '"PatientName"' in said
    assert "Miller" not in said
    assert "4711" not in said


def with_text(film, text, size, *, place=(0.05, 0.05), value=255):
    picture = Image.fromarray(np.rint(film * 254).astype(np.uint8))
    at = int(place[0] * picture.width), int(place[1] * picture.height)
    ImageDraw.Draw(picture).text(at, text, fill=value, font=ImageFont.load_default(size))
    return np.asarray(picture, dtype=np.float32) / 255


@pytest.mark.parametrize("side", [256, 512])
def test_burned_in_text_is_found_and_films_without_are_not(tmp_path, side):
    generate_phantom(tmp_path, 40, size=side)
    films = [read_film(path) for path in read_dataset("phantom", tmp_path).paths.tolist()]
    rng = np.random.default_rng(0)
    marked = [
        with_text(film, "MILLER ANNA 4711", int(rng.integers(14, 30)), place=rng.uniform(0.02, 0.3, 2))
        for film in films
    ]
    assert np.mean([text_lines(film) > 0 for film in marked]) >= 0.9
    assert np.mean([text_lines(film) > 0 for film in films]) <= 0.05
    assert not text_lines(with_text(np.zeros_like(films[0]), "L", 24))
    assert text_lines(1 - with_text(np.zeros_like(films[0]), "MILLER ANNA", 24)) == 1
    noise = np.random.default_rng(0).random((side, side)).astype(np.float32)
    assert not text_lines(noise)


def test_the_command(tmp_path, capsys):
    root = tmp_path / "films" / "a"
    root.mkdir(parents=True)
    for number in range(3):
        film = with_text(np.full((200, 300), 0.3, np.float32), "MILLER ANNA" if number == 1 else "", 20)
        Image.fromarray(np.rint(film * 255).astype(np.uint8)).save(root / f"{number}.png")
    (root / "3.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(50))
    call = ["audit-phi", "--data", "folder", "--root", str(tmp_path / "films"), "--out", str(tmp_path / "phi.json")]
    assert main([*call, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["n_looked_at"], document["n_unreadable"]) == (4, 1)
    assert [(one["kind"], one["rows"]) for one in document["suspicions"] if one["kind"] != "column"] == [
        ("burned-in text", [1])
    ]
    assert json.loads((tmp_path / "phi.json").read_text()) == document
    assert main(call) == 0
    assert "burned-in text" in capsys.readouterr().out
    assert main(["audit-phi"]) == 2
    with pytest.raises(InvalidParameterError):
        audit_phi(table(a=["x"]), n_films=0)
