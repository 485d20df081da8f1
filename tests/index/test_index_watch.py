"""A folder that fills: batches, what is resumed, what waits, what is reported, and how it stops."""

import os
import shutil
import time
from pathlib import Path

import pytest

import graphret
from graphret._errors import InvalidParameterError, MissingFileError
from graphret.data import read_unlabelled
from graphret.index import build, watch_folder


@pytest.fixture
def arriving(film_table, make_encoder, tmp_path):
    """An index of eight films of a folder, to which two more have come since."""
    folder = tmp_path / "folder"
    folder.mkdir()
    for path in film_table.paths[:8]:
        shutil.copy(path, folder)
    index = build(read_unlabelled(folder), make_encoder(), out=tmp_path / "index", k=3, n_threads=1)
    for path in film_table.paths[8:10]:
        shutil.copy(path, folder)
    return index, folder


def look(index, folder, encoder, **options):
    return list(watch_folder(index.path, folder, once=True, encoder=encoder, settled=0, **options))


def test_what_arrives_is_added_in_batches_and_only_once(arriving, make_encoder):
    index, folder = arriving
    changes = look(index, folder, make_encoder(), batch=1, keep=9)
    assert [change.counts["added"] for change in changes] == [1, 1]
    grown = graphret.open(index.path)
    assert grown.films.ids.tolist() == sorted(path.name for path in folder.iterdir())
    assert look(index, folder, make_encoder()) == []
    assert graphret.open(index.path).generation == grown.generation


def test_a_bad_film_ends_nothing(arriving, make_encoder):
    index, folder = arriving
    (folder / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nhalf")
    changes = look(index, folder, make_encoder())
    assert [problem.id for change in changes for problem in change.problems] == ["bad.png"]
    assert graphret.open(index.path).n_films == 10


def test_what_is_no_film_is_said_once(arriving, make_encoder, caplog):
    """A pipe is not opened, whatever it is called."""
    index, folder = arriving
    os.mkfifo(folder / "pipe.png")
    (folder / "notes.txt").write_text("x")
    looks = iter(range(20))
    list(watch_folder(index.path, folder, every=0.01, settled=0, encoder=make_encoder(), stop=lambda: next(looks) > 12))
    said = [record.getMessage() for record in caplog.records if "no films" in record.getMessage()]
    assert said == ["2 files are no films, first pipe.png: it is a named pipe, not a file"]
    assert graphret.open(index.path).n_films == 10


def test_a_bad_film_is_not_tried_again_before_it_changes(arriving, make_encoder, film_table):
    index, folder = arriving
    (folder / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nhalf")
    looks = []

    def stop():
        looks.append(None)
        if len(looks) == 8:
            shutil.copy(film_table.paths[20], folder / "bad.png")
        return len(looks) > 16

    watched = watch_folder(index.path, folder, every=0.01, settled=0, encoder=make_encoder(), stop=stop)
    changes = list(watched)
    assert sum(len(change.problems) for change in changes) == 1
    assert graphret.open(index.path).n_films == 11


def test_a_film_that_may_still_be_written_waits(arriving, make_encoder):
    index, folder = arriving
    for path in folder.iterdir():
        os.utime(path, (time.time() - 100, time.time() - 100))
    young = Path(folder / "film09.png")
    os.utime(young)
    list(watch_folder(index.path, folder, once=True, settled=30, encoder=make_encoder()))
    assert "film09.png" not in graphret.open(index.path).films.ids
    assert graphret.open(index.path).n_films == 9


def test_an_empty_folder_and_wrong_calls(arriving, make_encoder, tmp_path):
    index, _ = arriving
    empty = tmp_path / "empty"
    empty.mkdir()
    assert look(index, empty, make_encoder()) == []
    with pytest.raises(MissingFileError):
        look(index, tmp_path / "no", make_encoder())
    for wrong in ({"batch": 0}, {"every": 0}):
        with pytest.raises(InvalidParameterError):
            look(index, empty, make_encoder(), **wrong)


def test_it_stops_between_batches(arriving, make_encoder):
    index, folder = arriving
    watched = watch_folder(index.path, folder, batch=1, settled=0, encoder=make_encoder(), stop=lambda: bool(seen))
    seen = []
    for change in watched:
        seen.append(change)
    assert len(seen) == 1
    assert graphret.open(index.path).n_films == 9
