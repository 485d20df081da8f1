"""A file is whole or not there: whatever ends its writing, and whoever else writes it meanwhile."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from graphret import files
from graphret._errors import MissingFileError, StoreError

ROOT = Path(__file__).resolve().parents[2]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def steps(monkeypatch):
    """Flushes and renames, in their order."""
    found = []
    fsync, replace = os.fsync, Path.replace

    def flushed(descriptor):
        found.append("folder" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "file")  # noqa: PTH112
        fsync(descriptor)

    def renamed(self, target):
        found.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", flushed)
    monkeypatch.setattr(Path, "replace", renamed)
    return found


def test_new_content_comes_in_one_step(tmp_path, steps):
    path = tmp_path / "CURRENT"
    files.write_file(path, b"one")
    assert steps == ["file", "rename", "folder"]
    files.write_file(path, iter([b"t", memoryview(b"wo")]))
    assert path.read_bytes() == b"two"
    files.write_text(path, "drei\nçà\r\n")
    assert path.read_bytes() == "drei\nçà\r\n".encode()
    assert names(tmp_path) == ["CURRENT"]


def test_files_that_do_not_count_yet_are_not_flushed(tmp_path, steps):
    with files.replacing(tmp_path / "a", durable=False) as file:
        file.write(b"x")
    assert steps == ["rename"]
    assert (tmp_path / "a").read_bytes() == b"x"


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_half_a_file_is_never_seen(tmp_path, error):
    files.write_file(tmp_path / "a", b"old")
    with pytest.raises(error), files.replacing(tmp_path / "a") as file:  # noqa: PT012 - it ends inside the block
        file.write(b"ne")
        assert (tmp_path / "a").read_bytes() == b"old"
        raise error
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


@pytest.mark.parametrize(
    ("refusal", "advice"),
    [
        (
            errno.ENOSPC,
            r"No space left .*\([\d,]+ bytes are free\): free some, then run the same command again",
        ),
        (errno.EDQUOT, r"bytes are free\)"),
        (errno.EROFS, "choose a folder that you may write to"),
        (errno.EIO, "Input/output error"),
    ],
)
def test_refusals_of_the_disk_name_the_file_and_keep_it(tmp_path, monkeypatch, refusal, advice):
    files.write_file(tmp_path / "a", b"old")

    def refuse(_):
        raise OSError(refusal, os.strerror(refusal))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        with pytest.raises(StoreError, match=rf"cannot write {tmp_path / 'a'}: .*{advice}.*before is unchanged"):
            files.write_file(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


def test_a_large_file_is_reserved_first(tmp_path, monkeypatch):
    """A full disk is said before a byte is written; a file system that cannot reserve is written to nevertheless."""
    size = files.atomic.BLOCK_BYTES
    asked = []

    def refuse(number):
        def reserve(_descriptor, first, length):
            asked.append((first, length))
            raise OSError(number, os.strerror(number))

        return reserve

    def blocks():
        asked.append("block")
        yield bytes(size)

    monkeypatch.setattr(os, "posix_fallocate", refuse(errno.ENOSPC))
    with pytest.raises(StoreError, match="No space left"):
        files.write_file(tmp_path / "a", blocks(), size=size)
    assert asked == [(0, size)]
    assert names(tmp_path) == []
    for number in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
        monkeypatch.setattr(os, "posix_fallocate", refuse(number))
        files.write_file(tmp_path / "a", blocks(), size=size)
        assert (tmp_path / "a").stat().st_size == size
    asked.clear()
    files.write_file(tmp_path / "small", b"small", size=size - 1)
    assert asked == []


def test_a_large_file_is_as_long_as_what_was_written(tmp_path):
    """Room that was reserved and not used would be zeros, which look like values."""
    files.write_file(tmp_path / "a", [b"short"], size=files.atomic.BLOCK_BYTES)
    assert (tmp_path / "a").read_bytes() == b"short"


def test_a_large_file_is_written_where_nothing_can_be_reserved(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "posix_fallocate")
    monkeypatch.delattr(os, "fdatasync")
    content = bytes(range(256)) * (2 * files.atomic.FLUSHED_BYTES // 256)
    files.write_file(tmp_path / "a", [content[: len(content) // 2], content[len(content) // 2 :]], size=len(content))
    assert (tmp_path / "a").read_bytes() == content


@pytest.mark.parametrize("refused", [1, 2])
def test_a_flush_of_a_large_file_that_fails_beside_the_writing_is_not_lost(tmp_path, monkeypatch, refused):
    """The system tells it once: a later flush of the same file says that all is well."""
    files.write_file(tmp_path / "a", b"old")
    monkeypatch.setattr(files.atomic, "FLUSHED_BYTES", 1)
    calls, told = [], threading.Event()

    def fdatasync(_):
        calls.append(1)
        try:
            if len(calls) == refused:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
        finally:
            told.set()

    def blocks():
        for _ in range(4):
            yield bytes(files.atomic.BLOCK_BYTES // 4)
            assert told.wait(20)
            told.clear()
            time.sleep(0.05)  # until the pool knows as well

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    with pytest.raises(StoreError, match="Input/output error"):
        files.write_file(tmp_path / "a", blocks(), size=files.atomic.BLOCK_BYTES)
    assert (tmp_path / "a").read_bytes() == b"old"
    assert names(tmp_path) == ["a"]
    assert len(calls) >= refused


def test_folders_that_are_none(tmp_path):
    with pytest.raises(MissingFileError, match=r"none .*make it first"):
        files.write_file(tmp_path / "none" / "a", b"")
    files.write_file(tmp_path / "file", b"")
    with pytest.raises(StoreError, match=rf"cannot make the folder {tmp_path}/file: File exists"):
        files.make_folder(tmp_path / "file")
    assert files.make_folder(tmp_path / "deep" / "folder").is_dir()
    with pytest.raises(StoreError, match="cannot write"):
        files.write_file(tmp_path / "deep", b"")
    assert names(tmp_path) == ["deep", "file"]


KILLED = """
import os, signal, sys
from graphret import files
with files.replacing(sys.argv[1]) as file:
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_writer_left_goes_with_the_next_one(tmp_path):
    files.write_file(tmp_path / "a", b"old")
    for name in ("a", "b"):
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / name)], env=environment, check=False)
        assert done.returncode == -signal.SIGKILL
    assert (tmp_path / "a").read_bytes() == b"old"
    assert len(list(filter(files.is_partial, names(tmp_path)))) == 2
    files.write_file(tmp_path / "a", b"new")
    assert [name[:3] for name in names(tmp_path)] == [".b.", "a"]
    files.remove_partials(tmp_path)
    assert names(tmp_path) == ["a"]


