"""Generations on disk: what is written when, what a failure leaves, what readers touch."""

import builtins
import errno
import itertools
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

import graphret
from graphret._errors import (
    DamagedIndexError,
    NotAnIndexError,
    StoreError,
)
from graphret.index.manifest import SCHEMA_VERSION, serialise


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_generations_follow_each_other(codes, tmp_path):
    for number in range(1, 5):
        index = graphret.build(codes, out=tmp_path / "index", k=3 + number)
        assert (tmp_path / "index" / "CURRENT").read_text() == f"gen-{number:06d}\n"
        assert index.manifest["generation"] == f"gen-{number:06d}"
        assert index.manifest["parent"] == (f"gen-{number - 1:06d}" if number > 1 else None)
    assert names(tmp_path / "index") == ["CURRENT", "LOCK", "gen-000003", "gen-000004"]


def test_a_reader_keeps_its_generation(codes, tmp_path):
    old = graphret.build(codes, out=tmp_path / "index", k=3)
    new = graphret.build(codes, out=tmp_path / "index", k=8)
    assert old.graph.n_edges < new.graph.n_edges
    assert old.query("5", 3).positions.shape == (1, 3)


@pytest.mark.parametrize("how", ["replaced twice", "moved", "removed"])
def test_an_index_that_was_opened_answers_late(film_table, make_encoder, tmp_path, how):
    """What was not read before is read from the files that are held, whatever became of their names."""
    encoder = graphret.load_encoder("resnet18_hash", size=32, n_bits=16, device="cpu")
    root = graphret.build(film_table, encoder, out=tmp_path / "index", k=3, search="graph").path
    asked, late = graphret.open(root), graphret.open(root)
    expected = [asked.query("film05", 3, ranking=name).ids.tolist() for name in ("nearest", "region_growing")]
    edges, by_film = asked.graph.n_edges, asked.query(film_table.paths[5], 3).ids.tolist()
    if how == "replaced twice":
        for k in (4, 5):
            graphret.build(asked.codes, out=root, k=k)
        assert not (root / "gen-000001").exists()
    elif how == "moved":
        root.rename(tmp_path / "elsewhere")
    else:
        shutil.rmtree(root)
    assert late.graph.n_edges == edges
    assert [late.query("film05", 3, ranking=name).ids.tolist() for name in ("nearest", "region_growing")] == expected
    assert late.query(film_table.paths[5], 3).ids.tolist() == by_film
    assert late.films.ids.tolist() == film_table.ids.tolist()
    assert late.verify(deep=True)["generation"] == "gen-000001"


def test_a_generation_replaced_while_it_is_opened(codes, tmp_path, monkeypatch):
    root = graphret.build(codes, out=tmp_path / "index", k=3).path
    shutil.copytree(root / "gen-000001", tmp_path / "copy")
    from graphret.index import generation

    real = generation.read_manifest  # type: ignore[attr-defined]
    replaced = []

    def replaced_just_now(folder):
        if not replaced:
            replaced.append(folder)
            for k in (4, 5):
                graphret.build(codes, out=root, k=k)
        return real(folder)

    monkeypatch.setattr(generation, "read_manifest", replaced_just_now)
    assert graphret.open(root).manifest["generation"] == "gen-000003"


def test_leftovers_are_the_next_writers_to_clean(codes, tmp_path):
    root = graphret.build(codes, out=tmp_path / "index", k=3).path
    left = root / ".gen-000002.partial-99999"
    left.mkdir()
    (left / "codes.npy").write_bytes(b"half")
    (root / ".CURRENT.partial-99999").write_bytes(b"gen-")
    assert graphret.open(root).verify()["unused"] == [".CURRENT.partial-99999", left.name]
    assert left.is_dir()
    graphret.build(codes, out=root, k=3)
    assert names(root) == ["CURRENT", "LOCK", "gen-000001", "gen-000002"]


def test_a_generation_that_never_became_current(codes, tmp_path):
    """As after a kill between the two renames."""
    root = graphret.build(codes, out=tmp_path / "index", k=3).path
    shutil.copytree(root / "gen-000001", root / "gen-000002")
    index = graphret.open(root)
    assert index.manifest["generation"] == "gen-000001"
    assert index.verify()["unused"] == ["gen-000002"]
    assert graphret.build(codes, out=root, k=4).manifest["parent"] == "gen-000001"
    assert names(root) == ["CURRENT", "LOCK", "gen-000001", "gen-000003"]


