"""label_aware on the command line: asked for by name only, said at every place, tuned apart."""

import shutil

import pytest

import graphret


@pytest.fixture
def index(workshop, tmp_path):
    return shutil.copytree(workshop.index, tmp_path / "index")


def test_a_query_says_what_it_expects_and_from_where(run, run_json, index):
    film = str(graphret.open(index).films.ids[0])
    call = ["query", index, film, "--id", "-k", "3", "--ranking", "label_aware"]
    document = run_json(*call)
    expected = graphret.open(index).query([film], 3, ranking="label_aware")[0].findings
    assert document["queries"][0]["findings"] == expected
    assert set(document["queries"][0]["hits"][0]["why"]["terms"]) == {"similarity", "findings"}
    said = " ".join(run(*call).out.split())
    assert "uses the archive's labels" in said
    assert f"{next(iter(expected))} " in said
    assert "findings" not in run_json("query", index, film, "--id", "-k", "3", "--ranking", "nearest")["queries"][0]


def test_evaluate_reports_it_apart(run, run_json, index):
    call = ["evaluate", index, "--measures", "P@5", "--rankings", "nearest,label_aware", "--n-resamples", "20"]
    marked = {row["name"]: row["uses_labels"] for row in run_json(*call)["rankings"]}
    assert marked == {"nearest": False, "label_aware": True, "random": False}
    assert "uses the archive's labels at query time" in " ".join(run(*call).out.split())


def test_its_tuning_is_kept_apart(run, run_json, index):
    call = ["tune", index, "--label-aware", "--n-queries", "60", "--measures", "P@5", "--variety", "0"]
    document = run_json(*call)
    assert document["uses_labels"]
    assert {trial["ranking"] for trial in document["trials"]} == {"label_aware", "nearest"}
    opened = graphret.open(index)
    assert opened.default_ranking == "nearest"
    if document["ranking"] == "label_aware":
        assert opened.tuning["apart"][0]["options"] == document["options"]
    else:
        assert opened.tuning is None
    assert "uses the archive's labels at query time" in " ".join(run(*call).out.split())
