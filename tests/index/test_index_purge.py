"""A patient who is purged is in no byte of an index any more."""

import os
import sqlite3
from contextlib import closing

import numpy as np
import pytest

import graphret
from graphret._errors import DataError, InvalidParameterError, MissingFileError, StoreError
from graphret.data import FilmProblem, ImageTable
from graphret.index import build
from graphret.index.lists_file import lists_file
from graphret.serve.lists import Lists

PATIENT = "Nobody-4711"
GONE = [4, 17, 31]


def needles(codes):
    """What a file may not hold: name, ids, paths, and any stretch of a code."""
    found = {b"Nobody", b"4711", b"secret-film", b"secret-folder"}
    for row in GONE:
        unit = codes[row] / np.linalg.norm(codes[row])
        found |= {codes[row].tobytes(), codes[row][:4].tobytes(), unit.astype("<f4").tobytes()}
    return found


def files_with(root, wanted):
    found = []
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        content = path.read_bytes()
        texts = [content]
        if path.suffix == ".parquet":  # compressed pages
            import pyarrow.parquet as pq

            table = pq.read_table(path)
            texts += [repr(table.to_pydict()).encode(), repr(table.schema.metadata).encode()]
        if any(needle in text for text in texts for needle in wanted):
            found.append(path.relative_to(root).as_posix())
    return found


@pytest.fixture
def films(codes):
    patients = [f"patient{row // 2}" for row in range(len(codes))]
    ids = [f"film{row}" for row in range(len(codes))]
    for row in GONE:
        patients[row], ids[row] = PATIENT, f"secret-film-{row}"
    return ImageTable(
        ids=ids,
        paths=[f"/archive/secret-folder/{name}.png" if "secret" in name else f"/archive/{name}.png" for name in ids],
        labels=np.zeros((len(codes), 1), np.int8),
        label_names=("Mass",),
        patients=patients,
        columns={"remark": [f"a note of {patient}" for patient in patients]},
        problems=(
            FilmProblem("other", "/archive/other.png", "half a file"),
            FilmProblem("secret-film-9", f"/archive/{PATIENT}/9.png", "half a file"),
        ),
    )


@pytest.fixture
def index(codes, films, tmp_path):
    """Three generations, all with the patient, and an unfinished build beside them."""
    rows = range(len(codes))
    index = build(codes[:80], films=films.select(rows[:80]), out=tmp_path / "index", k=6, n_threads=1)
    index = index.add(codes[80:], films=films.select(rows[80:]), keep=5)
    index = index.remove("film2", keep=5)
    work = index.path / ".build" / "encode"
    work.mkdir(parents=True)
    np.savez(work / "shard-000000000-ab.npz", stage=np.frombuffer(PATIENT.encode(), np.uint8), codes=codes)
    half = index.path / ".gen-000009.partial-1-ab"
    half.mkdir()
    (half / "films").write_text(PATIENT)
    return index


def test_no_byte_of_the_patient_is_left(index, codes):
    found = files_with(index.path, needles(codes))
    assert {name.split("/")[0] for name in found} == {
        ".build",
        ".gen-000009.partial-1-ab",
        "gen-000001",
        "gen-000002",
        "gen-000003",
    }
    assert "gen-000003/codes.npy" in found
    assert "gen-000003/films.parquet" in found
    assert "gen-000003/problems.json" in found
    purged = index.purge(PATIENT)
    assert files_with(index.path, needles(codes)) == []
    assert sorted(path.name for path in index.path.iterdir()) == ["CURRENT", "LOCK", "gen-000004"]
    assert purged.n_films == len(codes) - 4
    assert [problem.id for problem in purged.films.problems] == ["other"]
    purged.verify()
    assert "film3" in purged.films.ids
    assert purged.query("film3", 3).ids.shape == (1, 3)


def test_a_patient_of_older_generations_only(index, codes):
    removed = index.remove([f"secret-film-{row}" for row in GONE], keep=9)
    assert PATIENT not in removed.films.patients
    assert files_with(index.path, {codes[GONE[0]].tobytes()}) != []
    purged = removed.purge(PATIENT)
    assert purged.n_films == removed.n_films
    assert files_with(index.path, needles(codes)) == []


def test_an_older_generation_that_cannot_be_read_is_removed_as_well(index, codes):
    (index.path / "gen-000001" / "films.parquet").write_bytes(b"damaged")
    index.purge(PATIENT)
    assert files_with(index.path, needles(codes)) == []


def test_purged_again_after_a_kill(index, codes, monkeypatch):
    """Killed before the old generations are removed: the same call ends what was begun."""
    from graphret.index.changes import purging

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(purging, "remove_derived", killed)
        with pytest.raises(KeyboardInterrupt):
            index.purge(PATIENT)
    if files_with(index.path, needles(codes)):
        graphret.open(index.path).purge(PATIENT)
    assert files_with(index.path, needles(codes)) == []


def test_derived_files_go(index):
    folder = index.path / "derived"
    folder.mkdir()
    (folder / "map.npy").write_bytes(b"places of films")
    index.purge(PATIENT)
    assert not folder.exists()


def test_unknown_patients_and_the_only_patient(index, codes, tmp_path):
    index.purge(PATIENT)
    before = sorted(path.name for path in index.path.iterdir())
    for wrong in (PATIENT, "never", "", None, 7):
        with pytest.raises(InvalidParameterError, match="patient"):
            index.purge(wrong)
    assert sorted(path.name for path in index.path.iterdir()) == before
    one = graphret.build(codes[:9], patients=["x"] * 9, out=tmp_path / "one", k=3, tune=False)
    with pytest.raises(DataError, match="at least one"):
        one.purge("x")
    assert graphret.open(one.path).n_films == 9


