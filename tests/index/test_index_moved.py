"""An index that goes elsewhere: into another working folder, into another process, out of use."""

import copy
import os
import pickle
import shutil
import subprocess
import sys

import numpy as np
import pytest

import graphret
from graphret._errors import StoreError

TUNING = {"ranking": "alpha_qe", "options": {"n": 3}, "trials": []}
ASK = "import pickle, sys; index = pickle.load(sys.stdin.buffer); print(index.query(sys.argv[1], 5).ids.tolist())"


def received(content):
    return pickle.loads(content)  # noqa: S301 - made by this test


def sent(index):
    return received(pickle.dumps(index))


@pytest.fixture
def asked(codes, tmp_path):
    """An index whose parts have all been read."""
    index = graphret.build(codes, out=tmp_path / "index", k=6)
    index.record_tuning(TUNING)
    index.query("3", 5, ranking="region_growing")
    index.query("3", 5, exclude="patient")
    return index


def test_a_relative_path_outlives_a_change_of_folder(codes, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    built = graphret.build(codes, out="i", k=6)
    opened = graphret.open("i")
    monkeypatch.chdir(os.sep)
    for index in (built, opened):
        assert index.path == tmp_path / "i"
        assert index.query("3", 5, ranking="region_growing").ids.shape == (1, 5)
        index.record_tuning(TUNING)
        index.forget_tuning()
        index.verify()


def test_an_index_can_be_pickled_at_any_time(codes, tmp_path, asked):
    fresh = graphret.build(codes, out=tmp_path / "fresh", k=6)
    assert sent(fresh).query("3", 5).ids.tolist() == fresh.query("3", 5).ids.tolist()
    assert len(pickle.dumps(asked)) < 1000, "a path, and nothing that was read"
    for other in (sent(asked), copy.deepcopy(asked), copy.copy(asked)):
        hits, expected = other.query("3", 5), asked.query("3", 5)
        assert str(hits.choice) == "alpha_qe:n=3"
        np.testing.assert_array_equal(hits.scores, expected.scores)
        other.close()
    assert len(asked.query("3", 5)) == 1, "closing a copy closes that copy"


@pytest.mark.parametrize("ranking", ["region_growing", "contextual", "label_aware"])
def test_hits_can_be_pickled_and_know_their_reasons(codes, tmp_path, ranking):
    labels = np.eye(3, dtype=np.int8)[np.arange(len(codes)) % 3]
    index = graphret.build(codes, out=tmp_path / "index", k=6, labels=labels)
    hits = index.query(["3", "8"], 5, ranking=ranking)
    hits._repr_html_()
    content = pickle.dumps(hits)
    expected = hits.to_dicts(why=True)
    assert len(content) < 10_000, "the lists and their reasons, and nothing of the archive"
    shutil.rmtree(index.path)
    for copied in (received(content), sent(received(content))):
        assert copied.to_dicts(why=True) == expected
        np.testing.assert_array_equal(copied.positions, hits.positions)
    assert sent(hits[1]).findings == hits[1].findings
    assert sent(hits[1][2]).why == hits[1][2].why


def test_another_process_in_another_folder_can_ask(asked, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", ASK, "3"], input=pickle.dumps(asked), capture_output=True, check=True, cwd=tmp_path
    )
    assert done.stdout.decode().strip() == str(asked.query("3", 5).ids.tolist())


def test_a_copy_opens_the_generation_that_is_current_then(asked, codes):
    content = pickle.dumps(asked)
    graphret.build(codes[:40], out=asked.path, k=6)
    assert (len(asked), len(received(content))) == (90, 40)


def test_a_closed_index_stays_closed(asked):
    asked.close()
    for index in (asked, sent(asked)):
        assert repr(index).endswith("closed)")
        for ask in (lambda index: index.query("3"), lambda index: index.films, lambda index: index.default_ranking):
            with pytest.raises(StoreError, match="was closed: open it again"):
                ask(index)
