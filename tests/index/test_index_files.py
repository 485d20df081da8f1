"""Beside the files of an index: the lookup of values, readers beside a writer, the example of the documentation."""

import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import graphret
from graphret.data import ImageTable
from graphret.index.lookup import FilmLookup


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