def test_the_manifest_says_what_is_there(shared_index):
    folder = shared_index.path / "gen-000001"
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest == shared_index.manifest
    assert manifest["schema_version"] == SCHEMA_VERSION
    assert manifest["graphret_version"] == graphret.__version__
    assert set(manifest["files"]) == set(names(folder)) - {"manifest.json"}
    for name, stated in manifest["arrays"].items():
        array = np.load(folder / name, allow_pickle=False)
        assert stated == {"dtype": array.dtype.str, "shape": list(array.shape)}
    counts = manifest["counts"]
    assert counts["films"] == len(shared_index)
    assert counts["edges"] == shared_index.graph.n_edges
    assert counts["communities"] == shared_index.communities.max() + 1
    assert counts["patients"] == 30
    assert shared_index.info()["counts"] == counts
    assert json.loads(json.dumps(shared_index.info()))["n_bytes"] > 0
    assert shared_index.verify() == {
        "generation": "gen-000001",
        "parent": None,
        "n_files": 12,
        "n_bytes": shared_index.info()["n_bytes"],
        "others": [],
        "unused": [],
        "unfinished": False,
    }


def test_a_newer_format_is_refused_with_advice(codes, tmp_path):
    root = graphret.build(codes, out=tmp_path / "index", k=3).path
    path = root / "gen-000001" / "manifest.json"
    manifest = json.loads(path.read_bytes())
    path.write_bytes(serialise({**manifest, "schema_version": SCHEMA_VERSION + 1, "graphret_version": "9.0"}))
    with pytest.raises(StoreError, match=r"written by graphret 9\.0; .*upgrade graphret"):
        graphret.open(root)


def test_what_is_no_index(tmp_path):
    with pytest.raises(NotAnIndexError, match="it does not exist"):
        graphret.open(tmp_path / "nothing")
    with pytest.raises(NotAnIndexError, match="it has no CURRENT file"):
        graphret.open(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(NotAnIndexError, match="it is not a folder"):
        graphret.open(tmp_path / "file")
    assert NotAnIndexError.exit_status == 2


@pytest.fixture
def no_writing(monkeypatch):
    """Every way in which Python opens a file for writing, makes, renames or removes one, fails."""
    asked = []

    def refuse(*arguments, **_):
        asked.append(arguments)
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    real_os_open, real_open, real_path_open = os.open, builtins.open, Path.open

    def os_open(path, flags, *rest, **how):
        return (
            refuse(path) if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) else real_os_open(path, flags, *rest, **how)
        )

    def check(real):
        def opened(path, mode="r", *rest, **how):
            return refuse(path, mode) if set(mode) & set("wax+") else real(path, mode, *rest, **how)

        return opened

    monkeypatch.setattr(os, "open", os_open)
    monkeypatch.setattr(builtins, "open", check(real_open))
    monkeypatch.setattr(Path, "open", check(real_path_open))
    for name in (
        "mkdir",
        "rename",
        "replace",
        "unlink",
        "remove",
        "rmdir",
        "link",
        "symlink",
        "truncate",
        "utime",
        "chmod",
    ):
        monkeypatch.setattr(os, name, refuse)
    import fcntl

    for name in ("flock", "lockf"):
        monkeypatch.setattr(fcntl, name, refuse)
    return asked


@pytest.fixture
def compiled(film_index, film_table, make_encoder):
    """Numba writes to its cache what it compiles: it has compiled all kernels of a query before writing is refused."""
    index = graphret.open(film_index.path, encoder=make_encoder())
    index.verify()
    for ranking in graphret.list_rankings():
        index.query(film_table.paths[3], 5, ranking=ranking).to_dicts(why=True)


@pytest.mark.usefixtures("compiled")
def test_readers_write_nothing_and_lock_nothing(film_index, film_table, make_encoder, no_writing, snapshot):
    before = snapshot(film_index.path)
    index = graphret.open(film_index.path, encoder=make_encoder())
    index.verify()
    index.info()
    for ranking in graphret.list_rankings():
        index.query(film_table.paths[3], 5, ranking=ranking).to_dicts(why=True)
    index.query("film03", 5, where={"split": "train"}, exclude="patient")
    assert no_writing == []
    assert snapshot(film_index.path) == before
    with pytest.raises(StoreError, match="choose a folder that you may write to"):
        graphret.build(index.codes, out=film_index.path)
    assert snapshot(film_index.path) == before


