"""Plots: their numbers are those of evaluate, of the table and of the history; mistakes are named."""

import csv
import io
import json

import numpy as np
import pytest

import graphret
from graphret._errors import DataError, InvalidParameterError, MissingFileError, UnknownNameError
from graphret.cli.entry import main
from graphret.plotting import list_plots, plot

KINDS = np.repeat([0, 1, 2], [50, 40, 30])
CODES = (np.random.default_rng(3).normal(size=(120, 12)) + 2 * np.eye(12)[KINDS]).astype(np.float32)
DEPTHS = (1, 5, 20)
EPOCHS = [
    {"epoch": 1, "loss": 0.9, "score": 0.6, "name": "AUC", "learning_rate": 0.001, "best": True},
    {"epoch": 2, "loss": 0.5, "score": 0.8, "name": "AUC", "learning_rate": 0.001, "best": True},
    {"epoch": 3, "loss": 0.4, "score": 0.7, "name": "AUC", "learning_rate": 0.0001, "best": False},
]


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    labels = np.column_stack([KINDS == 0, KINDS == 1]).astype(np.int8)
    labels[-1, 1] = -1
    films = graphret.ImageTable(
        ids=[f"patient-{number}" for number in range(120)],
        paths=[""] * 120,
        labels=labels,
        label_names=("$Effusion$", "_Edema"),
        splits=np.where(np.arange(120) % 3, "train", "test"),
    )
    return graphret.build(CODES, films=films, out=tmp_path_factory.mktemp("plotted") / "index", k=8, tune=False)


def rows_of(made):
    return list(csv.DictReader(io.StringIO(made.csv_text())))


@pytest.mark.parametrize(("kind", "measure"), [("precision-at-k", "P"), ("map-at-k", "mAP")])
def test_curves_have_the_numbers_of_evaluate(index, kind, measure):
    rankings = "nearest,region_growing"
    made = plot(kind, index, rankings=rankings, depths=DEPTHS)
    report = graphret.evaluate(index, "test", measures=[f"{measure}@{k}" for k in DEPTHS], rankings=rankings)
    rows = rows_of(made)
    assert len(rows) == len(report.rankings) * len(DEPTHS) == 9
    for row in rows:
        score = report[row["ranking"]].scores[f"{measure}@{row['k']}"]
        assert [float(row[name]) for name in ("mean", "low", "high")] == [score.mean, score.low, score.high]
    for line, ranking in zip(made.figure.axes[0].get_lines(), report.rankings, strict=True):
        assert line.get_ydata().tolist() == [ranking.scores[f"{measure}@{k}"].mean for k in DEPTHS]
        assert line.get_label() == ranking.name
    assert any("part of its graph" in note for note in made.notes)
    assert any("no positive label: 10" in note for note in made.notes)


def test_precision_recall_has_the_numbers_of_evaluate(index):
    made = plot("precision-recall", index, depths=DEPTHS, split="train")
    report = graphret.evaluate(index, "train", measures=[f"{name}@{k}" for name in "PR" for k in DEPTHS])
    for row in rows_of(made):
        scores = report[row["ranking"]].scores
        assert float(row["recall"]) == scores[f"R@{row['k']}"].mean
        assert float(row["precision"]) == scores[f"P@{row['k']}"].mean
    assert made.figure.axes[0].get_lines()[0].get_xdata()[0] == report.rankings[0].scores["R@1"].mean


def test_seed_draws_chance(index):
    first, second = (plot("precision-at-k", index, depths=[5], seed=seed).rows for seed in (0, 1))
    assert first[0][2] == second[0][2]
    assert first[-1][2] != second[-1][2]


def test_class_balance_counts_the_table(index):
    made = plot("class-balance", index)
    assert made.rows == (("$Effusion$", 50, 0, 70), ("_Edema", 40, 1, 79))
    assert plot("class-balance", index.films).rows == made.rows
    assert made.notes == ("29 of 120 films have no finding",)
    assert "$Effusion$" in made._repr_html_()
    assert "_Edema" in made._repr_html_()


def test_the_map_has_the_places_of_the_archive_map_and_no_ids(index):
    places = graphret.archive_map(index)
    for colour in ("community", "split", "view", "_Edema"):
        made = plot("archive-map", index, colour=colour)
        assert np.array_equal(np.array([row[1:3] for row in made.rows], dtype=np.float32), places)
        assert sum(len(group.get_offsets()) for group in made.figure.axes[0].collections) == 120
        assert "patient-" not in made.csv_text() + made._repr_html_()
    assert [row[3] for row in made.rows].count("with it") == 40
    assert [row[3] for row in made.rows].count("not known or uncertain") == 1


