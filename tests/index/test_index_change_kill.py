"""A change that ends at any flush to the disk leaves the old generation or the new one, whole; it can be made again."""

import itertools
import os
import signal

import pytest

import graphret
from graphret._errors import StoreError
from graphret.files import write_file
from graphret.index import build, store

ACTIONS = {
    "add": lambda index, codes: index.add(codes[60:], ids=[f"new{row}" for row in range(30)], n_threads=1),
    "remove": lambda index, codes: index.remove(["3", "9"], n_threads=1),
    "update_labels": lambda index, codes: index.update_labels("3", [["Mass"]], add_labels=True),
    "rebuild": lambda index, codes: index.rebuild(n_threads=1),
    "purge": lambda index, codes: index.purge("9", n_threads=1),
}


class Killed(BaseException):
    pass


@pytest.mark.parametrize("action", ACTIONS)
def test_ended_at_any_flush(codes, tmp_path, monkeypatch, action):
    index = build(codes[:60], out=tmp_path / "index", k=5, n_threads=1)
    real, moments = os.fsync, iter([])

    def fsync(descriptor):
        if next(moments):  # one step of an iterator, also where several threads flush at once
            raise Killed
        real(descriptor)

    for moment in (1, 2, 5, 9, 14, 20, 23, 26, 28, 30, 32):
        moments = map(moment.__eq__, itertools.count(1))
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", fsync)
            try:
                ACTIONS[action](index, codes)
            except Killed:
                pass
            else:
                break
        found = graphret.open(index.path)
        found.verify()
        if found.generation != "gen-000001":  # it was published, and what came after it was ended
            break
        assert found.n_films == 60
    if graphret.open(index.path).generation == "gen-000001":
        ACTIONS[action](index, codes)
    done = graphret.open(index.path)
    assert done.generation == "gen-000002"
    done.verify()
    assert done.query(codes[5], 3).ids.shape == (1, 3)


@pytest.fixture
def begun(codes, tmp_path):
    """An index, and what an add that was killed before had encoded."""
    index = build(codes[:60], out=tmp_path / "index", k=5, n_threads=1)
    work = index.path / store.BUILD / "add"
    work.mkdir(parents=True)
    (work / "encoded").write_bytes(b"codes of patients")
    return index


def names(root):
    return sorted(entry.name for entry in root.iterdir())


def test_work_is_not_found_again_once_its_generation_is_current(begun, codes, monkeypatch):
    """Killed before the clean-up: the next writer removes what was left, also one that has nothing to do."""
    monkeypatch.setattr(store, "retire", lambda _: os.kill(os.getpid(), signal.SIGKILL))
    child = os.fork()
    if not child:
        ACTIONS["add"](begun, codes)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    index = graphret.open(begun.path)
    assert index.generation == "gen-000002"
    found = index.verify()
    assert not found["unfinished"]
    assert [name.partition(".partial")[0] for name in found["unused"]] == [".add"]
    index.remove([])
    assert names(index.path) == ["CURRENT", "LOCK", "gen-000001", "gen-000002"]


def test_work_stays_where_its_generation_could_not_become_current(begun, codes, monkeypatch):
    real = write_file

    def refuse(path, content):
        if path.name == store.CURRENT:
            raise StoreError(f"cannot write {path}")
        real(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(store, "write_file", refuse)
        with pytest.raises(StoreError, match="CURRENT"):
            ACTIONS["add"](begun, codes)
    assert (begun.path / store.BUILD / "add" / "encoded").read_bytes() == b"codes of patients"
    assert names(begun.path) == [store.BUILD, "CURRENT", "LOCK", "gen-000001"]
    assert graphret.open(begun.path).verify()["unfinished"]
    ACTIONS["add"](begun, codes)
    assert names(begun.path) == ["CURRENT", "LOCK", "gen-000001", "gen-000002"]


def test_another_change_leaves_work_that_goes_on(begun):
    begun.remove(["3"])
    assert (begun.path / store.BUILD / "add" / "encoded").exists()
