"""A cache of small pictures: what is not as it was counts as missing, and the folder stays below its bytes."""

import os
import re

import pytest

from graphret._errors import StoreError
from graphret.data.thumbnail_store import ThumbnailStore, film_version, thumbnail_folder

VERSION = "ab" * 32


def files_of(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_what_was_changed_cut_or_swapped_counts_as_missing(tmp_path):
    store = ThumbnailStore(tmp_path / "pictures", 10_000)
    for name in "ab":
        store.write(name, VERSION, name.encode() * 50)
    first = files_of(tmp_path / "pictures")[0]
    whole = first.read_bytes()
    name = next(name for name in "ab" if store.read(name, VERSION) == whole[32:])
    for content in (b"", whole[:-1], whole + b"x", whole[:40] + b"?" + whole[41:]):
        first.write_bytes(content)
        assert store.read(name, VERSION) is None
    first.unlink()
    os.mkfifo(first)
    assert store.read(name, VERSION) is None


def test_the_oldest_make_room(tmp_path):
    store = ThumbnailStore(tmp_path / "pictures", 1000)
    for number in range(30):
        store.write(str(number), VERSION, bytes(68))
        for path in files_of(tmp_path / "pictures"):
            os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns - 10**9))
        assert sum(path.stat().st_size for path in files_of(tmp_path / "pictures")) <= 1000
    kept = [number for number in range(30) if store.read(str(number), VERSION)]
    assert kept == list(range(min(kept), 30))
    assert len(kept) >= 9
    again = ThumbnailStore(tmp_path / "pictures", 1000)  # which counts what is there
    again.write("more", VERSION, bytes(800))
    assert sum(path.stat().st_size for path in files_of(tmp_path / "pictures")) <= 1000
    assert again.read("more", VERSION)


def test_only_its_own_files_are_removed(tmp_path):
    folder = thumbnail_folder(tmp_path / "index")
    store = ThumbnailStore(folder, 10_000)
    for name in ("a", "b"):
        store.write(name, VERSION, b"jpeg")
    part = next(folder.iterdir())
    older, left, foreign = (
        part / f"{VERSION}.jpg",
        part / f".{VERSION}.thumbnail.partial-1-0f3a51c2",
        part / "notes.txt",
    )
    for path in (older, left, foreign):
        path.write_bytes(b"x")
    store.remove(["a", "never kept"])
    assert (store.read("a", VERSION), store.read("b", VERSION)) == (None, b"jpeg")
    store.clear()
    assert files_of(folder) == [foreign]
    ThumbnailStore(tmp_path / "nowhere", 1).clear()


def test_a_folder_that_cannot_be_written_to_is_said_once(tmp_path, caplog):
    (tmp_path / "pictures").write_bytes(b"a file")
    store = ThumbnailStore(tmp_path / "pictures", 10_000)
    for name in ("a", "b"):
        store.write(name, VERSION, b"jpeg")
    assert store.read("a", VERSION) is None
    assert len(re.findall("kept in memory only", caplog.text)) == 1
    with pytest.raises(StoreError):
        store.remove(["a"])


def test_the_version_of_a_film_is_that_of_its_file(tmp_path):
    path = tmp_path / "a.dcm"
    path.write_bytes(b"one")
    first, frame = film_version(str(path), 224), film_version(f"{path}#frame=2", 224)
    assert len({first, frame, film_version(str(path), 100)}) == 3
    os.utime(path, ns=(1, 1))
    assert film_version(str(path), 224) != first
    assert film_version(f"{path}#frame=2", 224) != frame
