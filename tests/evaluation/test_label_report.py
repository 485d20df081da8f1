"""Rankings that use the archive's labels stand apart in a report, and are nobody's reference."""

import json

import numpy as np
import pytest

import graphret
from graphret._errors import InvalidParameterError
from graphret.evaluation import evaluate
from graphret.evaluation.markdown import USES_LABELS

MARK = "uses the archive's labels at query time"


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    rng = np.random.default_rng(1)
    labels = (rng.random((240, 3)) < 0.35).astype(np.int8)
    codes = labels @ rng.normal(size=(3, 10)) * 0.6 + rng.normal(size=(240, 10))
    films = graphret.ImageTable(
        ids=[f"film{row:03}" for row in range(240)],
        paths=[],
        labels=labels,
        label_names=("Edema", "Mass", "Effusion"),
        patients=[f"patient{row // 2:03}" for row in range(240)],
        splits=rng.choice(["train", "test"], 240, p=[0.8, 0.2]),
    )
    out = tmp_path_factory.mktemp("labels") / "index"
    return graphret.build(codes.astype(np.float32), films=films, out=out, k=8, tune=False)


@pytest.fixture(scope="module")
def report(index):
    names = ["nearest", "label_aware", "alpha_qe"]
    return evaluate(index, rankings=names, measures=["P@5", "nDCG@10"], n_resamples=50)


def sections(text):
    return {part.split("\n", 1)[0]: part for part in text.split("\n## ")}


def test_it_is_marked_in_json(report):
    document = json.loads(report.to_json())
    marked = {row["name"]: row["uses_labels"] for row in document["rankings"]}
    assert marked == {"nearest": False, "label_aware": True, "alpha_qe": False, "random": False}
    assert report["label_aware"].uses_labels


def test_it_is_in_no_table_of_the_others(report):
    parts = sections(report.to_markdown())
    for title, text in parts.items():
        if title == "Apart: rankings that use the archive's labels":
            assert f"**label_aware: {MARK}.**" in text
            assert text.count("| label_aware |") == 2
            assert "| nearest |" not in text
            assert "| alpha_qe |" not in text
        else:
            assert "| label_aware |" not in text, title
    assert "| nearest |" in parts["Measures"]
    assert "| alpha_qe |" in parts["Differences from nearest"]
    assert "label_aware (uses labels)" in report.to_markdown()
    assert MARK == USES_LABELS


def test_without_it_nothing_is_said_of_labels(index):
    report = evaluate(index, rankings=["nearest"], measures=["P@5"], n_resamples=20)
    assert "Apart" not in report.to_markdown()


def test_alone_it_still_stands_apart(index):
    report = evaluate(index, rankings=["label_aware"], baselines=(), measures=["P@5"], n_resamples=20)
    parts = sections(report.to_markdown())
    assert "|" not in parts["Measures"]
    assert "| label_aware |" in parts["Apart: rankings that use the archive's labels"]


def test_it_is_no_reference(index):
    with pytest.raises(InvalidParameterError, match=f"reference='label_aware'.*does not read labels.*{MARK}"):
        evaluate(index, rankings=["nearest", "label_aware"], reference="label_aware", measures=["P@5"])


def test_its_contact_sheet_says_so(index, report, monkeypatch, tmp_path):
    titles = []
    monkeypatch.setattr("graphret.evaluation.report.contact_sheet", lambda *_, title, **__: titles.append(title))
    films = index.films
    with_files = graphret.ImageTable(
        ids=films.ids,
        paths=[str(tmp_path / f"{row}.png") for row in range(len(films))],
        labels=films.labels,
        label_names=films.label_names,
    )
    for ranking in ("label_aware", "nearest"):
        found = evaluate(index, rankings=[ranking], measures=["P@5"], n_resamples=20)
        object.__setattr__(found, "archive", with_files)
        object.__setattr__(
            found, "queries", with_files.select(np.flatnonzero(films.splits == "test")[: len(found.queries)])
        )
        found.save(tmp_path / ranking)
    assert titles == [f"label_aware, {MARK}", "nearest"]
