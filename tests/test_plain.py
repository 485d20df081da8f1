"""No text of a film, an id or a label makes a terminal, a page, a Markdown reader or a spreadsheet do anything."""

from __future__ import annotations

import csv
import io
import json
import re

import numpy as np
import pytest

import graphret
from graphret._plain import csv_cell, markdown_safe, plain_json, plain_text
from graphret.cli import main
from graphret.index import write_hits_csv, write_hits_html

EVIL = [
    "\x1b]0;owned\x07",
    "\x9b2J",
    "\x85next",
    "[link=http://evil]x[/link]",
    "<script>alert(1)</script>",
    "[x](javascript:alert(1))",
    '=HYPERLINK("http://evil")',
    "@SUM(1)",
    "a\u202egnp.exe",
    "a\nb\rc",
    "&#x3c;b&#x3e;",
]
ACTING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    """Every evil text is an id, a label and a patient."""
    codes = np.random.default_rng(0).normal(size=(44, 6)).astype(np.float32)
    return graphret.build(
        codes,
        out=tmp_path_factory.mktemp("evil") / "index",
        k=5,
        ids=[f"{EVIL[row % 11]} {row}" for row in range(44)],
        labels=[[EVIL[row % 11], EVIL[(row + 3) % 11]] for row in range(44)],
        patients=[f"{EVIL[row % 11]} {row // 2}" for row in range(44)],
        splits=["train"] * 22 + ["test"] * 22,
        tune=False,
    )


def test_terminals(index, capfd):
    for command in (
        ["query", "--id", str(index.path), *index.films.ids[:11].tolist(), "-k", "5"],
        ["info", str(index.path)],
        ["audit", str(index.path), "--threshold", "0.5"],
        ["query", str(index.path), EVIL[0] + " no such film"],
        ["query", "--id", str(index.path), EVIL[1] + " no such id"],
    ):
        main(command)
        main([*command, "--json"])
        said = capfd.readouterr()
        assert not ACTING.search(said.out + said.err), command
        assert "\\x1b" in said.out + said.err or "\\u" in said.out or command[0] == "info" or "x9b" in said.err


def test_json_says_the_same(index, capfd):
    assert main(["query", "--id", "--json", str(index.path), str(index.films.ids[1]), "-k", "40"]) == 0
    found = {hit["id"] for hit in json.loads(capfd.readouterr().out)["queries"][0]["hits"]}
    assert found <= set(index.films.ids.tolist())
    assert any("\x9b" in name for name in found)


def test_tables_for_spreadsheets(index, tmp_path):
    document = graphret.index.describe_hits(index, index.query(index.films.ids[:11].tolist(), k=20))
    write_hits_csv(tmp_path / "hits.csv", document)
    graphret.audit(index, threshold=0.5).save(tmp_path / "audit")
    for path in (tmp_path / "hits.csv", *(tmp_path / "audit").glob("*.csv")):
        cells = [cell for row in csv.reader(io.StringIO(path.read_text())) for cell in row]
        assert not any(re.match(r"\s*[=@]", cell) for cell in cells), path
        assert not any(ACTING.search(cell) for cell in cells)


def test_pages(index, tmp_path):
    document = graphret.index.describe_hits(index, index.query(index.films.ids[:11].tolist(), k=20))
    write_hits_html(tmp_path / "hits.html", document)
    page = (tmp_path / "hits.html").read_text()
    assert "<script" not in page
    assert "href=" not in page
    assert not ACTING.search(page)


def test_reports(index):
    report = graphret.evaluate(index, measures=["P@5"], n_resamples=20)
    text = report.to_markdown()
    assert "<script" not in text
    assert "](javascript" not in text
    assert not ACTING.search(text)
    assert "&lt;script>" in text


def test_each_kind():
    assert plain_text("a\x1b[2J\x9b\u202e\tb\n") == "a\\x1b[2J\\x9b\\u202e\tb\n"
    assert json.loads(plain_json(json.dumps({"\x9b": "\u202e\x7f"}, ensure_ascii=False))) == {"\x9b": "\u202e\x7f"}
    assert markdown_safe("[a]: javascript:x") == "[a]\\: javascript:x"
    assert markdown_safe("a\n# b") == "a # b"
    assert [csv_cell(text) for text in ("+1", "-2e5", " =1", "\t=1", "+1+1", "-cmd")] == [
        *("+1", "-2e5", "' =1", "'\t=1", "'+1+1", "'-cmd"),
    ]
