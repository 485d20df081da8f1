"""Folders as people have them: links, systems' own folders, loose films; each file once, each file counted."""

from __future__ import annotations

import os
import shutil

import pytest

from graphret._errors import DataError
from graphret.data import read_dataset, walk
from graphret.data.listing import list_folder

FOUR = ["A/0.png", "A/1.png", "B/0.png", "B/1.png"]


@pytest.fixture
def listed(monkeypatch):
    """Folders that were listed."""
    seen = []

    def note(path):
        seen.append(os.path.realpath(path))
        return list_folder(path)

    monkeypatch.setattr(walk, "list_folder", note)
    return seen


@pytest.mark.parametrize(
    "links",
    [
        {"A/again": "."},
        {"A/up": ".."},
        {"A/x": "..", "A/y": "..", "B/x": "..", "B/y": "../A"},
        {"A/all": "/"},
        {"all": "/"},
        {"A/proc": "/proc", "A/sys": "/sys", "A/dev": "/dev"},
        {"A/there": "../B", "B/back": "../A"},
        {"A/self": "self"},
        {"0": "A", "C": "B"},
        {".all": "/", "A/@x": ".."},
    ],
    ids=str,
)
def test_links_that_lead_back_or_out_multiply_nothing(root, listed, links, read, reasons):
    for name, target in links.items():
        (root / name).symlink_to(target)
    films = read(root)
    assert films.ids.tolist() == FOUR
    assert films.label_names == ("A", "B")
    assert set(reasons(films)) == set(links)
    assert all("link" in reason or "of the system" in reason for reason in reasons(films).values())
    assert sorted(set(listed)) == sorted(str(path) for path in (root, root / "A", root / "B"))
    assert len(listed) == 2 * 3  # each folder once a reading


def test_a_link_to_a_folder_above_the_root_by_another_name(root, listed, read, reasons):
    (root / "A/far").symlink_to(root.parent)
    (root.parent / "alias").symlink_to(root)
    films = read(root.parent / "alias")
    assert films.ids.tolist() == FOUR
    assert set(reasons(films)) == {"A/far"}


def test_links_out_of_the_root_are_followed_once(root, tmp_path, put, read, reasons):
    for name in ("a.png", "deep/b.png"):
        put(tmp_path / "disk" / name)
    (root / "A/one").symlink_to(tmp_path / "disk")
    (root / "C").symlink_to(tmp_path / "disk")
    films = read(root)
    assert films.ids.tolist() == [*FOUR, "C/a.png", "C/deep/b.png"]  # of two links the one nearer to the root counts
    assert films.label_names == ("A", "B", "C")
    assert reasons(films) == {"A/one": "a link to the folder C, read there"}


def test_classes_and_splits_may_be_links(root, tmp_path, put, read):
    (tmp_path / "set").mkdir()
    (tmp_path / "set/train").symlink_to(root)
    put(tmp_path / "other/A/9.png")
    (tmp_path / "set/test").symlink_to(tmp_path / "other")
    films = read(tmp_path / "set")
    assert films.ids[films.splits == "test"].tolist() == ["test/A/9.png"]
    assert films.label_names == ("A", "B")
    assert films.problems == ()


@pytest.mark.parametrize("link", [os.link, os.symlink])
def test_a_film_with_two_names_is_one_film(root, link, read, reasons):
    link(root / "B/0.png", root / "A/0_again.png")
    films = read(root)
    if link is os.symlink:  # the file itself counts, not the link to it
        assert films.ids.tolist() == FOUR
        assert reasons(films) == {"A/0_again.png": "the same file as B/0.png"}
    else:  # neither is more the file than the other: the first counts
        assert films.ids.tolist() == ["A/0.png", "A/0_again.png", "A/1.png", "B/1.png"]
        assert reasons(films) == {"B/0.png": "the same file as A/0_again.png"}
    assert films.n_left_out == 1


def test_class_folders_of_links_to_loose_films(tmp_path, put, read, reasons):
    for number in range(4):
        put(tmp_path / f"{number}.png")
        (tmp_path / "AB"[number % 2]).mkdir(exist_ok=True)
        (tmp_path / "AB"[number % 2] / f"{number}.png").symlink_to(f"../{number}.png")
    films = read(tmp_path)
    assert films.ids.tolist() == ["A/0.png", "A/2.png", "B/1.png", "B/3.png"]
    assert set(reasons(films).values()) == {"it lies beside the class folders: it has no class"}


