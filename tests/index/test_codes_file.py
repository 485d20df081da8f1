"""The codes of a change: in one pass of copies that are compared, written and hashed, as the slow way has them."""

import hashlib
import time
from types import SimpleNamespace

import numpy as np
import pytest

import graphret
from graphret._errors import DamagedIndexError
from graphret.files import npy_digest, sha256_of, write_array
from graphret.index import build, held
from graphret.index.changes import codes_file
from graphret.index.changes.codes_file import write_codes
from graphret.index.generation import open_generation
from graphret.index.manifest import serialise


@pytest.fixture
def large(monkeypatch):
    """No file is small, so that every row is compared when it is copied; blocks have three rows."""
    monkeypatch.setattr(held, "SMALL_FILE", 0)
    monkeypatch.setattr(codes_file, "BLOCK_BYTES", 3 * 8 * 4)


@pytest.mark.parametrize("n_new", [0, 5])
@pytest.mark.parametrize("share", [1.0, 0.6])
def test_the_file_is_that_of_the_rows_put_together(codes, tmp_path, large, n_new, share):
    build(codes[:80], out=tmp_path / "index", k=4, n_threads=1)
    kept = np.flatnonzero(np.random.default_rng(1).random(80) <= share)
    together = np.concatenate([codes[kept], codes[80 : 80 + n_new]])
    write_array(tmp_path / "slow.npy", together)
    written, sha256 = write_codes(
        open_generation(tmp_path / "index"), tmp_path / "fast.npy", kept, codes[80 : 80 + n_new]
    )
    assert np.array_equal(written, together)
    assert (tmp_path / "fast.npy").read_bytes() == (tmp_path / "slow.npy").read_bytes()
    assert sha256 == sha256_of(tmp_path / "slow.npy") == npy_digest(together)


def test_memory_is_not_filled_again_before_it_was_hashed(codes, tmp_path, large, monkeypatch):
    class Slow:
        def __init__(self):
            self.total = hashlib.sha256()

        def update(self, content):
            time.sleep(0.002)
            self.total.update(content)

        def hexdigest(self):
            return self.total.hexdigest()

    build(codes, out=tmp_path / "index", k=4, n_threads=1)
    monkeypatch.setattr(codes_file, "hashlib", SimpleNamespace(sha256=Slow))
    generation = open_generation(tmp_path / "index")
    _, sha256 = write_codes(generation, tmp_path / "a.npy", np.arange(len(codes)), codes[:0])
    assert sha256 == sha256_of(tmp_path / "a.npy")


@pytest.mark.parametrize("change", [lambda index: index.add(np.ones((1, 8), np.float32)), lambda i: i.remove("3")])
def test_a_row_that_was_changed_on_disk_is_not_copied(codes, tmp_path, large, change):
    index = build(codes, out=tmp_path, k=4, n_threads=1)
    path = tmp_path / index.generation / "codes.npy"
    stored = np.load(path, allow_pickle=False)
    stored[41, 2] *= -1
    np.save(path, stored, allow_pickle=False)
    with pytest.raises(DamagedIndexError, match=r"codes\.npy.*row 41") as caught:
        change(graphret.open(tmp_path))
    assert caught.value.file == path
    assert graphret.open(tmp_path).generation == "gen-000001"
    assert sorted(entry.name for entry in tmp_path.iterdir() if entry.is_dir()) == ["gen-000001"]


def test_removed_codes_are_in_no_file_of_the_new_generation(codes, tmp_path, large):
    index = build(codes, out=tmp_path, k=4, n_threads=1, search="graph")
    gone = [0, 17, 18, 89]
    index = index.remove([str(row) for row in gone], keep=1)
    content = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert codes[1].tobytes() in content
    assert not any(codes[row].tobytes() in content for row in gone)


def test_the_hash_of_the_codes_is_that_of_their_file(codes, tmp_path):
    index = build(codes[:60], out=tmp_path, k=4, n_threads=1)
    for changed in (index, index.add(codes[60:70], n_threads=1)):
        manifest = changed.manifest
        assert manifest["codes"]["sha256"] == manifest["files"]["codes.npy"]["sha256"]
        changed.verify(deep=True)


@pytest.mark.parametrize("right", [True, False])
def test_an_index_with_the_earlier_hash_of_its_codes_is_whole(codes, tmp_path, right):
    """Before, the hash was of dtype, shape and values, put one behind the other."""
    index = build(codes, out=tmp_path, k=4, n_threads=1)
    total = hashlib.sha256(b"<f4(90, 8)" + codes.tobytes()).hexdigest() if right else "0" * 64
    manifest = {**index.manifest, "codes": {"sha256": total}}
    (tmp_path / index.generation / "manifest.json").write_bytes(serialise(manifest))
    opened = graphret.open(tmp_path)
    if right:
        opened.verify(deep=True)
        opened.remove("3", n_threads=1).verify(deep=True)
    else:
        with pytest.raises(DamagedIndexError, match="hash of the codes"):
            opened.verify(deep=True)
