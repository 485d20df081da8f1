"""A change that ends at any flush to the disk leaves the old generation or the new one, whole; it can be made again."""

import itertools
import os

import pytest

import graphret
from graphret.index import build

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