@pytest.mark.parametrize("length", [1, 3])
def test_1500_nested_folders(root, length, read):
    """3,000 characters of path are read; 6,000 are more than the system opens, and said."""
    name, parts = "d" * length, ["A"]
    opened = [os.open(root / "A", os.O_RDONLY)]
    try:
        for _ in range(1500):
            os.mkdir(name, dir_fd=opened[-1])
            opened.append(os.open(name, os.O_RDONLY, dir_fd=opened.pop()))
            parts.append(name)
        shutil.copy(root / "B/0.png", root / "deep.png")
        os.rename(root / "deep.png", "deep.png", dst_dir_fd=opened[-1])
        films = read(root)
        if length == 1:
            assert films.ids.tolist() == ["A/0.png", "A/1.png", "/".join([*parts, "deep.png"]), "B/0.png", "B/1.png"]
            assert films.problems == ()
        else:
            assert films.ids.tolist() == FOUR
            assert [problem.reason for problem in films.problems] == ["the folder cannot be read: File name too long"]
    finally:  # rmtree of this Python goes down by recursion
        (root / "deep.png").unlink(missing_ok=True)
        if len(parts) > 1500:
            os.unlink("deep.png", dir_fd=opened[-1])
        while len(parts) > 1:
            opened.append(os.open("..", os.O_RDONLY, dir_fd=opened[-1]))
            os.rmdir(parts.pop(), dir_fd=opened[-1])
            os.close(opened.pop(0))
        os.close(opened.pop())


@pytest.mark.parametrize(
    "folder",
    [
        "@eaDir",
        "$RECYCLE.BIN",
        ".thumbnails",
        ".git",
        "__MACOSX",
        "#recycle",
        "System Volume Information",
        "lost+found",
    ],
)
@pytest.mark.parametrize("place", ["", "A"])
def test_folders_of_the_system_are_not_read_and_their_files_counted(root, folder, place, put, read):
    for name in ("0.png", "0.png_thumbs/small.jpg", "notes"):
        put(root / place / folder / name)
    films = read(root)
    assert films.ids.tolist() == FOUR
    assert films.label_names == ("A", "B")
    (problem,) = films.problems
    assert (problem.id, problem.n_files, problem.is_film) == (f"{place}/{folder}".strip("/"), 3, False)
    assert problem.reason == "a folder of the system, with 3 files"
    (root / "B/link").symlink_to(root / place / folder)
    assert read(root).ids.tolist() == FOUR


def test_loose_films_have_no_class(root, put, read, reasons):
    put(root / "loose.png")
    put(root / "without_suffix")
    (root / "README.txt").write_text("read me", encoding="utf-8")
    films = read(root)
    assert films.ids.tolist() == FOUR
    assert set(reasons(films)) == {"loose.png", "without_suffix", "README.txt"}
    assert (films.n_left_out, films.n_other_files) == (2, 1)
    shutil.move(root, root.parent / "set/train")
    put(root.parent / "set/also.png")
    put(root.parent / "set/test/A/2.png")
    films = read(root.parent / "set")
    assert films.n_left_out == 3
    assert len(films) == 5


def test_only_loose_films_are_an_error_that_says_so(tmp_path, put):
    put(tmp_path / "loose.png")
    with pytest.raises(DataError, match=r"one folder per class.*loose.png: it lies beside the class folders"):
        read_dataset("folder", tmp_path)


def test_every_file_is_a_film_or_counted(root, put, read):
    """Thousands of a kind are one entry beyond the first hundred, and still counted."""
    for number in range(130):
        (root / "A" / f"{number:03}.txt").write_text("text", encoding="utf-8")
        os.link(root / "B/0.png", root / "B" / f"x{number:03}.png")
    for name in ("A/@eaDir/0.png/thumb.jpg", "A/.thumbnails/x.png", "A/deep/film", "loose.png"):
        put(root / name)
    (root / "B/gone.png").symlink_to("nowhere.png")
    (root / "B/empty.dcm").write_bytes(b"")
    films = read(root)
    n_files = sum(len(names) for _, _, names in os.walk(root))
    assert len(films) + films.n_left_out + films.n_other_files == n_files
    assert films.n_left_out == 130 + 3
    assert len(films.problems) < 230
    rest = [problem for problem in films.problems if problem.n_files == 30]
    assert [problem.is_film for problem in rest] == [True, False]
    assert all(problem.reason.endswith(" (and 29 more like it)") for problem in rest)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read(root, read, reasons):
    (root / "B").chmod(0)
    try:
        films = read(root)
    finally:
        (root / "B").chmod(0o755)
    assert films.ids.tolist() == FOUR[:2]
    assert reasons(films) == {"B": "the folder cannot be read: Permission denied"}


def test_slices_of_scans_follow_the_same_rules(tmp_path, put, reasons):
    for name in ("W0001/a.dcm", "W0001/b", "W0002/s/c.dcm"):
        put(tmp_path / name, "DICOM")
    put(tmp_path / "W0001/preview.png")
    put(tmp_path / "@eaDir/x.dcm")
    (tmp_path / "W0001/again").symlink_to("..")
    (tmp_path / "body_parts.csv").write_text("file,body_part\nW0001,lung\nW0002,heart\n", encoding="utf-8")
    films = read_dataset("via-elcap", tmp_path)
    assert films.ids.tolist() == ["W0001/a.dcm", "W0001/b", "W0002/s/c.dcm"]
    assert films.patients.tolist() == ["W0001", "W0001", "W0002"]
    assert set(reasons(films)) == {"W0001/preview.png", "@eaDir", "W0001/again"}
    assert "a PNG, not DICOM" in reasons(films)["W0001/preview.png"]
