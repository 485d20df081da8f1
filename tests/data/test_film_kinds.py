"""Which files of a folder are films: by suffix, else by content; what is no regular file is never opened."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

import pytest

from graphret._errors import DataError, FilmError
from graphret.data import ImageTable, film_kinds, read_dataset
from graphret.data.listing import Folders, file_problem, open_regular
from graphret.data.raw import RAW_BYTES

FOUR = ["A/0.png", "A/1.png", "B/0.png", "B/1.png"]


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("film", "PNG"),
        ("film.jfif", "JPEG"),
        ("film.webp", "PNG"),
        ("film.PNG.bak", "PNG"),
        ("film.0001", "TIFF"),
        ("film.gif", "GIF"),
        ("1.2.840.10008.5", "DICOM"),
        ("IM000001", "DICOM"),
        ("bitmap", "BMP"),
    ],
)
def test_what_begins_like_a_film_is_one_whatever_its_name(root, name, form, put, read):
    put(root / "A" / name, form)
    films = read(root)
    assert sorted(films.ids) == sorted([*FOUR, f"A/{name}"])
    assert films.problems == ()
    assert films.read(films.ids.tolist().index(f"A/{name}")).shape == (8, 8)


def test_a_raw_film_is_known_by_its_suffix_and_size(root, read, reasons):
    (root / "A/JPCLN001.IMG").write_bytes(bytes(RAW_BYTES))
    (root / "A/JPCLN002.IMG").write_bytes(bytes(RAW_BYTES - 2))
    films = read(root)
    assert films.ids.tolist() == ["A/0.png", "A/1.png", "A/JPCLN001.IMG", *FOUR[2:]]
    assert set(reasons(films)) == {"A/JPCLN002.IMG"}


OTHER_FILES = {
    "notes.txt": (b"BMI,age\n22,57\n" * 20, "no picture"),
    "Thumbs.db": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500), "no picture"),
    ".DS_Store": (b"\0\0\0\1Bud1" + bytes(500), "a hidden file"),
    "._0.png": (b"\0\5\x16\7" + bytes(500), "a hidden file"),
    "report.pdf": (b"%PDF-1.7\n", "a PDF"),
    "films.zip": (b"PK\x03\x04" + bytes(100), "a ZIP archive"),
    "photo.heic": (b"\0\0\0\x18ftypheic" + bytes(100), "a HEIC"),
    "scan.jp2": (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 picture"),
    "DICOMDIR": (bytes(128) + b"DICM" + bytes(100), "a list of films"),
    "short": (b"\x89P", "no picture"),
    "empty": (b"", "the file is empty"),
}


@pytest.mark.parametrize("name", OTHER_FILES)
def test_what_is_no_film_is_counted_with_its_reason(root, name, read):
    content, reason = OTHER_FILES[name]
    (root / "A" / name).write_bytes(content)
    films = read(root)
    assert films.ids.tolist() == FOUR
    (problem,) = films.problems
    assert problem.id == f"A/{name}"
    assert problem.path == str(root / "A" / name)
    assert reason in problem.reason
    assert (films.n_left_out, films.n_other_files) == (0, 1)


def test_a_webp_picture_is_named_as_what_it_is(root, put, read, reasons):
    put(root / "A/film.webp", "WEBP")
    films = read(root)
    assert films.ids.tolist() == FOUR
    assert "a WebP picture, not PNG, JPEG" in reasons(films)["A/film.webp"]


def make_socket(path):
    here = Path.cwd()
    os.chdir(path.parent)  # a socket's path has at most 107 characters
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


SPECIAL = {
    "a named pipe": os.mkfifo,
    "a socket": make_socket,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a named pipe by a link": lambda path: (os.mkfifo(path.parents[2] / "pipe"), path.symlink_to("../../pipe")),
}


@pytest.fixture
def never_opened(monkeypatch):
    """Opening the file fails the test instead of waiting for ever."""
    opened = []

    def note(path):
        opened.append(str(path))
        return open_regular(path)

    monkeypatch.setattr(film_kinds, "open_regular", note)
    return opened


@pytest.mark.parametrize("kind", SPECIAL)
@pytest.mark.parametrize("name", ["x.png", "x"])
def test_pipes_sockets_and_devices_are_refused_without_opening_them(root, kind, name, never_opened, read, reasons):
    path = root / "A" / name
    SPECIAL[kind](path)
    reason = f"it is {kind.removesuffix(' by a link')}, not a file"
    films = read(root)
    assert films.ids.tolist() == FOUR
    assert reasons(films) == {f"A/{name}": reason}
    assert never_opened == []
    assert file_problem(path) == Folders().problem(path) == reason
    (root / "films.csv").write_text(f"path,labels\nA/{name},Mass\nA/0.png,Mass\n", encoding="utf-8")
    table = read_dataset("csv", root)
    assert reasons(table) == {f"A/{name}": reason}
    alone = ImageTable(ids=["x"], paths=[str(path)], labels=[[1]], label_names=("Mass",))
    with pytest.raises(FilmError, match=reason):
        alone.read(0)
    if "socket" not in kind:
        with pytest.raises(OSError, match=reason):
            open_regular(path)


def test_names_that_are_not_utf8_are_reported(root, read, reasons):
    for name in (b"A/M\xfcller.png", b"\xff/0.png", b"\xff/deep/1.png", b"A/\xfe\xff"):
        path = os.fsencode(root) + b"/" + name
        Path(os.fsdecode(path)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / "A/0.png", path)
    films = read(root)
    assert films.ids.tolist() == FOUR
    found = reasons(films)
    assert found["A/M\\xfcller.png"] == found["A/\\xfe\\xff"] == "its name is not UTF-8: rename it"
    assert found["\\xff"] == "its name is not UTF-8: rename it, with 2 files"
    assert sum(problem.n_files for problem in films.problems) == 4


def test_a_root_that_is_not_utf8_is_refused_before_anything_is_read(root, tmp_path):
    bad = tmp_path / os.fsdecode(b"\xfc")
    shutil.move(root, bad)
    with pytest.raises(DataError, match=r"\\xfc has a name that is not UTF-8, and an index cannot store it: rename"):
        read_dataset("folder", bad)
    with pytest.raises(DataError, match=r"paths holds '/\\xfc.png', which is not UTF-8"):
        ImageTable(ids=["a"], paths=[os.fsdecode(b"/\xfc.png")], labels=[], label_names=())
