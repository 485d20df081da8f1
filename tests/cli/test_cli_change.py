"""The commands that change an index answer as Python does; what is wrong is refused in the words of the options."""

import json

import numpy as np
import pytest

import graphret
from graphret.index import Change


@pytest.fixture
def index(tmp_path):
    codes = np.random.default_rng(0).random((40, 6), dtype=np.float32)
    np.save(tmp_path / "new.npy", codes[30:])
    rows = "".join(f"n{row},q{row // 2},{row % 2}\n" for row in range(10))
    (tmp_path / "new.csv").write_text("id,patient,label:Mass\n" + rows)
    labels = np.zeros((30, 2), np.int8)
    return graphret.build(
        codes[:30], out=tmp_path / "index", labels=labels, label_names=["Edema", "Mass"], k=4, tune=False
    )


def test_the_whole_way(index, run, tmp_path):
    added = run("add", index.path, "--codes", tmp_path / "new.npy", "--table", tmp_path / "new.csv", "--json")
    said = json.loads(added.out)
    assert (added.status, said["added"], said["known"], said["generation"]) == (0, 10, 0, "gen-000002")
    again = json.loads(
        run("add", index.path, "--codes", tmp_path / "new.npy", "--table", tmp_path / "new.csv", "--json").out
    )
    assert (again["added"], again["known"], again["generation"]) == (0, 10, "gen-000002")
    films = graphret.open(index.path).films
    assert films.label_texts(31) == ["Mass"]
    assert films.patients[31] == "q0"
    assert json.loads(run("remove", index.path, "n3", "5", "--json").out)["removed"] == 2
    (tmp_path / "corrected.csv").write_text("id,label:Edema\nn1,-1\n")
    assert run("update-labels", index.path, "--table", tmp_path / "corrected.csv").status == 0
    opened = graphret.open(index.path)
    row = opened.films.ids.tolist().index("n1")
    assert opened.films.label_texts(row) == ["Edema?", "Mass"]
    assert json.loads(run("purge", index.path, "--patient", "q4", "--json").out)["films_removed"] == 2
    rebuilt = json.loads(run("rebuild", index.path, "--set", "k=3", "--json").out)
    assert rebuilt["films"] == 36
    assert graphret.open(index.path).manifest["parameters"]["k"] == 3
    assert "none since it was built as a whole" in run("info", index.path).out


def test_an_empty_cell_says_nothing_of_a_label(index, run, tmp_path):
    table = tmp_path / "corrected.csv"
    table.write_text("id,label:Edema,label:Mass\n3,1,-1\n4,1,1\n")
    assert run("update-labels", index.path, "--table", table).status == 0
    table.write_text("id,label:Edema,label:Mass\n3,,0\n4,NaN,\n")
    result = run("update-labels", index.path, "--table", table, "--json")
    said = json.loads(result.out)
    assert (said["relabelled"], said["as_before"], said["empty_cells"]) == (1, 1, 3)
    assert "3 cells are empty: these labels stay as they were" in result.err
    assert graphret.open(index.path).films.labels[[3, 4]].tolist() == [[1, 0], [1, 1]]


def test_the_hints_for_a_new_label_can_be_followed(index, run, tmp_path):
    table = tmp_path / "new.csv"
    table.write_text("id,label:Hernia\n" + "".join(f"n{row},1\n" for row in range(10)))
    refused = run("add", index.path, "--codes", tmp_path / "new.npy", "--table", table)
    assert refused.status == 2
    assert "graphret update-labels INDEX --table FILE.csv --add-labels gives the index a label first" in refused.err
    table.write_text("id,label:Hernia\n3,1\n")
    refused = run("update-labels", index.path, "--table", table)
    assert refused.status == 2
    assert "(--add-labels gives the index a new label" in refused.err
    assert run("update-labels", index.path, "--table", table, "--add-labels").status == 0
    assert graphret.open(index.path).films.label_texts(3) == ["Hernia"]


def test_all_labels_that_are_not_given_are_counted(index, run, tmp_path):
    codes = np.random.default_rng(1).random((12, 6), dtype=np.float32)
    names = [f"L{number:02}" for number in range(15)]
    built = graphret.build(
        codes, labels=np.ones((12, 15), np.int8), label_names=names, out=tmp_path / "many", k=3, tune=False
    )
    (tmp_path / "plain.csv").write_text("id\n" + "".join(f"n{row}\n" for row in range(10)))
    added = run("add", built.path, "--codes", tmp_path / "new.npy", "--table", tmp_path / "plain.csv")
    assert "nothing is said of L00, L01, L02, L03, L04 and 10 more: new films count as without" in added.err


def test_a_column_of_names_says_all_of_them_for_every_film(index, run, tmp_path):
    table = tmp_path / "corrected.csv"
    table.write_text("id,label:Edema,label:Mass\n3,1,1\n4,1,1\n")
    assert run("update-labels", index.path, "--table", table).status == 0
    table.write_text("id,labels\n3,\n4,Mass\n")
    said = json.loads(run("update-labels", index.path, "--table", table, "--json").out)
    assert said["empty_cells"] == 0
    assert graphret.open(index.path).films.labels[[3, 4]].tolist() == [[1, 0], [1, 1]]


def test_a_rebuild_says_what_became_of_the_communities(index, run, monkeypatch):
    details = {
        "films_that_kept_their_community": 1234,
        "n_splits": 2,
        "n_merges": 1,
        "splits": {"5": [5, 9]},
        "merges": {"3": [1, 3]},
    }
    monkeypatch.setattr("graphret.index.rebuild", lambda *_, **__: Change("rebuild", "gen-000001", {}, (), details))
    lines = run("rebuild", index.path).out.splitlines()
    assert lines[1:] == [
        "1,234 films kept the number of their community",
        "community 5 was split into 5, 9",
        "communities 1, 3 were merged into 3",
        "1 more splits and merges are not listed",
    ]


def test_what_is_wrong(index, run, tmp_path):
    for arguments, words in (
        (["add", index.path], "--data"),
        (["add", index.path, "--codes", tmp_path / "no.npy"], "no.npy"),
        (["remove", index.path, "never"], "never"),
        (["purge", index.path, "--patient", "nobody"], "--patient"),
        (["rebuild", index.path, "--set", "k=0"], "k"),
        (["remove", index.path, "3", "--keep", "0"], "--keep"),
    ):
        result = run(*arguments)
        assert result.status == 2, arguments
        assert words in result.err
        assert result.out == ""
    (tmp_path / "bad.npy").write_bytes(b"no array")
    assert run("add", index.path, "--codes", tmp_path / "bad.npy").status == 1
    assert graphret.open(index.path).generation == "gen-000001"


def test_watch_once(index, run, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    result = run("watch", index.path, empty, "--once", "--json")
    assert result.status == 0
    assert json.loads(result.out)["added"] == 0
