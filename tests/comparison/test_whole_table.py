"""All rows of a published table by one call."""

import json
from dataclasses import replace

import pytest

from graphret._errors import InvalidParameterError
from graphret.comparison import MethodSettings, compare_whole_table, published, read_template, runner, whole_table
from graphret.comparison.published import PublishedFigure, PublishedTable


@pytest.fixture
def small_table(monkeypatch):
    """Two data sets, one of them at two sizes, a figure without a method, and one whose row is not there."""
    figures = (
        PublishedFigure("A", "P@10", 0.5, method="random", spec="phantom", size=32, ranking="nearest"),
        PublishedFigure("A", "P@10", 0.6, method="random", spec="phantom", size=48, ranking="hamming"),
        PublishedFigure("A", "AUC", 0.7, method="random", spec="phantom", size=48),
        PublishedFigure("B", "P@10", 0.8, spec="jsrt"),
        PublishedFigure("C", "P@10", 0.9, method="itq", spec="phantom", size=32),
    )
    table = PublishedTable("small", "Small et al., Table 1", "Small et al.", ("phantom",), figures=figures)
    for module in (published, runner, whole_table):
        monkeypatch.setattr(module, "read_published", lambda name: table)
    return table


@pytest.fixture
def experiment(untrained_experiment):
    return replace(
        untrained_experiment,
        methods=(MethodSettings("random", rankings=("nearest", "hamming")),),
        published=("small",),
        measures=("P@10",),
        sheets=replace(untrained_experiment.sheets, queries=0),
    )


def test_each_figure_stands_beside_the_row_of_its_data_set_and_size(small_table, experiment, film_root, tmp_path):
    whole = compare_whole_table(experiment, {"csv": film_root}, out=tmp_path)
    names = ("size", "measure", "published", "row", "error")
    assert [tuple(entry[name] for name in names) for entry in whole.entries] == [
        (32, "P@10", 0.5, "random, 16 bits, nearest", ""),
        (32, "P@10", 0.9, None, "no such row"),
        (48, "P@10", 0.6, "random, 16 bits, hamming", ""),
        (48, "AUC", 0.7, "random, 16 bits, nearest", ""),
    ]
    report = json.loads((tmp_path / "phantom-48" / "comparison.json").read_text(encoding="utf-8"))
    own = next(row for row in report["rows"] if row["name"] == "random, 16 bits, hamming")
    assert whole.entries[2]["mean"] == own["measures"]["P@10"]["mean"]
    assert report["experiment"]["data"]["size"] == 48
    assert whole.entries[3]["mean"] is None
    written = whole.save(tmp_path)
    assert json.loads(written[0].read_text(encoding="utf-8"))["entries"][0]["published"] == 0.5
    text = written[1].read_text(encoding="utf-8")
    assert "| phantom | 48 | A (phantom, 48 px) | P@10 | 0.6 | " in text
    assert "not measured" in text
    assert "published, other images" in text


def test_an_archive_that_is_missing_or_of_no_use_is_named_before_anything_runs(small_table, experiment, tmp_path):
    with pytest.raises(InvalidParameterError, match=r"roots=.*of csv, phantom.*nothing for phantom"):
        compare_whole_table(experiment, {}, out=tmp_path)
    with pytest.raises(InvalidParameterError, match="no figure is of chexpert"):
        compare_whole_table(experiment, {"phantom": tmp_path, "chexpert": tmp_path}, out=tmp_path)
    with pytest.raises(InvalidParameterError, match="published figures of its methods"):
        compare_whole_table(replace(experiment, published=()), {}, out=tmp_path)
    assert not list(tmp_path.iterdir())


def test_table_7_of_haq_has_eight_rows(monkeypatch, tmp_path):
    asked = []

    def noted(*, out, experiment, progress):
        asked.append((experiment.data.spec, experiment.data.root, experiment.data.size, experiment.data.views))
        return type("Ran", (), {"save": lambda self, home: None, "rows": (), "published": []})()

    monkeypatch.setattr(whole_table, "compare", noted)
    compare_whole_table(read_template("haq2021-table7"), {"nih": "/n", "chexpert": "/c"}, out=tmp_path)
    rows = [(spec, "/n" if "nih" in spec else "/c", size, ("all",)) for spec, size in (
        *(("nih", 224), ("nih", 512), ("nih-u", 224), ("nih-u", 512)),
        *(("stanford", 224), ("stanford", 512), ("stanford-u", 224), ("stanford-u", 512)),
    )]  # fmt: skip
    assert asked == rows