@pytest.mark.parametrize("refusal", [errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EIO])
def test_no_write_that_fails_harms_the_last_index(codes, tmp_path, monkeypatch, snapshot, refusal):
    """Each fsync of a second build fails in turn, as on a full disk; the first index stays as it is."""
    root = graphret.build(codes, out=tmp_path / "index", k=3).path
    before = {name: content for name, content in snapshot(root).items() if not name.startswith("LOCK")}
    real = os.fsync
    turns = iter([])

    def failing(descriptor):
        if next(turns):  # one step of an iterator, also where several threads flush at once
            raise OSError(refusal, os.strerror(refusal))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", failing)
    messages = []
    for number in range(1, 100, 1 if refusal == errno.ENOSPC else 5):
        turns = map(number.__eq__, itertools.count(1))
        try:
            graphret.build(codes, out=root, k=4)
            break
        except StoreError as error:
            messages.append(str(error))
        index = graphret.open(root)
        index.verify()
        left = {name: content for name, content in snapshot(root).items() if not name.startswith(("LOCK", ".build"))}
        if index.manifest["generation"] == "gen-000001":
            assert left == before
        assert not list(root.rglob(".*partial*"))
    assert len(messages) >= (10 if refusal == errno.ENOSPC else 2)
    assert all(os.strerror(refusal) in message for message in messages)
    if refusal in {errno.ENOSPC, errno.EDQUOT}:
        assert all("bytes are free" in message for message in messages)
    assert graphret.open(root).manifest["parameters"]["k"] == 4


def test_a_disk_that_is_full_in_the_middle_of_a_file(codes, tmp_path):
    """Not a fake: the operating system refuses to let a file grow beyond 2,000 bytes."""
    import resource

    root = graphret.build(codes, out=tmp_path / "index", k=3).path
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, hard))
    try:
        with pytest.raises(StoreError, match="File too large; what was there before is unchanged"):
            graphret.build(codes, out=root, k=4)
        with pytest.raises(StoreError, match="File too large"):
            graphret.build(codes, out=tmp_path / "new", k=4)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert graphret.open(root).verify()["generation"] == "gen-000001"
    assert not (tmp_path / "new").exists()
    assert graphret.build(codes, out=root, k=4).manifest["generation"] == "gen-000002"


def test_a_damaged_index_can_be_built_again(codes, tmp_path):
    root = graphret.build(codes, out=tmp_path / "index", k=3).path
    (root / "CURRENT").write_bytes(b"\x00" * 11)
    with pytest.raises(DamagedIndexError, match="CURRENT"):
        graphret.open(root)
    assert graphret.build(codes, out=root, k=3).manifest["generation"] == "gen-000002"
    assert names(root) == ["CURRENT", "LOCK", "gen-000002"]


def test_the_index_is_plain_numpy_and_parquet(codes, described, shared_index):
    """What docs/index_format.md shows, without graphret."""
    import pyarrow.parquet as pq
    import scipy.sparse

    root = shared_index.path
    folder = root / (root / "CURRENT").read_text().strip()
    stored = np.load(folder / "codes.npy", mmap_mode="r", allow_pickle=False)
    assert np.array_equal(stored, codes)
    load = {
        name: np.load(folder / f"graph-{name}.npy", allow_pickle=False) for name in ("indptr", "indices", "weights")
    }
    matrix = scipy.sparse.csr_array((load["weights"], load["indices"], load["indptr"]), shape=(len(codes),) * 2)
    assert abs(matrix - matrix.T).max() == 0
    lengths = np.load(folder / "lengths.npy", allow_pickle=False)
    row, column = 5, matrix[[5]].indices[0]
    cosine = stored[row].astype(float) @ stored[column] / lengths[row] / lengths[column]
    assert abs(matrix[row, column] - cosine) < 1e-6
    assert pq.read_table(folder / "films.parquet")["patient"].to_pylist() == described.patients.tolist()
