"""What a notebook shows of tables, indexes and hits, and what pandas gives and gets."""

from __future__ import annotations

import base64
import io
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

import graphret
from graphret._errors import DataError, InvalidParameterError, MissingDependencyError
from graphret.data import ImageTable, read_pixels


def pictures_in(page):
    """The pictures of a page, after a check that its marks are closed and nothing comes from outside."""
    opened, sources = [], []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attributes):
            if tag == "img":
                sources.append(dict(attributes)["src"])
            elif tag != "br":
                opened.append(tag)

        def handle_endtag(self, tag):
            assert opened.pop() == tag

    Reader().feed(page)
    assert not opened
    assert "<script" not in page
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert not re.search(r"https?://", page)
    return [Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))) for source in sources]


def test_short_texts(film_table, film_index, shared_index):
    assert repr(film_table) == "<ImageTable: 40 films (train 40), 2 labels>"
    assert "40 films" in repr(film_index)
    hits = shared_index.query(["film001", "film002"], 3)
    assert repr(hits) == "<Hits: 6 films for 2 queries, ranking nearest>"
    assert repr(hits[0]).startswith("<3 hits: ")


def test_a_table_shows_its_first_films(film_table):
    shown = pictures_in(film_table._repr_html_())
    assert len(shown) == 8
    np.testing.assert_array_equal(np.asarray(shown[3]), read_pixels(film_table.paths[3]))


def test_hits_show_the_query_and_the_films(film_index, film_table):
    ids = film_table.ids[[3, 4]].tolist()
    hits = film_index.query(ids, 4)
    shown = pictures_in(hits._repr_html_())
    assert len(shown) == 2 * 5
    np.testing.assert_array_equal(np.asarray(shown[0]), read_pixels(film_table.paths[3]))
    np.testing.assert_array_equal(np.asarray(shown[1]), read_pixels(film_table.paths[hits.positions[0, 0]]))
    for what in (film_table.paths[3], read_pixels(film_table.paths[3]), Image.open(film_table.paths[3])):
        page = film_index.query(what, 4)[0]._repr_html_()
        np.testing.assert_array_equal(np.asarray(pictures_in(page)[0]), read_pixels(film_table.paths[3]))
    assert len(pictures_in(film_index.query_examples(ids, k=4)._repr_html_())) == 4
    assert "... 35 more queries" in film_index.query(film_table.ids.tolist(), 2)._repr_html_()


def test_an_index_shows_films_of_its_communities(film_index, shared_index):
    assert pictures_in(film_index._repr_html_())
    assert pictures_in(shared_index._repr_html_()) == []
    assert "no film" in shared_index._repr_html_()
    with graphret.open(shared_index.path) as index:
        pass
    assert "closed" in index._repr_html_()


def test_names_and_labels_are_escaped_and_bad_films_are_a_box(film_table, tmp_path):
    bad = "<script>alert(1)</script>"
    (tmp_path / "bad.png").write_bytes(b"no picture")
    paths = np.array([str(tmp_path / "bad.png"), str(tmp_path / "gone.png"), *film_table.paths[2:]])
    ids = np.array([bad, *film_table.ids[1:]])
    table = replace(film_table, ids=ids, paths=paths, label_names=(bad, "Mass"), labels=np.ones((40, 2)))
    page = table._repr_html_()
    assert len(pictures_in(page)) == 6
    assert page.count("not readable") == 2
    assert page.count("&lt;script&gt;") == 1 + 8
    codes = np.random.default_rng(0).random((40, 6), dtype=np.float32)
    index = graphret.build(codes, films=table, out=tmp_path / "index", k=4)
    pictures_in(index.query([bad, table.ids[4]], 5)._repr_html_())
    pictures_in(index._repr_html_())


def test_hits_as_a_data_frame(shared_index):
    pytest.importorskip("pandas")
    hits = shared_index.query(["film001", "film002"], 90, where={"view": "AP"})
    frame = hits.to_pandas()
    assert list(frame.columns) == [
        "query", "query_id", "rank", "id", "position", "similarity", "score", "community", "source"
    ]  # fmt: skip
    assert len(frame) == (hits.positions >= 0).sum() < hits.positions.size
    for row, of_query in enumerate(hits):
        part = frame[frame["query"] == row]
        assert part["id"].tolist() == [hit.id for hit in of_query]
        assert part["rank"].tolist() == list(range(1, len(of_query) + 1))
        assert part["similarity"].to_numpy().tobytes() == hits.similarities[row, : len(of_query)].tobytes()
        assert set(part["query_id"]) == {of_query.query}


