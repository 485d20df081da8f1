"""One writer at a time."""

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