def test_two_writers_of_one_file_leave_each_other_alone(tmp_path):
    with files.replacing(tmp_path / "a") as slow:
        slow.write(b"slow ")
        files.write_file(tmp_path / "a", b"quick")
        files.remove_partials(tmp_path)
        assert (tmp_path / "a").read_bytes() == b"quick"
        slow.write(b"writer")
    assert (tmp_path / "a").read_bytes() == b"slow writer"
    assert names(tmp_path) == ["a"]


def test_cleaning_up_before_the_writer_has_its_lock(tmp_path, monkeypatch):
    real, calls = fcntl.flock, []

    def too_late(file, operation):
        if not calls:
            Path(file.name).unlink()  # as `remove_partials` of another process
        calls.append(operation)
        real(file, operation)

    monkeypatch.setattr(fcntl, "flock", too_late)
    files.write_file(tmp_path / "a", b"x")
    assert len(calls) == 2
    assert (tmp_path / "a").read_bytes() == b"x"
    assert names(tmp_path) == ["a"]


def test_the_only_writer_removes_folders_too(tmp_path):
    (tmp_path / ".gen-000002.partial-99999").mkdir()
    (tmp_path / ".CURRENT.partial-4711-0f3a51c2").write_bytes(b"gen-")
    (tmp_path / ".hidden").write_bytes(b"")
    files.remove_partials(tmp_path, "other")
    assert len(names(tmp_path)) == 3
    files.remove_partials(tmp_path)
    assert names(tmp_path) == [".gen-000002.partial-99999", ".hidden"]
    files.remove_partials(tmp_path, sole_writer=True)
    assert names(tmp_path) == [".hidden"]


def test_a_folder_comes_with_all_its_files(tmp_path, steps):
    with files.new_folder(tmp_path / "gen") as folder:
        files.write_file(folder / "a", b"x")
        files.make_folder(folder / "inner")
        files.write_file(folder / "inner" / "b", b"y")
        assert [files.is_partial(name) for name in names(tmp_path)] == [True]
        del steps[:]
    assert steps == ["folder"] * 3  # inner, the folder itself, and after its renaming the one above
    assert names(tmp_path) == ["gen"]
    assert names(tmp_path / "gen") == ["a", "inner"]


def test_a_folder_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt), files.new_folder(tmp_path / "gen") as folder:  # noqa: PT012
        files.write_file(folder / "a", b"x")
        raise KeyboardInterrupt
    assert names(tmp_path) == []


def test_a_finished_file_is_moved(tmp_path, steps):
    files.write_file(tmp_path / "a", b"new")
    files.write_file(tmp_path / "b", b"old")
    del steps[:]
    files.move(tmp_path / "a", tmp_path / "b")
    assert steps == ["rename", "folder"]
    assert names(tmp_path) == ["b"]
    assert (tmp_path / "b").read_bytes() == b"new"
    with pytest.raises(StoreError, match=r"cannot write .*a: No such file"):
        files.move(tmp_path / "a", tmp_path / "b")


def test_links_and_copies(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"content")
    files.link_or_copy(tmp_path / "a", tmp_path / "linked")
    assert (tmp_path / "linked").stat().st_ino == (tmp_path / "a").stat().st_ino

    def no_links(*_):
        raise OSError("the file system knows no links")

    monkeypatch.setattr("os.link", no_links)
    files.link_or_copy(tmp_path / "a", tmp_path / "copied")
    assert (tmp_path / "copied").stat().st_ino != (tmp_path / "a").stat().st_ino
    assert (tmp_path / "copied").read_bytes() == b"content"
