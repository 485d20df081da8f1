"""Every byte of an index matters: whatever is flipped, cut off or lost is named, and never answered from."""

import json
import shutil

import numpy as np
import pytest

import graphret
from graphret._errors import DamagedIndexError, GraphretError, StoreError
from graphret.index import held
from graphret.index.manifest import serialise

FILES = [
    "CURRENT",
    "manifest.json",
    "codes.npy",
    "lengths.npy",
    "code-checksums.npy",
    "graph-indptr.npy",
    "graph-indices.npy",
    "graph-weights.npy",
    "communities.npy",
    "knn-neighbors.npy",
    "knn-similarities.npy",
    "film-files.npy",
    "films.parquet",
    "problems.json",
    "encoder/encoder.json",
    "encoder/encoder.safetensors",
]


@pytest.fixture
def copied(film_index, tmp_path):
    root = tmp_path / "index"
    shutil.copytree(film_index.path, root)
    return root


def place(root, name):
    return root / name if name == "CURRENT" else root / "gen-000001" / name


def opened_and_verified(root):
    return graphret.open(root).verify()


def test_the_list_of_files_is_complete(copied, snapshot):
    assert sorted(snapshot(copied)) == sorted(["LOCK", *(str(place(copied, n).relative_to(copied)) for n in FILES)])
    assert opened_and_verified(copied)["n_files"] == len(FILES) - 1


def damages(content, rng):
    """Flips of one bit at the ends and in between, cuts, additions, zeros."""
    places = {0, len(content) - 1, *rng.integers(0, len(content), 6).tolist()}
    for number in sorted(places):
        flipped = bytearray(content)
        flipped[number] ^= 1 << int(rng.integers(8))
        yield bytes(flipped)
    yield content[: len(content) // 2]
    yield content[:-1]
    yield content + b"\x00"
    yield b""
    yield bytes(len(content))


@pytest.mark.parametrize("small", [0, 2**24], ids=["hashed by verify", "hashed when opened"])
@pytest.mark.parametrize("name", FILES)
def test_every_damage_is_named(copied, name, small, monkeypatch):
    """With small=0 nothing is hashed when the index is opened, as for a file of an archive of any size."""
    monkeypatch.setattr(held, "SMALL_FILE", small)
    path = place(copied, name)
    content = path.read_bytes()
    for damaged in damages(content, np.random.default_rng(len(name))):
        if name == "CURRENT" and damaged == content[:-1]:
            continue  # the last newline says nothing
        path.write_bytes(damaged)
        with pytest.raises(DamagedIndexError) as caught:
            opened_and_verified(copied)
        assert caught.value.file == path
        assert str(path) in str(caught.value)
        assert "restore the file from a backup, or build again" in str(caught.value)
    path.write_bytes(content)
    opened_and_verified(copied)
    path.unlink()
    with pytest.raises(DamagedIndexError) as caught:
        opened_and_verified(copied)
    assert caught.value.file == path


@pytest.mark.parametrize("name", [name for name in FILES if name != "codes.npy"])
def test_small_files_are_refused_when_the_index_is_opened(copied, name):
    path = place(copied, name)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(bytes(content))
    with pytest.raises(DamagedIndexError) as caught:
        graphret.open(copied)
    assert caught.value.file == path


@pytest.mark.parametrize(
    "name", ["graph-indices.npy", "graph-weights.npy", "encoder/encoder.safetensors", "films.parquet"]
)
def test_large_files_are_hashed_at_their_first_use(copied, name, monkeypatch):
    monkeypatch.setattr(held, "SMALL_FILE", 0)
    path = place(copied, name)
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(bytes(content))
    index = graphret.open(copied)
    asked = np.full((24, 20), 0.5, np.float32) if name.startswith("encoder") else "film03"
    with pytest.raises(DamagedIndexError) as caught:
        index.query(asked, 3, ranking="region_growing")
    assert caught.value.file == path


def test_a_folder_in_the_place_of_a_file(copied):
    path = place(copied, "problems.json")
    path.unlink()
    path.mkdir()
    with pytest.raises(DamagedIndexError, match=r"problems\.json"):
        graphret.open(copied)


def test_the_generation_is_lost(copied):
    shutil.rmtree(copied / "gen-000001")
    with pytest.raises(DamagedIndexError, match="it names gen-000001, which is not there"):
        graphret.open(copied)


def forge(root, change):
    """Change a manifest and give it the right checksum: only what it says is wrong."""
    path = place(root, "manifest.json")
    manifest = json.loads(path.read_bytes())
    change(manifest)
    path.write_bytes(serialise(manifest))
    return path


FORGERIES = {
    "another generation": lambda m: m.update(generation="gen-000009"),
    "a key is gone": lambda m: m.pop("counts"),
    "a key of another type": lambda m: m.update(files=[]),
    "a file is not listed": lambda m: m["files"].pop("films.parquet"),
    "a path that leads out": lambda m: m["files"].update({"../../x": {"bytes": 0, "sha256": ""}}),
    "an entry without a size": lambda m: m["files"].update({"codes.npy": {"sha256": ""}}),
    "another format": lambda m: m.update(format="zip"),
    "no version": lambda m: m.pop("schema_version"),
    "a version below one": lambda m: m.update(schema_version=0),
    "another graph hash": lambda m: m["graph"].update(sha256="0" * 64),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_manifest_that_contradicts_itself(copied, name):
    path = forge(copied, FORGERIES[name])
    with pytest.raises(DamagedIndexError) as caught:
        opened_and_verified(copied)
    assert caught.value.file == path


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("graph-indptr.npy", lambda old: old[::-1].copy()),
        ("graph-indptr.npy", lambda old: np.where(np.arange(len(old)) == 3, old + 100_000, old)),
        ("communities.npy", lambda old: old.astype(np.int64)),
        ("lengths.npy", lambda old: old[:-1]),
        ("graph-weights.npy", lambda old: old[:-2]),
        ("codes.npy", lambda old: old.astype(np.float64)),
    ],
)
def test_arrays_that_do_not_fit_each_other(copied, name, array):
    """Even where every checksum is right."""
    path = place(copied, name)
    changed = array(np.load(path, allow_pickle=False))
    np.save(path, changed, allow_pickle=False)
    from graphret.files import sha256_of

    def change(manifest):
        manifest["files"][name] = {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
        manifest["arrays"][name] = {"dtype": changed.dtype.str, "shape": list(changed.shape)}

    forge(copied, change)
    with pytest.raises(DamagedIndexError) as caught:
        graphret.open(copied)
    assert caught.value.file == path


def test_no_pickle_is_ever_loaded(copied):
    path = place(copied, "communities.npy")
    np.save(path, np.array([{"a": 1}] * 3, dtype=object), allow_pickle=True)
    from graphret.files import map_array

    with pytest.raises(DamagedIndexError, match="communities"):
        map_array(path)


def test_errors_are_of_the_house():
    assert issubclass(DamagedIndexError, StoreError)
    assert issubclass(StoreError, GraphretError)
    assert DamagedIndexError.exit_status == 1
