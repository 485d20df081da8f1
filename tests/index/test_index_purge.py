"""A patient who is purged is in no byte of an index any more."""

import numpy as np
import pytest

import graphret
from graphret._errors import DataError, InvalidParameterError
from graphret.data import FilmProblem, ImageTable
from graphret.index import build

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
