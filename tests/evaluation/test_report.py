"""A report says the same in JSON, in Markdown and in its files, and others can recompute its figures."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from graphret._errors import StoreError, UnknownNameError
from graphret.evaluation import evaluate, read_qrels, read_run
from graphret.evaluation.markdown import to_markdown


@pytest.fixture
def report(make_index):
    return evaluate(make_index(), rankings=["nearest", "reversed"], measures=["P@10", "nDCG@20"], n_resamples=100)


def size_of(path):
    with Image.open(path) as picture:
        return picture.size


def test_json_holds_the_figures(report):
    document = json.loads(report.to_json())
    assert document == report.to_dict()
    assert document["schema"] == 1
    assert [row["name"] for row in document["rankings"]] == ["nearest", "reversed", "random"]
    figures = document["rankings"][0]["measures"]["P@10"]
    interval = report["nearest"].scores["P@10"]
    assert (figures["mean"], figures["low"], figures["high"]) == (interval.mean, interval.low, interval.high)
    assert document["differences"]["reversed"]["P@10"]["p_value"] == report.differences["reversed"]["P@10"].p_value
    assert document["settings"] == {
        "measures": ["P@10", "nDCG@20"],
        "k": 20,
        "n_resamples": 100,
        "level": 0.95,
        "seed": 0,
    }
    assert {"graphret", "numpy", "python"} <= set(document["versions"])
    assert "patient0" not in report.to_json()


def test_markdown_shows_what_json_holds(report):
    text = report.to_markdown()
    assert text == to_markdown(json.loads(report.to_json()))
    interval = report["nearest"].scores["P@10"]
    assert f"| nearest | {interval.mean:.4f} [{interval.low:.4f}, {interval.high:.4f}] |" in text
    assert "| random |" in text
    assert "## Differences from nearest" in text
    assert f"{report.differences['reversed']['nDCG@20'].mean:+.4f}" in text
    assert f"{len(report.queries)} queries of" in text
    label = report["nearest"].per_label["Mass"]
    assert f"| Mass | {label.n_queries} |" in text
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert all(line.endswith("|") for line in tables)
    with pytest.raises(UnknownNameError, match=r"ranking='other'.*one of nearest, random, reversed"):
        report["other"]


def test_undefined_becomes_null_and_is_counted(make_index, outside):
    index = make_index()
    labels = index.films.labels.copy()
    labels[:, 1] = 0
    index.films = replace(index.films, labels=labels)
    codes, table = outside
    alone = np.flatnonzero((table.relevance() == [False, True, False]).all(axis=1))
    assert alone.size
    report = evaluate(index, (codes, table), measures=["P@5", "nDCG@5"], n_resamples=20)
    assert report["nearest"].scores["nDCG@5"].n_undefined == len(alone)
    assert report["nearest"].scores["P@5"].n_undefined == 0
    assert f"where a measure is undefined: nDCG@5 {len(alone)}." in report.to_markdown()
    only = evaluate(index, (codes[alone], table.select(alone)), measures=["nDCG@5"], n_resamples=20)
    assert json.loads(only.to_json())["rankings"][0]["measures"]["nDCG@5"]["mean"] is None
    assert "| nearest | undefined |" in only.to_markdown()


def test_saved_files_let_others_recompute_the_figures(report, tmp_path):
    written = report.save(tmp_path / "new" / "report")
    home = tmp_path / "new" / "report"
    assert {str(path.relative_to(home)) for path in written} == {
        "report.json",
        "report.md",
        "qrels.txt",
        "runs/nearest.run",
        "runs/reversed.run",
        "runs/random.run",
    }
    assert {path for path in home.rglob("*") if path.is_file()} == set(written)
    assert json.loads((home / "report.json").read_text()) == report.to_dict()
    assert (home / "report.md").read_text() == report.to_markdown()
    qrels = read_qrels(home / "qrels.txt")
    discounts = 1 / np.log2(np.arange(2, 22))
    for row in report.rankings:
        run = read_run(home / "runs" / f"{row.name}.run")
        for number, query in enumerate(report.queries.ids.tolist()):
            grades = np.array([qrels[query][film] for film in run[query]])
            assert row.values["P@10"][number] == pytest.approx((grades[:10] > 0).mean())
            ideal = np.sort(list(qrels[query].values()))[::-1][:20]
            gain = (2.0**grades - 1) @ discounts / ((2.0**ideal - 1) @ discounts)
            assert row.values["nDCG@20"][number] == pytest.approx(gain)
    assert report.save(home) == written  # over an earlier one


def test_contact_sheet_is_written_where_there_are_films(make_index, film_folder, tmp_path):
    index = make_index(n=12, splits=(0.5, 0.5))
    index.films = replace(index.films, paths=np.array(film_folder))
    report = evaluate(index, measures=["P@3"], n_resamples=20)
    written = report.save(tmp_path / "report", n_sheet_queries=2, n_sheet_hits=3)
    assert written[-1].name == "contact_sheet.png"
    small = size_of(written[-1])
    report.save(tmp_path / "report", n_sheet_queries=3, n_sheet_hits=2)
    other = size_of(written[-1])
    assert other[0] < small[0]
    assert other[1] > small[1]


def test_a_folder_that_cannot_be_made_is_named(report, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"cannot write the report to .*file"):
        report.save(tmp_path / "file" / "report")
