"""The page of an archive: true, whole in one file, safe with hostile names, nobody named, gaps said."""

import json
import re

import numpy as np
import pytest

import graphret
from graphret._errors import InvalidParameterError
from graphret.overview.page import map_svg

KINDS = np.repeat([0, 1, 2], [50, 40, 30])
CODES = (np.random.default_rng(3).normal(size=(120, 12)) + 5 * np.eye(12)[KINDS]).astype(np.float32)
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return graphret.build(
        CODES,
        ids=[f"patient-{number}{HOSTILE}" for number in range(120)],
        labels={f"Effusion{HOSTILE}": KINDS == 0, "Edema": KINDS == 1},
        out=tmp_path_factory.mktemp("reported") / "index",
        k=8,
        tune=False,
    )


@pytest.fixture(scope="module")
def made(index):
    return graphret.report(index, n_queries=40)


def test_the_page_loads_nothing_and_holds_no_script(made):
    page = made.to_html()
    assert "<script" not in page
    assert not re.search(r"(src|href)=[\"'](?!data:)", page)
    assert "default-src 'none'" in page


def test_nobody_is_named_unless_asked(index, made):
    assert "patient-" not in made.to_html()
    assert "patient-" not in json.dumps(made.to_dict())
    named = graphret.report(index, n_queries=0, near_duplicates=False, show_ids=True).to_html()
    assert "patient-" in named
    assert "<script" not in named


def test_figures_are_those_of_the_index(index, made):
    document = made.to_dict()
    assert document["films"] == 120
    assert document["labels"]["Edema"]["positive"] == 40
    assert sum(entry["size"] for entry in document["communities"]) == 120
    assert document["edges"] == index.graph.n_edges
    assert document["near_duplicates"] == graphret.audit(index).counts
    assert set(document["measures"]) == {"nearest", "random"}
    assert document["measures"]["nearest"]["P@10"] > 0.9 > document["measures"]["random"]["P@10"]
    json.dumps(document, allow_nan=False)


def test_what_is_not_shown_is_counted(index):
    n = int(index.communities.max()) + 1
    page = graphret.report(index, n_communities=1, n_points=50, n_queries=0, near_duplicates=False).to_html()
    assert f"{n - 1:,} smaller communities" in page
    assert "1 of 1 films cannot be shown, the first: there is no file of it" in page
    assert "40 of 120 films, evenly taken" in page
    assert "Not measured: no film was to be asked for" in page
    assert "Not looked for" in page


def test_films_have_pictures(tmp_path):
    from PIL import Image

    paths = []
    for number in range(12):
        paths.append(str(tmp_path / f"{number}.png"))
        Image.fromarray(np.full((8, 8), 20 * number, np.uint8)).save(paths[-1])
    films = graphret.ImageTable(ids=[str(n) for n in range(12)], paths=paths, labels=np.zeros((12, 0), np.int8))
    index = graphret.build(CODES[:12], out=tmp_path / "index", films=films, k=3, tune=False)
    page = graphret.report(index, near_duplicates=False).to_html()
    assert page.count("data:image/jpeg;base64,") >= 1
    assert str(tmp_path) not in page
    without = graphret.report(index, near_duplicates=False, thumbnails=False).to_html()
    assert "data:image" not in without
    assert "pictures were not asked for" in without


def test_a_map_has_every_point_once():
    places = np.random.default_rng(0).random((500, 2))
    svg = map_svg(places, np.arange(500) % 7)
    assert svg.count("h0") == 500
    assert svg.count("<path") == 7


@pytest.mark.parametrize("wrong", [{"n_points": 0}, {"n_communities": 0}, {"n_queries": -1}, {"show_ids": "yes"}])
def test_wrong_values_are_refused(index, wrong):
    with pytest.raises(InvalidParameterError, match=next(iter(wrong))):
        graphret.report(index, **wrong)


def test_a_notebook_shows_it(made):
    shown = made._repr_html_()
    assert "<svg" in shown
    assert "<script" not in shown


def test_the_command_writes_the_page(index, tmp_path, run):
    out = tmp_path / "page.html"
    done = run("report", index.path, "--out", out, "--n-queries", 20, "--no-near-duplicates", "--json")
    assert done.status == 0
    document = json.loads(done.out)
    assert document["films"] == 120
    assert out.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    refused = run("report", index.path, "--out", tmp_path / "missing" / "page.html", "--n-queries", 0)
    assert refused.status != 0
    assert "folder" in refused.err
