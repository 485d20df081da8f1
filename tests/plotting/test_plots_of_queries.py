"""ROC, confusion and Hamming radius: numbers against plain loops over `Index.query`."""

import numpy as np
import pytest

import graphret
from graphret._errors import InvalidParameterError, UnknownNameError
from graphret.data import write_png
from graphret.encoders import Encoder
from graphret.plotting import plot

N, N_BITS = 90, 6
KINDS = np.arange(N) % 3  # two findings, and films without one


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    rng = np.random.default_rng(2)
    codes = (rng.normal(size=(N, N_BITS)) + 1.5 * np.eye(N_BITS)[KINDS]).astype(np.float32)
    labels = np.column_stack([KINDS == 0, KINDS == 1]).astype(np.int8)
    labels[10, 0] = labels[11, 1] = -1
    labels[12] = 1
    films = graphret.ImageTable(
        ids=[f"f{number}" for number in range(N)],
        paths=[""] * N,
        labels=labels,
        label_names=("Edema", "Mass"),
        patients=[f"p{number // 2}" for number in range(N)],
        splits=np.where(np.arange(N) % 4, "train", "test"),
    )
    return graphret.build(codes, films=films, out=tmp_path_factory.mktemp("asked") / "index", k=8, tune=False)


def hits_of(index, row, k, ranking="nearest"):
    """Positions of the hits of a film in the other splits, without its patient, one query at a time."""
    found = index.query(
        np.asarray(index.codes[row]), k, ranking=ranking, where={"split": ["train"]},
        exclude={"patient": index.films.patients[row]},
    )  # fmt: skip
    return [position for position in found.positions[0].tolist() if position >= 0]


@pytest.mark.parametrize(("k", "ranking"), [(5, None), (12, "region_growing")])
def test_roc_scores_queries_by_the_share_of_their_hits(index, k, ranking):
    made = plot("roc", index, k=k, ranking=ranking)
    films = index.films
    asking = np.flatnonzero(films.splits == "test").tolist()
    for number, name in enumerate(films.label_names):
        scores = []
        for row in asking:
            labels = [int(films.labels[hit, number] != 0) for hit in hits_of(index, row, k, ranking or "nearest")]
            scores.append(sum(labels) / len(labels))
        truth = [int(films.labels[row, number]) for row in asking]
        pairs = [
            1.0 if one > other else 0.5 if one == other else 0.0
            for one, kind in zip(scores, truth, strict=True)
            for other, contrary in zip(scores, truth, strict=True)
            if kind == 1 and contrary == 0
        ]
        rows = [row for row in made.rows if row[0] == name]
        assert rows[0][3] == pytest.approx(np.mean(pairs))
        assert rows[0][1:3] == (0.0, 0.0)
        assert rows[-1][1:3] == (1.0, 1.0)
    assert {row[0] for row in made.rows} == {"Edema", "Mass"}
    assert f"first {k} hits of {ranking or 'nearest'}" in made.notes[0]
    assert any("part of its graph" in note for note in made.notes)


def test_confusion_counts_the_class_of_most_hits(index):
    made = plot("confusion", index, k=6)
    films = index.films

    def classes(row):
        values = films.labels[row].tolist()
        return [n for n, v in zip(films.label_names, values, strict=True) if v == 1] or (
            ["no finding"] if values == [0, 0] else []
        )

    expected = {}
    right = total = 0
    for row in np.flatnonzero(films.splits == "test").tolist():
        if len(classes(row)) != 1 or (films.labels[row] < 0).any():
            continue
        votes = [name for hit in hits_of(index, row, 6) for name in classes(hit)]
        said = max(votes, key=lambda name: (votes.count(name), -votes.index(name)))
        pair = (classes(row)[0], said)
        expected[pair] = expected.get(pair, 0) + 1
        right += pair[0] == said
        total += 1
    assert {row[:2]: row[2] for row in made.rows if row[2]} == expected
    assert len(made.rows) == 9
    assert made.notes[1].startswith(f"{right} of {total} are said right")
    assert "left out, several findings, or uncertain ones: 1" in made.notes
    assert plot("confusion", index, k=1).rows != made.rows


