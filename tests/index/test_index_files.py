"""The files below an index: arrays that numpy reads, results of stages, readers beside a writer."""

import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import graphret
from graphret._errors import DamagedIndexError
from graphret.data import ImageTable
from graphret.index.files import (
    BLOCK_BYTES,
    array_header,
    link_or_copy,
    map_array,
    replace_file,
    write_array,
    write_rows,
)
from graphret.index.lookup import FilmLookup
from graphret.index.stages import StageFolder, stage_key

STORED = st.sampled_from(["<f4", "<f8", "<i4", "<i8", "|u1", "|b1", ">f4", "<i2"])


@settings(max_examples=40, deadline=None)
@given(
    array=STORED.flatmap(lambda dtype: arrays.arrays(dtype, arrays.array_shapes(max_dims=3, min_side=0, max_side=5)))
)
def test_arrays_round_trip_and_numpy_reads_them(tmp_path_factory, array):
    path = tmp_path_factory.mktemp("array") / "a.npy"
    write_array(path, array)
    for read in (map_array(path), np.load(path, allow_pickle=False)):
        assert read.shape == array.shape
        assert read.dtype == array.dtype.newbyteorder("<")
        assert np.array_equal(read, array, equal_nan=array.dtype.kind == "f")
    if array.size:
        assert not map_array(path).flags.writeable


def test_rows_are_written_part_by_part(tmp_path):
    whole = np.arange(3 * BLOCK_BYTES // 8, dtype=np.float32).reshape(-1, 4)
    parts = np.array_split(whole, 7)
    write_rows(tmp_path / "a.npy", whole.shape, whole.dtype, iter(parts))
    assert np.array_equal(map_array(tmp_path / "a.npy"), whole)
    with pytest.raises(FileExistsError):
        write_rows(tmp_path / "a.npy", whole.shape, whole.dtype, iter(parts))


@pytest.mark.parametrize(
    "array", [np.asfortranarray(np.ones((3, 4))), np.array(["text"]), np.zeros(3, [("a", "<f4")]), np.zeros(2, ">f4")]
)
def test_other_npy_files_are_refused(tmp_path, array):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(DamagedIndexError, match=r"not an \.npy array"):
        array_header(tmp_path / "a.npy")


def test_links_and_copies(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"content")
    link_or_copy(tmp_path / "a", tmp_path / "linked")
    assert (tmp_path / "linked").stat().st_ino == (tmp_path / "a").stat().st_ino

    def no_links(*_):
        raise OSError("the file system knows no links")

    monkeypatch.setattr("os.link", no_links)
    link_or_copy(tmp_path / "a", tmp_path / "copied")
    assert (tmp_path / "copied").stat().st_ino != (tmp_path / "a").stat().st_ino
    assert (tmp_path / "copied").read_bytes() == b"content"


def test_a_file_is_replaced_in_one_step(tmp_path):
    path = tmp_path / "CURRENT"
    for content in (b"one", b"two"):
        replace_file(path, content)
        assert path.read_bytes() == content
    assert [entry.name for entry in tmp_path.iterdir()] == ["CURRENT"]


def test_stages_are_kept_by_their_key(tmp_path):
    stages = StageFolder(tmp_path / "build")
    stages.save("graph", stage_key(1), {"a": np.arange(3), "b": np.ones(2, np.float32)})
    stages.save("graph", stage_key(2), {"a": np.arange(4)})
    assert stages.load("graph", stage_key(1), ["b"])["b"].dtype == np.float32
    assert set(stages.load("graph", stage_key(1))) == {"a", "b"}
    assert stages.load("graph", stage_key(1), ["c"]) is None
    assert stages.load("codes", stage_key(1)) is None
    stages.keep_only(stage_key(2))
    assert stages.load("graph", stage_key(1)) is None
    assert stages.read("graph", stage_key(2), "a").tolist() == [0, 1, 2, 3]
    assert stage_key({"a": 1, "b": 2}) == stage_key({"b": 2, "a": 1}) != stage_key({"a": 1, "b": 3})


@settings(max_examples=30, deadline=None)
@given(values=st.lists(st.sampled_from(["", "a", "aa", "b", "ç"]), min_size=1, max_size=20), data=st.data())
def test_lookup_finds_what_a_comparison_finds(values, data):
    films = ImageTable(
        ids=[f"f{row}" for row in range(len(values))],
        paths=[],
        labels=[],
        label_names=(),
        columns={"ward": np.array(values), "age": np.array([len(value) for value in values])},
    )
    lookup = FilmLookup(lambda: films)
    asked = data.draw(st.lists(st.sampled_from(["a", "aa", "ç", "never", "a much longer text"]), max_size=4))
    assert lookup.rows("ward", asked).tolist() == np.flatnonzero(np.isin(values, asked)).tolist()
    assert lookup.rows("age", [1, 2.0, 7]).tolist() == [row for row, value in enumerate(values) if len(value) in {1, 2}]
    assert lookup.rows("id", ["f0", "f99"]).tolist() == [0]
    assert lookup.rows("ward", asked).dtype == np.int32


def test_readers_beside_a_writer(codes, tmp_path):
    """Opened again and again while generations come and go: always one of them, whole."""
    root = graphret.build(codes, out=tmp_path / "index", k=3).path
    stop = threading.Event()
    seen, failures = set(), []

    def read():
        while not stop.is_set():
            try:
                index = graphret.open(root)
                parameters = index.manifest["parameters"]
                hits = index.query(codes[3], 2, ranking="nearest", n_threads=1)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is a failure of the test
                if "open it again" not in str(error):
                    failures.append(error)
            else:
                seen.add(parameters["k"])
                if hits.ids[0, 0] != "3":
                    failures.append(hits)

    reader = threading.Thread(target=read)
    reader.start()
    for k in range(4, 10):
        graphret.build(codes, out=root, k=k, n_threads=1)
    stop.set()
    reader.join()
    assert failures == []
    assert len(seen) > 1


def test_the_example_of_the_documentation_runs(shared_index, capsys):
    text = (Path(__file__).resolve().parents[2] / "docs" / "index_format.md").read_text(encoding="utf-8")
    example = text.split("```python\n")[1].split("```")[0]
    assert 'Path("indexes/mine")' in example
    names = {}
    exec(example.replace('Path("indexes/mine")', f"Path({str(shared_index.path)!r})"), names)  # noqa: S102 - our own text
    hits = shared_index.query("film000", 5, ranking="nearest")
    assert names["nearest"].tolist() == hits.positions[0].tolist()
    printed = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[0] for line in printed] == hits.ids[0].tolist()
    assert [float(line[1]) for line in printed] == pytest.approx(hits.similarities[0], abs=2e-6)
    assert [int(line[3]) for line in printed] == hits.communities[0].tolist()
    assert names["manifest"]["counts"]["films"] == len(shared_index)
    for name in names["manifest"]:
        assert f"`{name}`" in text or name == "sha256"