@pytest.mark.parametrize("name", ["labels", "patients", "splits"])
def test_what_names_the_films_in_another_order_is_refused(codes, tmp_path, name):
    """Rows are taken by their places: the films would get each other's labels."""
    pandas = pytest.importorskip("pandas")
    ids = [f"film {number}" for number in range(len(codes))]
    values = pandas.Series(["train", "valid"] * (len(codes) // 2) + ["test"] * (len(codes) % 2), index=ids)
    kept = graphret.build(codes, out=tmp_path / "index", k=5, tune=False, ids=ids, **{name: values})
    assert len(kept) == len(codes)
    with pytest.raises(InvalidParameterError, match=f"{name}.loc\\[ids\\] has it"):
        graphret.build(codes, out=tmp_path / "other", k=5, tune=False, ids=ids, **{name: values[::-1]})
    assert not (tmp_path / "other").exists()


def test_pandas_is_not_imported_with_the_package():
    rooms = ("graphret", "graphret.index", "graphret.data", "graphret.evaluation", "graphret.tuning", "graphret.cli")
    program = f"import sys, {', '.join(rooms)}; graphret.ImageTable, graphret.Hits; assert 'pandas' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_without_pandas_the_error_says_what_to_install(shared_index, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'graphret\[pandas\]'"):
        shared_index.query("film001", 2).to_pandas()


def test_a_table_of_a_data_frame(tmp_path):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(
        {
            "Image": ["a.png", "b.png", "c.png"],
            "Finding": pd.Categorical(["Mass", None, "Edema"], categories=["Edema", "Mass", "Nodule"]),
            "Person": [12.0, np.nan, 7.0],
            "age": pd.array([50, None, 61], dtype="Int64"),
            "size": pd.array([3, 4, 5], dtype="Int64"),
            "portable": [True, False, True],
            "seen": pd.to_datetime(["2020-01-02", None, "2021-03-04"]),
            "note": ["x", None, "z"],
            "split": ["train", "test", "valid"],
        },
        index=[10, 11, 12],
    )
    table = ImageTable.from_pandas(frame, "Finding", paths="Image", patients="Person", root=str(tmp_path))
    assert table.ids.tolist() == ["10", "11", "12"]
    assert table.paths.tolist() == [str(tmp_path / name) for name in ("a.png", "b.png", "c.png")]
    assert (table.label_names, table.labels.tolist()) == (
        ("Edema", "Mass", "Nodule"),
        [[0, 1, 0], [0, 0, 0], [1, 0, 0]],
    )
    assert table.patients.tolist() == ["12", "11", "7"]
    assert table.splits.tolist() == ["train", "test", "valid"]
    assert set(table.columns) == {"age", "size", "portable", "seen", "note"}
    np.testing.assert_array_equal(table.columns["age"], [50, np.nan, 61])
    assert table.columns["size"].tolist() == [3, 4, 5]
    assert table.columns["portable"].dtype == bool
    assert table.columns["note"].tolist() == ["x", "", "z"]
    assert [text[:10] for text in table.columns["seen"]] == ["2020-01-02", "", "2021-03-04"]


def test_a_table_goes_to_pandas_and_back(described):
    pytest.importorskip("pandas")
    back = ImageTable.from_pandas(described.to_arrow().to_pandas())
    for name in ("ids", "paths", "patients", "views", "splits", "labels"):
        assert getattr(back, name).tolist() == getattr(described, name).tolist(), name
    assert back.label_names == described.label_names
    assert {name: values.tolist() for name, values in back.columns.items()} == {
        name: values.tolist() for name, values in described.columns.items()
    }


def test_labels_of_a_data_frame(described):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"id": ["a", "b"], "Edema": [1, 0], "Mass": [-1, 1], "names": [["x"], ["x", "y"]]})
    assert ImageTable.from_pandas(frame, ["Mass", "Edema"]).label_names == ("Mass", "Edema")
    assert ImageTable.from_pandas(frame, ["Mass", "Edema"]).labels.tolist() == [[-1, 1], [1, 0]]
    assert ImageTable.from_pandas(frame, "names").labels.tolist() == [[1, 0], [1, 1]]
    assert ImageTable.from_pandas(frame[["id"]], ["p", "q"]).labels.tolist() == [[1, 0], [0, 1]]
    assert ImageTable.from_pandas(frame[["id"]]).label_names == ()
    for wrong in ({"labels": "Hernia"}, {"ids": "name"}):
        with pytest.raises(InvalidParameterError, match=r"give one of .*Edema"):
            ImageTable.from_pandas(frame, **wrong)
    with pytest.raises(InvalidParameterError, match="a pandas DataFrame"):
        ImageTable.from_pandas([1, 2])
    with pytest.raises(DataError, match="'a' occurs more than once"):
        ImageTable.from_pandas(pd.concat([frame, frame]), "names")
