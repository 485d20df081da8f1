"""A private file is there with all its text, or not at all, and nobody but its owner reads it."""

import errno
import os
import signal
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from graphret._errors import StoreError
from graphret.data.pseudonyms import Pseudonyms
from graphret.files import create_private


def refuse(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("links", [True, False])
def test_it_is_made_once_and_closed_to_others(tmp_path, monkeypatch, links):
    if not links:
        monkeypatch.setattr(os, "link", refuse)
    path = tmp_path / "folder" / "salt"
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda number: create_private(path, f"text {number}"), range(8)))
    assert made.count(True) == 1
    assert path.read_text() == f"text {made.index(True)}"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["salt"]


def test_a_full_disk_leaves_no_empty_file_that_is_then_taken_for_a_salt(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        with pytest.raises(StoreError, match=r"salt: No space left"):
            create_private(tmp_path / "salt", "text")
    assert list(tmp_path.iterdir()) == []
    assert Pseudonyms(tmp_path / "salt").of("patient", "1") == Pseudonyms(tmp_path / "salt").of("patient", "1")


def test_a_kill_leaves_no_half_of_it(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _: os.kill(os.getpid(), signal.SIGKILL))
    child = os.fork()
    if not child:
        create_private(tmp_path / "salt", "text")
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert not (tmp_path / "salt").exists()
