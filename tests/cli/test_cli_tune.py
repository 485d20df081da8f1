"""`graphret tune`: the choice is kept with the index, used by query, shown by info, and removed by --reset."""

import shutil
from dataclasses import replace

import pytest

import graphret
from graphret.cli.info import _ranking
from graphret.cli.tune import _sentence
from graphret.evaluation.bootstrap import Difference
from graphret.tuning import Tuning


@pytest.fixture
def index(workshop, tmp_path):
    return shutil.copytree(workshop.index, tmp_path / "index")


def test_a_tuned_index_is_asked_with_what_was_chosen(run_json, index):
    call = [
        "tune",
        index,
        "--n-queries",
        "40",
        "--budget",
        "20",
        "--seed",
        "2",
        "--measures",
        "P@5",
        "--variety",
        "0.2",
    ]
    document = run_json(*call)
    assert document["criterion"] == "mean of P@5"
    assert document["n_queries"] <= 40
    assert document["trials"][0]["scores"].keys() == {"P@5"}
    opened = graphret.open(index)
    assert (opened.tuning["ranking"], opened.tuning["options"]) == (document["ranking"], document["options"])
    film = str(opened.films.ids[0])
    assert run_json("query", index, film, "--id")["ranking"] == document["ranking"]
    ranks = run_json("info", index)["ranking"]
    assert (ranks["name"], ranks["options"]) == (document["ranking"], document["options"])
    if ranks["name"] != "nearest":
        assert ranks["promise"]["mean"] == document["difference"]["mean"]
    assert run_json("tune", index, "--reset")["removed"]
    assert graphret.open(index).tuning is None
    assert not run_json("tune", index, "--reset")["removed"]


def test_the_table_and_the_choice_are_shown(run, index):
    done = run("tune", index, "--n-queries", "10", "--no-learn", "--budget", "none", "--n-threads", "1")
    assert done.status == 0
    assert "best of 317 trials" in done.out
    assert "chosen: " in done.out
    assert "by mean of P@10, nDCG@100, mAP@100" in done.out


def test_build_tunes_if_asked(run_json, workshop, tmp_path):
    call = ["build", "--data", "phantom", "--root", workshop.films, "--encoder", workshop.encoder, "-k", "10"]
    document = run_json(*call, "--out", tmp_path / "index", "--split", "valid", "--tune")
    tuning = graphret.open(tmp_path / "index").tuning
    assert document["ranking"]["name"] == tuning["ranking"]
    assert tuning["n_queries"] > 1
    assert any(trial["metric"] is not None for trial in tuning["trials"])


def test_labels_are_only_learned_from_where_that_is_wanted(run_json, index):
    call = ["tune", index, "--n-queries", "30", "--measures", "P@5", "--variety", "0", "--budget", "none"]
    learned, plain = run_json(*call), run_json(*call, "--no-learn")
    assert any(trial["metric"] is not None for trial in learned["trials"])
    assert all(trial["metric"] is None for trial in plain["trials"])
    assert plain["metric"] is None
    assert "numbers" not in (learned["metric"] or {})


def test_wrong_calls_end_with_status_2(run, index, tmp_path):
    assert run("tune", index, "--by", "luck").status == 2
    assert run("tune", tmp_path / "nothing").status == 2
    assert run("tune", tmp_path / "nothing", "--reset").status == 2


def test_a_gain_that_is_not_the_querys_own_is_said():
    gain = Difference(0.03, 0.02, 0.04, 50, 0, 50, 0.0001)
    found = Tuning("nearest", {}, "mean of P@10", 50, gain, replace(gain, mean=0.002), 0.1, 0, True, ())
    assert "but only +0.0020 beyond what the same lists gain for other queries" in _sentence(found)
    assert "beyond" not in _sentence(replace(found, own_gain=None))
    assert "beyond" not in _sentence(replace(found, ranking="contextual"))


CUT_SHORT = (
    "contextual:n=3, chosen by the films themselves: +0.050 (+0.020 to +0.080) is expected over nearest, P@10; "
    "533 rankings were compared by 64 films that asked; the time was over before all had asked (graphret tune --budget)"
)


@pytest.mark.parametrize(
    ("about", "expected"),
    [
        ({}, "nearest; none was chosen by the films themselves (graphret tune)"),
        ({"name": "contextual", "options": {"n": 3}}, "contextual:n=3"),
        (
            {"tried": {"n_rankings": 533, "n_queries": 1000, "complete": True}},
            "nearest: no other was clearly better; 533 rankings were compared by 1,000 films that asked",
        ),
        (
            {
                "name": "contextual",
                "options": {"n": 3},
                "promise": {"criterion": "P@10", "mean": 0.05, "low": 0.02, "high": 0.08},
                "tried": {"n_rankings": 533, "n_queries": 64, "complete": False},
            },
            CUT_SHORT,
        ),
    ],
)
def test_info_says_what_ranks_and_how_it_was_chosen(about, expected):
    assert _ranking({"name": "nearest", "options": {}, "promise": None, "tried": None, **about}) == expected