@pytest.fixture
def marked(index):
    """Marks of the service: of the patient's films as hits and as queries, of others, and of another index."""
    lists = Lists(lists_file(index.path))
    name = index.path.name
    lists.mark("teaching", name, "film1", "secret-film-17", relevance=1, note="a spot")
    lists.mark("teaching", f"{name}-1", "secret-film-4", "film5", relevance=0)
    lists.mark("teaching", name, "film1", "film5", relevance=2, note="as film6")
    lists.mark("teaching", "another", "film1", "secret-film-17", relevance=1)
    lists.mark("old", name, "film1", "secret-film-31", note="was here")
    lists.remove("old")
    return lists


def test_marks_of_the_films_go_with_all_their_bytes(index, marked):
    assert b"secret-film-4" in marked.path.read_bytes()
    index.purge(PATIENT)
    content = marked.path.read_bytes()
    assert not any(text in content for text in (b"secret-film-4", b"secret-film-31", b"a spot", b"was here"))
    left = [(mark["index"], mark["film"]) for mark in marked.marks("teaching")]
    assert left == [("another", "secret-film-17"), (index.path.name, "film5")]


def test_marks_in_another_file(index, marked, tmp_path):
    other = marked.path.rename(tmp_path / "elsewhere.sqlite")
    with pytest.raises(MissingFileError, match="file of marks"):
        index.purge(PATIENT, lists=marked.path)
    index.purge(PATIENT, lists=other)
    assert len(Lists(other).marks("teaching")) == 2


def test_a_note_on_another_film_that_names_the_patient_stays_and_is_said(index, marked, caplog):
    marked.mark("teaching", index.path.name, "film1", "film6", note=f"as {PATIENT} in May")
    index.purge(PATIENT)
    assert len(marked.marks("teaching")) == 3
    assert "1 notes or names of lists" in caplog.text
    assert "Nobody" not in caplog.text


def spoil(path, how):
    path.unlink(missing_ok=True)
    if how == "another version":
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA user_version = 7")
    elif how == "no database":
        path.write_bytes(b"text" * 1000)
    elif how == "a pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/etc/hostname")


@pytest.mark.parametrize("how", ["another version", "no database", "a pipe", "a link"])
def test_marks_that_cannot_be_removed_leave_the_patient_to_be_purged_again(index, how):
    spoil(lists_file(index.path), how)
    with pytest.raises(StoreError, match=r"lists\.sqlite"):
        index.purge(PATIENT)
    assert PATIENT in graphret.open(index.path).films.patients
    lists_file(index.path).unlink()
    assert PATIENT not in index.purge(PATIENT).films.patients


@pytest.fixture
def pictures(codes, tmp_path):
    """Build an index of films in folders, the second of which is the patient's, with problems that name them."""

    def built(problems, path="/archive/2020/Kopie von Bild 001.dcm"):
        paths = [f"/archive/2019/Bild {row:03}.dcm" for row in range(len(codes))]
        paths[1] = path
        films = ImageTable(
            ids=[f"{row:032x}" for row in range(len(codes))],
            paths=paths,
            labels=np.zeros((len(codes), 1), np.int8),
            label_names=("Mass",),
            patients=[PATIENT if row == 1 else f"p{row}" for row in range(len(codes))],
            problems=tuple(FilmProblem(*problem) for problem in problems),
            root="/archive",
        )
        return build(codes, films=films, out=tmp_path / "pictures", k=6, n_threads=1)

    return built


@pytest.mark.parametrize(
    "problem",
    [
        ("2020/Bild 001.dcm", "/archive/2020/Bild 001.dcm", "the same picture as 2020/Kopie von Bild 001.dcm"),
        ("2020/Bild 001.dcm", "/archive/2020/Bild 001.dcm", "the same picture as Kopie von Bild 001.dcm"),
        ("2020/Bild 001.dcm", "2020/Bild 001.dcm", "the same picture as 'Kopie von Bild 001.dcm'."),
        ("x", "", "see /archive/2020/Kopie von Bild 001.dcm#frame=3"),
        ("2020/Kopie von Bild 001.dcm", "", "half a file"),
        ("x", "/archive/2020/Kopie von Bild 001.dcm", "half a file"),
        ("x", "2020\\Kopie von Bild 001.dcm", "half a file"),
        ("Kopie von Bild 001.dcm", "", "half a file"),
    ],
)
def test_problems_that_name_a_film_of_the_patient_by_its_file_go(pictures, problem):
    index = pictures([problem, ("other", "/archive/other.dcm", "half a file")]).purge(PATIENT)
    assert [left.id for left in index.films.problems] == ["other"]
    assert files_with(index.path, {b"Kopie von"}) == []


@pytest.mark.parametrize("path", ["/archive/Bild 002.dcm", "/archive/2020/Bild 002.dcm"])
@pytest.mark.parametrize(
    "problem",
    [
        ("2018/Bild 002.dcm", "/archive/2018/Bild 002.dcm", "half a file"),
        ("2018/a.dcm", "/archive/2018/a.dcm", "the same picture as 2019/Bild 002.dcm"),
        ("2018/a.dcm", "/archive/2018/a.dcm", "the same picture as /archive/2019/Bild 002.dcm"),
    ],
)
def test_problems_of_another_file_of_the_same_name_stay(pictures, problem, path):
    index = pictures([problem], path).purge(PATIENT)
    assert [left.id for left in index.films.problems] == [problem[0]]


def test_a_longer_name_of_a_film_that_stays_is_not_the_patients(pictures):
    index = pictures([("a", "", "the same picture as 2019/Bild 002.dcm")], "/archive/002.dcm").purge(PATIENT)
    assert [left.id for left in index.films.problems] == ["a"]
