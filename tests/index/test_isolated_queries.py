"""Query films of unknown origin: decoded in another process, by every call, with the hits of any other query."""

import re

import numpy as np
import pytest
from PIL import Image

from graphret._errors import FilmError, InvalidParameterError
from graphret.data.isolated import Decoding
from graphret.index import QueryConfig, describe_hits, write_hits_html

CRASH = """
import os, sys, time
worker = sys.modules["__main__"]
whole = worker.read_pixels

def read_pixels(path, *, limits):
    if path.endswith("crash.png"):
        os.abort()
    if path.endswith("hang.png"):
        time.sleep(600)
    return whole(path, limits=limits)

worker.read_pixels = read_pixels
"""


@pytest.fixture
def harmful(tmp_path, monkeypatch):
    """Films that end or stop the process that decodes them, where it is a worker."""
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    (plugins / "jpeg_ls.py").write_text(CRASH)  # a worker loads it before its first film
    monkeypatch.syspath_prepend(plugins)
    for name in ("crash", "hang"):
        Image.new("L", (24, 24), 51).save(tmp_path / f"{name}.png")
    return tmp_path


@pytest.fixture
def only_in_workers(monkeypatch):
    def refuse(path, **_):
        raise AssertionError(f"{path} was decoded here")

    monkeypatch.setattr("graphret.data.isolated.read_pixels", refuse)


def test_the_same_hits_without_decoding_here(film_index, film_table, request):
    films = film_table.paths[:3].tolist()
    expected = film_index.query(films, 4)
    example = film_index.query_examples(films[:2], films[2:], 4)
    request.getfixturevalue("only_in_workers")
    with pytest.raises(AssertionError, match="was decoded here"):
        film_index.query(films, 4)
    np.testing.assert_array_equal(film_index.query(films, 4, isolate=True).positions, expected.positions)
    np.testing.assert_array_equal(
        film_index.query_examples(films[:2], films[2:], 4, isolate=True).positions, example.positions
    )


def test_one_that_ends_its_decoder_is_left_out(film_index, film_table, harmful):
    films = [film_table.paths[0], str(harmful / "crash.png"), str(harmful / "hang.png")]
    told = {}
    hits = film_index.query(
        films, 3, isolate=True, decode_seconds=3, on_problem=lambda name, error: told.update({name: error.reason})
    )
    assert hits.queries == films[:1]
    assert re.search("ended by signal SIGABRT", told[films[1]])
    assert re.search("too long to decode", told[films[2]])
    with pytest.raises(FilmError, match="ended by signal SIGABRT"):
        film_index.query(films[1], 3, isolate=True)


def test_pictures_of_the_query_are_isolated_too(film_index, film_table, harmful, monkeypatch):
    hits = film_index.query(film_table.paths[0], 2, isolate=True)
    crash = harmful / "crash.png"
    document = describe_hits(film_index, hits)
    document["queries"][0]["path"] = str(crash)
    made = write_hits_html(harmful / "hits.html", document, decoding=Decoding(isolate=True))
    assert "ended by signal SIGABRT" in made.problems[str(crash)]
    assert len(made.pictures) == 2
    new = harmful / "new.png"
    Image.new("L", (24, 24), 51).save(new)
    hits = film_index.query(new, 2, isolate=True)
    assert hits._repr_html_().count("<img") == 3
    new.rename(crash)
    monkeypatch.setitem(hits.pictures.queries.films, 0, crash)
    shown = hits._repr_html_()
    assert shown.count("<img") == 2
    assert "not readable" in shown


def test_values_that_are_refused(film_index, film_table):
    with pytest.raises(InvalidParameterError, match="isolate=1"):
        film_index.query(film_table.ids[0], isolate=1)
    with pytest.raises(InvalidParameterError, match="decode_seconds=0"):
        QueryConfig(decode_seconds=0)