def test_training_shows_the_history_and_the_epoch_that_was_kept(tmp_path):
    (tmp_path / "history.json").write_text(json.dumps({"epochs": EPOCHS}))
    made = plot("training", tmp_path)
    assert [row[:3] for row in made.rows] == [(1, 0.9, 0.6), (2, 0.5, 0.8), (3, 0.4, 0.7)]
    assert made.notes == ("3 epochs", "kept: epoch 2, validation AUC 0.800")
    assert plot("training", tmp_path / "history.json").rows == made.rows


def test_training_shows_the_parts_of_a_loss(tmp_path):
    parts = [{"loss_parts": {"segmentation": 0.3, "classes": 0.2}}, {"loss_parts": {"segmentation": 0.1}}, {}]
    epochs = [entry | more for entry, more in zip(EPOCHS, parts, strict=True)]
    (tmp_path / "history.json").write_text(json.dumps({"epochs": epochs}))
    made = plot("training", tmp_path)
    assert made.columns[-2:] == ("loss_segmentation", "loss_classes")
    assert [row[-2:] for row in made.rows] == [(0.3, 0.2), (0.1, None), (None, None)]
    lines = {line.get_label(): line.get_ydata() for line in made.figure.axes[0].get_lines()}
    np.testing.assert_array_equal(np.array(lines["loss: segmentation"], float), [0.3, 0.1, np.nan])
    assert made.notes[1] == "kept: epoch 2, validation AUC 0.800"


def test_class_balance_by_split_counts_each_split(index):
    made = plot("class-balance", index, by="split")
    films = index.films
    expected = []
    for name, column in zip(films.label_names, films.labels.T, strict=True):
        for split in ("train", "test"):
            values = [value for value, of in zip(column.tolist(), films.splits.tolist(), strict=True) if of == split]
            counts = [values.count(value) for value in (1, -1, 0)]
            expected.append((name, split, *counts, counts[0] / len(values)))
    assert list(made.rows) == expected
    assert {row[3] for row in made.rows} == {0, 1}
    with pytest.raises(UnknownNameError, match="split"):
        plot("class-balance", index, by="view")


def test_mistakes_are_named(index, tmp_path):
    with pytest.raises(UnknownNameError, match="archive-map, class-balance, confusion"):
        plot("pie", index)
    with pytest.raises(UnknownNameError, match=r"colour='Mass'.*community, split, view"):
        plot("archive-map", index, colour="Mass")
    with pytest.raises(UnknownNameError, match="split"):
        plot("archive-map", index, split="test")
    with pytest.raises(InvalidParameterError, match="class-balance"):
        plot("class-balance", index, seed=1)
    for depths in ([], [5, 1], [0], [5, 5]):
        with pytest.raises(InvalidParameterError, match="depths"):
            plot("precision-at-k", index, depths=depths)
    with pytest.raises(MissingFileError, match="history of a training not found"):
        plot("training", tmp_path)
    with pytest.raises(InvalidParameterError, match=r"history\.json"):
        plot("training", index)
    unlabelled = graphret.build(CODES, out=tmp_path / "unlabelled", k=8, tune=False)
    with pytest.raises(InvalidParameterError, match="without labels"):
        plot("class-balance", unlabelled)


@pytest.mark.parametrize("content", ["[]", "{}", '{"epochs": [{"epoch": 1}]}', '{"epochs": []}', "{", '{"epochs": 3}'])
def test_what_is_no_history_is_refused(tmp_path, content):
    path = tmp_path / "history.json"
    path.write_text(content)
    with pytest.raises(DataError, match=r"history\.json"):
        plot("training", path)


@pytest.mark.parametrize("suffix", ["svg", "png"])
def test_every_kind_is_written(index, tmp_path, suffix):
    (tmp_path / "history.json").write_text(json.dumps({"epochs": EPOCHS}))
    for kind in sorted(set(list_plots()) - {"saliency", "segmentation", "umap"}):  # see test_sheets, test_embedding
        made = plot(kind, tmp_path if kind == "training" else index)
        made.save(tmp_path / f"{kind}.{suffix}")
        assert (tmp_path / f"{kind}.{suffix}").stat().st_size > 2000
    with pytest.raises(InvalidParameterError, match=r"\.svg or \.png"):
        made.save(tmp_path / "a.gif")


def test_the_command_writes_figure_and_numbers(index, tmp_path, capsys):
    out, numbers = tmp_path / "p.svg", tmp_path / "p.csv"
    call = ["plot", "precision-at-k", str(index.path), "--out", str(out), "--depths", "1,5", "--csv", str(numbers)]
    assert main([*call, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    expected = plot("precision-at-k", index, depths=[1, 5])
    assert numbers.read_text() == expected.csv_text()
    assert document["rows"] == [list(row) for row in expected.rows]
    assert out.read_text() == expected._repr_html_()
    assert main(["plot", "pie", str(index.path), "--out", str(out)]) == 2
    assert "precision-at-k" in capsys.readouterr().err
    assert main([*call, "--depths", "ten"]) == 2
    assert "--depths" in capsys.readouterr().err
    assert main([*call, "--colour", "split"]) == 2
