"""One writer at a time."""

import errno
import fcntl
import logging
import os

import pytest

from graphret._errors import IndexLockedError, StoreError
from graphret.files import writer_lock


def test_one_writer_at_a_time(tmp_path):
    with writer_lock(tmp_path):
        second = writer_lock(tmp_path)
        with pytest.raises(IndexLockedError, match=rf"written by process {os.getpid()} on"):
            second.__enter__()
    with writer_lock(tmp_path):
        assert (tmp_path / "LOCK").read_text() != ""
    assert (tmp_path / "LOCK").read_text() == ""


def test_a_folder_that_is_none(tmp_path):
    with pytest.raises(StoreError, match=r"cannot write .*LOCK"), writer_lock(tmp_path / "none"):
        pass


def refusing(number):
    def flock(*_):
        raise OSError(number, os.strerror(number))

    return flock


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL])
def test_a_file_system_without_locks_is_written_to_and_it_is_said_once(tmp_path, monkeypatch, caplog, number):
    monkeypatch.setattr(fcntl, "flock", refusing(number))
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            with writer_lock(tmp_path):
                (tmp_path / "written").touch()
    (line,) = caplog.messages
    assert line.startswith(f"{tmp_path}: its file system has no locks")
    assert "one process at a time" in line


def test_a_lock_that_fails_otherwise_is_an_error_of_ours(tmp_path, monkeypatch):
    monkeypatch.setattr(fcntl, "flock", refusing(errno.EIO))
    with pytest.raises(StoreError, match=r"cannot lock .*LOCK"), writer_lock(tmp_path):
        pass