def test_hamming_radius_compares_the_signs(index):
    made = plot("hamming-radius", index)
    films, signs = index.films, np.asarray(index.codes) >= 0
    found = {radius: [] for radius in range(N_BITS + 1)}
    for row in np.flatnonzero((films.splits == "test") & (films.labels != 0).any(axis=1)).tolist():
        others = [
            other
            for other in np.flatnonzero(films.splits == "train").tolist()
            if films.patients[other] != films.patients[row]
        ]
        for radius, entries in found.items():
            near = [other for other in others if (signs[other] != signs[row]).sum() <= radius]
            entries.append([bool((films.relevance()[other] & films.relevance()[row]).any()) for other in near])
    assert [row[0] for row in made.rows] == list(found)
    for row in made.rows:
        lists = found[row[0]]
        assert row[1] == pytest.approx(np.mean([np.mean(entries) if entries else 0 for entries in lists]))
        assert row[2] == pytest.approx(np.mean([np.mean(entries) for entries in lists if entries]))
        assert row[3] == pytest.approx(np.mean([not entries for entries in lists]))
        assert row[4] == pytest.approx(np.mean([len(entries) for entries in lists]))
    assert made.rows[0][3] > 0
    n_without = int(((films.splits == "test") & (films.labels == 0).all(axis=1)).sum())
    assert f"left out, no positive label: {n_without}" in made.notes


@pytest.fixture(scope="module")
def of_films(tmp_path_factory):
    """Eight films with a dense encoder; one is not there any more."""
    folder = tmp_path_factory.mktemp("classified")
    rng = np.random.default_rng(4)
    for number in range(12):
        write_png(folder / f"{number}.png", rng.random((32, 32), dtype=np.float32))
    films = graphret.ImageTable(
        ids=[str(number) for number in range(12)],
        paths=[str(folder / f"{number}.png") for number in range(12)],
        labels=[[number % 2, int(number % 3 == 0)] for number in range(12)],
        label_names=("Edema", "Mass"),
        splits=["test"] * 8 + ["train"] * 4,
    )
    encoder = Encoder.untrained("resnet18", ["Mass"], 32, device="cpu")
    built = graphret.build(films, encoder, out=folder / "index", k=3, tune=False)
    (folder / "1.png").unlink()
    return built


def test_roc_by_the_encoder_has_its_probabilities(of_films):
    made = plot("roc", of_films, by="encoder")
    films, encoder = of_films.films, of_films.encoder
    rows = [row for row in range(8) if row != 1]
    scores = [float(encoder.predict(encoder.prepare(films.read(row))[None])[0, 0]) for row in rows]
    pairs = [a > b for a, i in zip(scores, rows, strict=True) for b, j in zip(scores, rows, strict=True)
             if i % 3 == 0 and j % 3]  # fmt: skip
    assert {row[0] for row in made.rows} == {"Mass"}
    assert made.rows[0][3] == pytest.approx(np.mean(pairs))
    assert "not trained; it does not know Edema; 1 queries whose film cannot be read" in made.notes[0]


def test_what_cannot_be_drawn_is_said(index, of_films, tmp_path):
    with pytest.raises(InvalidParameterError, match="has no encoder"):
        plot("roc", index, by="encoder")
    with pytest.raises(UnknownNameError, match="encoder, neighbors"):
        plot("roc", index, by="votes")
    with pytest.raises(InvalidParameterError, match="ranks nothing"):
        plot("roc", of_films, by="encoder", ranking="nearest")
    with pytest.raises(InvalidParameterError, match=r"k=5.*by='neighbors'"):
        plot("roc", of_films, by="encoder", k=5)
    with pytest.raises(InvalidParameterError, match="resnet18, a dense encoder"):
        plot("hamming-radius", of_films)
    for kind in ("roc", "confusion"):
        with pytest.raises(InvalidParameterError, match="k=0"):
            plot(kind, index, k=0)
        with pytest.raises(InvalidParameterError, match="valid"):
            plot(kind, index, split="valid")
    with pytest.raises(InvalidParameterError, match="without labels"):
        plot("confusion", graphret.build(np.asarray(index.codes), out=tmp_path / "bare", k=4, tune=False))
