"""Marks of films: kept outside of the index, and exported as files that evaluation reads."""

import csv
import io

import pytest

from graphret import InvalidParameterError, StoreError
from graphret.evaluation import read_qrels
from graphret.serve.lists import Lists

MARK = {"query": "film 1/ü", "film": "film 2/ü"}


def put(client, name, expected=204, **mark):
    answer = client.put(f"/api/v1/lists/{name}", json={**MARK, **mark})
    assert answer.status_code == expected, answer.text
    return answer


def test_marks_are_kept_and_exported(client, code_root, tmp_path, snapshot):
    before = snapshot(code_root)
    put(client, "teaching", relevance=1)
    put(client, "teaching", relevance=2, note="clear, see\nalso")
    put(client, "teaching", film="film 3/ü", expected=404, relevance=1)
    put(client, "teaching", film="film 4/ü", relevance=0)
    put(client, "teaching", film="film 5/ü", note="=HYPERLINK(1)")
    marks = client.get("/api/v1/lists/teaching").json()
    assert [(mark["film"], mark["relevance"]) for mark in marks] == [
        ("film 2/ü", 2), ("film 4/ü", 0), ("film 5/ü", None),
    ]  # fmt: skip
    assert client.get("/api/v1/lists").json()[0] | {"created": ""} == {"name": "teaching", "created": "", "marks": 3}
    rows = list(csv.DictReader(io.StringIO(client.get("/api/v1/lists/teaching/export").text)))
    assert rows[0]["note"] == "clear, see\nalso"
    assert rows[2]["note"] == "'=HYPERLINK(1)"
    (tmp_path / "qrels").write_text(client.get("/api/v1/lists/teaching/export?format=qrels").text, encoding="utf-8")
    assert read_qrels(tmp_path / "qrels") == {"film 1/ü": {"film 2/ü": 2, "film 4/ü": 0}}
    assert snapshot(code_root) == before


def test_marks_survive_a_restart_and_are_removed(client_of, code_root):
    put(client_of(code_root), "a", relevance=1)
    client = client_of(code_root)
    put(client, "a", relevance=None)
    assert client.get("/api/v1/lists/a").json() == []
    assert client.delete("/api/v1/lists/a").status_code == 204
    assert client.get("/api/v1/lists/a").status_code == 404
    assert client.delete("/api/v1/lists/a").status_code == 404


def test_nothing_is_written_before_the_first_mark(client, tmp_path):
    assert client.get("/api/v1/lists").json() == []
    assert not (tmp_path / "lists.sqlite").exists()


@pytest.mark.parametrize(
    ("mark", "name"),
    [
        ({"relevance": 3}, "a"),
        ({"note": "x" * 5000}, "a"),
        ({"relevance": 1}, "x" * 200),
        ({"relevance": 1}, "%0a"),
        ({"x": 1}, "a"),
    ],
)
def test_a_wrong_mark_is_refused(client, mark, name):
    put(client, name, 422, **mark)
    assert client.get("/api/v1/lists").json() == []


def test_a_folder_that_cannot_be_written_to_is_said_without_its_path(client_of, code_root, tmp_path):
    client = client_of(code_root, lists=tmp_path / "no such folder" / "lists.sqlite")
    said = put(client, "a", 503, relevance=1).json()["error"]["message"]
    assert "cannot be kept" in said
    assert str(tmp_path) not in said
    assert client.post("/api/v1/query", json={"id": "film 1/ü"}).status_code == 200


def test_a_file_that_holds_no_lists_is_left_alone(tmp_path):
    path = tmp_path / "lists.sqlite"
    path.write_bytes(b"something else" * 100)
    with pytest.raises(StoreError, match="not a database"):
        Lists(path).mark("a", "i", "q", "f", relevance=1)
    assert path.read_bytes() == b"something else" * 100


def test_the_class_checks_by_itself(tmp_path):
    lists = Lists(tmp_path / "lists.sqlite")
    for wrong in (True, 3, "1"):
        with pytest.raises(InvalidParameterError, match="relevance"):
            lists.mark("a", "i", "q", "f", relevance=wrong)
