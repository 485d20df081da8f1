"""Hits as a document, a page and a table: the same content, safe whatever names hold, nothing from outside."""

from __future__ import annotations

import csv
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

import graphret
from graphret._plain import csv_cell
from graphret.data import read_pixels
from graphret.data.thumbnails import read_thumbnails
from graphret.index import describe_hits, write_hits_csv, write_hits_html
from graphret.index.answers import legend_of, why_in_words
from graphret.index.answers_csv import hits_csv
from graphret.index.answers_html import hits_html

NASTY = ["<script>alert(1)</script>", '"><img src=x onerror=y>', "a & b, 'c'", "[/bold]", "line\nbreak", "bell\x07"]


class Page(HTMLParser):
    """What a browser would load or run."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.sources, self.handlers, self.words = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            if name in {"src", "href", "srcset", "data", "action", "background", "poster"}:
                self.sources.append(value)
            if name.startswith("on"):
                self.handlers.append(name)

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def nasty_index(codes, tmp_path_factory):
    ids = [f"{NASTY[row % len(NASTY)]} {row}" for row in range(len(codes))]
    labels = np.arange(len(codes))[:, None] % 3 == np.arange(3)
    folder = tmp_path_factory.mktemp("nasty") / "<b>index</b>"
    return graphret.build(codes, out=folder, ids=ids, labels=labels, label_names=["<i>Mass", "x|y", "Edema"], k=6)


def check_alone(text):
    page = Page(text)
    assert not {"script", "link", "iframe", "object", "embed", "base", "form"} & set(page.tags)
    assert all(source.startswith("data:image/jpeg;base64,") for source in page.sources)
    assert not page.handlers
    assert not re.search(r"url\(|@import|https?:", text)
    assert "default-src 'none'" in text
    return page


def test_a_page_is_safe_whatever_names_hold(nasty_index, tmp_path):
    ids = nasty_index.films.ids[:6].tolist()
    document = describe_hits(nasty_index, nasty_index.query(ids, 4, group_by="patient"))
    made = write_hits_html(tmp_path / "hits.html", document)
    text = (tmp_path / "hits.html").read_text(encoding="utf-8")
    page = check_alone(text)
    assert "script" not in page.tags
    assert "i" not in page.tags
    assert "\x07" not in text
    words = "".join(page.words)
    for answer in document["queries"]:
        assert answer["query"].replace("\x07", "\\x07") in words
        for hit in answer["hits"]:
            assert hit["id"].replace("\x07", "\\x07") in words
    assert made.problems == {"": "there is no file of it"}
    assert "1 of 1 films cannot be shown, first one without a file: there is no file of it." in words


def test_a_page_shows_every_query_beside_its_hits(film_index, film_table, tmp_path):
    asked = [film_table.paths[4], "film09"]
    hits = film_index.query(asked, 3, ranking="region_growing")
    document = describe_hits(film_index, hits)
    write_hits_html(tmp_path / "hits.html", document)
    text = (tmp_path / "hits.html").read_text(encoding="utf-8")
    page = check_alone(text)
    assert len(page.sources) == 2 * (1 + 3)
    words = "".join(page.words)
    assert "cannot be shown" not in words
    for answer in document["queries"]:
        for hit in answer["hits"]:
            assert f"{hit['rank']}. {hit['id']}" in words
            assert f"similarity {hit['similarity']:.4f}, score {hit['score']:.4f}" in words
            assert why_in_words(hit) in words
    names = [name for name, value in zip(film_table.label_names, film_table.labels[9], strict=True) if value == 1]
    assert document["queries"][1]["labels"] == names
    assert document["queries"][1]["path"] == film_table.paths[9]
    assert all(f"{name}: {meaning}" in words for name, meaning in legend_of(document).items())
    assert set(legend_of(document)) == set(hits.sources.ravel().tolist())


def test_films_that_are_gone_are_boxes_and_counted(film_index, film_table, tmp_path):
    document = describe_hits(film_index, film_index.query("film09", 3))
    gone, broken = (hit["path"] for hit in document["queries"][0]["hits"][:2])
    (tmp_path / "broken.png").write_bytes(b"text")
    for hit in document["queries"][0]["hits"]:
        hit["path"] = {gone: str(tmp_path / "gone.png"), broken: str(tmp_path / "broken.png")}.get(
            hit["path"], hit["path"]
        )
    document["problems"] = [
        {"path": "new/<bad>.png", "reason": "it is cut", "n_files": 3, "is_film": True},
        {"path": "note.txt", "reason": "not a film", "n_files": 1, "is_film": False},
    ]
    made = write_hits_html(tmp_path / "hits.html", document)
    page = check_alone((tmp_path / "hits.html").read_text(encoding="utf-8"))
    words = "".join(page.words)
    assert len(page.sources) == len(made.pictures) == 2
    assert words.count("film not readable:") == len(made.problems) == 2
    assert "2 of 4 films cannot be shown, first " in words
    assert "there is no such file" in words
    assert "not an image" in words
    assert "3 films could not be asked for, first new/<bad>.png: it is cut." in words


def test_each_film_is_read_once_and_small(film_table, monkeypatch):
    read = []

    def counted(path, **limits):
        read.append(path)
        return read_pixels(path, **limits)

    monkeypatch.setattr("graphret.data.isolated.read_pixels", counted)
    paths = film_table.paths[:3].tolist() * 4
    told = []
    made = read_thumbnails(paths, 16, n_threads=2, progress=lambda *said: told.append(said))
    assert sorted(read) == sorted(set(paths)) == sorted(made.pictures)
    assert told[-1] == ("thumbnails", 3, 3)
    with Image.open(io.BytesIO(made.pictures[paths[0]])) as picture:
        assert (picture.format, picture.mode, max(picture.size)) == ("JPEG", "L", 16)


def test_a_table_of_hits_reads_back_as_it_was(nasty_index, tmp_path):
    ids = nasty_index.films.ids[:6].tolist()
    document = describe_hits(nasty_index, nasty_index.query(ids, 4, group_by="split", ranking="contextual"))
    write_hits_csv(tmp_path / "hits.csv", document)
    with (tmp_path / "hits.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    expected = [(answer["query"], hit) for answer in document["queries"] for hit in answer["hits"]]
    assert len(rows) == len(expected) == 6
    for row, (query, hit) in zip(rows, expected, strict=True):
        assert (row["query"], row["id"], int(row["rank"])) == (csv_cell(query), csv_cell(hit["id"]), hit["rank"])
        assert (float(row["similarity"]), float(row["score"])) == (hit["similarity"], hit["score"])
        assert row["labels"] == csv_cell("|".join(hit["labels"]))
        assert (row["group"], row["why"]) == ("train", csv_cell(why_in_words(hit)))
        assert row["why"].startswith("score = similarity ")


def test_a_query_without_hits_is_said(shared_index):
    films = shared_index.films
    hits = shared_index.query("film003", 5, where={"age": 30}, exclude={"age": 30})
    document = describe_hits(shared_index, hits)
    rows = list(csv.reader(io.StringIO(hits_csv(document))))
    assert len(films) > 5
    assert rows[1] == ["film003"] + [""] * (len(rows[0]) - 1)
    assert "No film of the index may come for this query." in hits_html(document, read_thumbnails([]))
