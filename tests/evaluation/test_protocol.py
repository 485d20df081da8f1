"""`evaluate` asks the right queries of the right films, leaves out what it must, and says so."""

from __future__ import annotations

from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from graphret._errors import InvalidParameterError, UnknownNameError
from graphret.data import ImageTable, read_dataset, write_png
from graphret.evaluation import evaluate, evaluate_ranking
from graphret.evaluation.baselines import random_hits

FEW = {"n_resamples": 50}


def brute_force(index, codes, k, possible):
    unit = index.codes / np.linalg.norm(index.codes, axis=1, keepdims=True)
    cosine = codes @ unit.T / np.linalg.norm(codes, axis=1, keepdims=True)
    order = np.argsort(-cosine, axis=1, kind="stable")
    return np.array([row[possible[i, row]][:k] for i, row in enumerate(order)])


def test_split_of_the_archive_is_searched_in_the_other_splits(make_index):
    index = make_index()
    report = evaluate(index, "test", measures=["P@10", "nDCG@20"], exclude=None, **FEW)
    test = index.films.splits == "test"
    labelled = index.films.relevance().any(axis=1)
    rows = np.flatnonzero(test & labelled)
    positions = brute_force(index, index.codes[rows], 20, np.tile(~test, (len(rows), 1)))
    expected = evaluate_ranking(
        positions, index.films.relevance()[rows], index.films.relevance(), ["P@10", "nDCG@20"], allowed=~test
    )
    for measure, values in expected.items():
        np.testing.assert_array_equal(report["nearest"].values[measure], values)
        assert report["nearest"].scores[measure].mean == pytest.approx(values.mean())
    queries = report.description["queries"]
    assert queries["transductive"] is True
    assert "part of the graph (transductive)" in report.to_markdown()
    assert index.calls[0]["where"] == {"split": ["train"]}
    assert index.calls[0]["exclude"] is None
    assert queries["left_out"] == {
        "film could not be read": 0,
        "code all zeros or not finite": 0,
        "no positive label": int((test & ~labelled).sum()),
    }
    assert queries["n_scored"] == len(rows)
    assert report.description["archive"]["n_searched"] == int((~test).sum())
    positives = index.films.relevance()[~test].sum(axis=0)
    assert list(report.description["archive"]["positives"].values()) == positives.tolist()


def test_patients_are_excluded_from_the_hits_and_from_the_ideal(make_index, outside):
    index = make_index()
    codes, table = outside
    report = evaluate(index, outside, measures=["P@10", "R@10"], **FEW)
    kept = evaluate(index, outside, measures=["P@10", "R@10"], exclude=None, **FEW)
    scored = np.flatnonzero(table.relevance().any(axis=1))
    assert report.queries.ids.tolist() == table.ids[scored].tolist()
    possible = index.films.patients[None, :] != table.patients[scored][:, None]
    positions = brute_force(index, codes[scored], 10, possible)
    np.testing.assert_array_equal(report["nearest"].positions, positions)
    excluded = [np.flatnonzero(~row) for row in possible]
    values = evaluate_ranking(
        positions, table.relevance()[scored], index.films.relevance(), ["P@10", "R@10"], excluded=excluded
    )
    np.testing.assert_array_equal(report["nearest"].values["R@10"], values["R@10"])
    assert not np.array_equal(kept["nearest"].positions, positions)
    queries = report.description["queries"]
    assert (queries["excluded"], kept.description["queries"]["excluded"]) == ("patient", None)
    assert queries["n_with_films_of_the_same_patient"] == len(scored)
    assert queries["n_excluded_pairs"] == 3 * len(scored)
    assert kept.description["queries"]["n_excluded_pairs"] == 0
    assert queries["transductive"] is False
    assert "own patient were excluded" in report.to_markdown()
    assert "**not** excluded" in kept.to_markdown()


def test_a_ranking_that_ignores_the_exclusion_is_refused(make_index, outside):
    index = make_index(obey=False)
    with pytest.raises(InvalidParameterError, match="excluded film"):
        evaluate(index, outside, measures=["P@200"], **FEW)


def test_a_film_of_the_archive_never_gets_itself(make_index):
    index = make_index()
    rows = np.arange(40)
    queries = (index.codes[rows], index.films.select(rows))
    for exclude in (None, "patient"):
        report = evaluate(index, queries, measures=["P@5"], exclude=exclude, **FEW)
        for query, hits in zip(report.queries.ids, report["nearest"].positions, strict=True):
            assert query not in index.films.ids[hits]
        assert report.description["queries"]["n_in_the_archive_themselves"] == len(report.queries)


class MeanEncoder:
    """The grey levels of a film in a grid of 4 x 4."""

    name, fingerprint, code_length = "mean", "f" * 64, 16

    def prepare(self, film):
        height, width = (side // 4 * 4 for side in film.shape)
        if film.dtype == np.uint8:
            film = film / np.float32(255)
        return film[:height, :width].reshape(4, height // 4, 4, width // 4).mean(axis=(1, 3)).astype(np.float32)

    def encode(self, images, **how):
        return images.reshape(len(images), -1) + np.float32(0.01)

    @contextmanager
    def encoding(self, **how):
        def begin(images):
            done = Future()
            done.set_result(self.encode(images, **how))
            return done

        yield begin


@pytest.fixture
def film_archive(make_index, film_folder):
    """An archive with an encoder, and a table of films of which one is missing and one broken."""
    index = make_index(encoder=MeanEncoder())
    index.codes = np.random.default_rng(0).random((len(index.films), 16), dtype=np.float32)
    labels = np.ones((12, 3), dtype=np.int8)
    labels[0] = 0
    table = ImageTable(
        ids=[f"new{i}" for i in range(12)], paths=film_folder, labels=labels, label_names=index.films.label_names
    )
    return index, table


def test_films_are_encoded_and_bad_ones_skipped(film_archive):
    index, table = film_archive
    seen = []
    report = evaluate(index, table, measures=["P@10"], progress=lambda *step: seen.append(step), **FEW)
    good = [1, 2, 5, 6, 7, 8, 9, 10, 11]
    assert report.queries.ids.tolist() == [f"new{i}" for i in good]
    encoder = index.encoder
    codes = encoder.encode(np.stack([encoder.prepare(table.read(row)) for row in good]))
    possible = np.ones((len(good), len(index.films)), dtype=bool)
    np.testing.assert_array_equal(report["nearest"].positions, brute_force(index, codes, 10, possible))
    assert report.description["queries"]["left_out"] == {
        "film could not be read": 2, "code all zeros or not finite": 0, "no positive label": 1
    }  # fmt: skip
    assert [problem["id"] for problem in report.description["queries"]["problems"]] == ["new3", "new4"]
    assert report.description["queries"]["n_given"] == 12
    assert report.description["archive"]["encoder"] == {"name": "mean", "fingerprint": "f" * 64}
    assert seen == [("encode queries", 12, 12), ("rank by nearest", 9, 9)]


@pytest.mark.parametrize(("value", "reason"), [(0, "all zeros"), (np.nan, "NaN or infinity")])
def test_a_film_whose_code_has_no_cosine_is_left_out_as_in_a_build(film_archive, monkeypatch, value, reason):
    index, table = film_archive
    without = evaluate(index, table.select([1, 2, 6, 7, 8, 9, 10, 11]), measures=["P@10"], **FEW)
    spoilt = index.encoder.prepare(table.read(5))

    def encode(images, **how):
        codes = MeanEncoder().encode(images)
        codes[(images == spoilt).all(axis=(1, 2))] = value
        return codes

    monkeypatch.setattr(index.encoder, "encode", encode)
    report = evaluate(index, table, measures=["P@10"], **FEW)
    assert report["nearest"].positions.tolist() == without["nearest"].positions.tolist()
    queries = report.description["queries"]
    assert queries["left_out"]["code all zeros or not finite"] == 1
    assert queries["left_out"]["film could not be read"] == 2
    assert queries["n_given"] == 12
    (problem,) = [problem for problem in queries["problems"] if problem["id"] == "new5"]
    assert reason in problem["reason"]
    assert problem["path"] == table.paths[5]
    with pytest.raises(InvalidParameterError, match=rf"at least one that can be read.*new5.*{reason}"):
        evaluate(index, table.select([5]), **FEW)


def test_labels_of_a_table_are_put_in_the_order_of_the_archive(make_index, outside):
    index = make_index()
    codes, table = outside
    names = ("Further", *reversed(table.label_names))
    labels = np.hstack([np.zeros((len(table), 1)), table.labels[:, ::-1]])
    shuffled = replace(table, labels=labels, label_names=names)
    expected = evaluate(index, outside, measures=["ACG@10"], **FEW)
    assert (
        evaluate(index, (codes, shuffled), measures=["ACG@10"], **FEW).to_dict()["rankings"][0]["measures"]
        == (expected.to_dict()["rankings"][0]["measures"])
    )
    short = replace(table, labels=table.labels[:, :2], label_names=table.label_names[:2])
    with pytest.raises(InvalidParameterError, match=r"without the labels Pleural_Thickening.*Edema, Mass"):
        evaluate(index, (codes, short), **FEW)


def test_split_of_the_data_set_behind_the_index(make_index, tmp_path):
    rng = np.random.default_rng(0)
    for name in ("Edema", "Mass"):
        (tmp_path / name).mkdir()
        for number in range(8):
            write_png(tmp_path / name / f"{number}.png", rng.random((32, 32), dtype=np.float32))
    films = read_dataset("folder", tmp_path)
    encoder = MeanEncoder()
    codes = encoder.encode(np.stack([encoder.prepare(films.read(row)) for row in range(len(films))]))
    kept = films.splits != "test"
    index = make_index(encoder=encoder, source={"spec": "folder", "root": str(tmp_path)})
    index.films, index.codes = films.select(kept), codes[kept]
    report = evaluate(index, "test", measures=["P@2"], **FEW)
    assert report.queries.ids.tolist() == films.ids[~kept].tolist()
    assert report.description["queries"]["transductive"] is False
    assert report.description["queries"]["origin"].endswith("films outside the archive")

    index.films = replace(films, splits=np.array(["train"] * len(films)))
    index.codes = codes
    with pytest.raises(InvalidParameterError, match=r"films of that split are in the archive, first"):
        evaluate(index, "test", measures=["P@2"], **FEW)


def test_random_baseline_is_the_level_of_chance(make_index, outside):
    index = make_index()
    table = outside[1]
    report = evaluate(index, outside, measures=["P@10", "R@100"], k=150, **FEW)
    chance = report["random"]
    relevance = table.relevance()[table.relevance().any(axis=1)] @ index.films.relevance().T
    assert chance.scores["P@10"].mean == pytest.approx(relevance.mean(), abs=0.06)
    assert chance.scores["R@100"].mean == pytest.approx(100 / 240, abs=0.03)
    assert chance.milliseconds is None
    assert report["nearest"].milliseconds > 0
    assert chance.positions.shape == (len(report.queries), 150)
    again = evaluate(index, outside, measures=["P@10", "R@100"], k=150, **FEW)
    np.testing.assert_array_equal(again["random"].positions, chance.positions)
    other = evaluate(index, outside, measures=["P@10", "R@100"], k=150, seed=1, **FEW)
    assert not np.array_equal(other["random"].positions, chance.positions)
    assert [row.name for row in evaluate(index, outside, measures=["P@1"], baselines=(), **FEW).rankings] == ["nearest"]


def test_random_hits_are_uniform_among_the_allowed():
    allowed = np.array([True] * 8 + [False] * 4)
    hits = random_hits(12, 4000, 3, allowed=allowed, excluded=[np.array([1, 2, 9])] * 4000, seed=0)
    counts = np.bincount(hits.ravel(), minlength=12)
    assert counts[[1, 2, 8, 9, 10, 11]].sum() == 0
    np.testing.assert_allclose(counts[[0, 3, 4, 5, 6, 7]], 2000, rtol=0.1)
    np.testing.assert_allclose(np.bincount(hits[:, 0], minlength=8)[[0, 3, 4, 5, 6, 7]], 4000 / 6, rtol=0.15)


def test_rankings_are_compared_with_the_reference(make_index):
    index = make_index()
    report = evaluate(index, rankings=["reversed", "nearest"], measures=["P@10"], n_resamples=200)
    assert report.reference == "nearest"
    assert set(report.differences) == {"reversed", "random"}
    difference = report.differences["reversed"]["P@10"]
    values = report["reversed"].values["P@10"] - report["nearest"].values["P@10"]
    assert difference.mean == pytest.approx(values.mean())
    assert difference.high < 0
    assert difference.p_value < 0.05
    swapped = evaluate(index, rankings=["reversed", "nearest"], measures=["P@10"], reference="reversed", **FEW)
    assert swapped.differences["nearest"]["P@10"].mean == pytest.approx(-difference.mean)
    alone = evaluate(index, rankings="reversed", measures="P@10", **FEW)
    assert alone.reference is None
    assert alone.differences == {}
    assert "Differences" not in alone.to_markdown()


def test_precision_by_label(make_index):
    index = make_index()
    report = evaluate(index, measures=["nDCG@20"], **FEW)
    row = report["nearest"]
    assert row.label_measure == "P@10"
    for number, name in enumerate(index.films.label_names):
        having = report.queries.relevance()[:, number]
        assert row.per_label[name].n_queries == having.sum()
        assert row.per_label[name].mean == pytest.approx(row.values["P@10"][having].mean())
    assert evaluate(index, measures=["nDCG@4"], **FEW)["nearest"].label_measure == "P@4"


def test_seed_k_and_resamples_change_what_they_should(make_index):
    index = make_index()
    first = evaluate(index, measures=["P@5"], **FEW)

    def figures(report):
        return [row | {"milliseconds_per_query": None} for row in report.to_dict()["rankings"]]

    assert figures(evaluate(index, measures=["P@5"], **FEW)) == figures(first)
    assert figures(evaluate(index, measures=["P@5"], n_resamples=51)) != figures(first)
    assert figures(evaluate(index, measures=["P@5"], seed=1, **FEW)) != figures(first)
    assert evaluate(index, measures=["P@5"], k=9, **FEW)["nearest"].positions.shape[1] == 9
    default = evaluate(index, **FEW)
    assert list(default["nearest"].scores) == ["P@10", "ACG@10", "nDCG@100", "mAP@100"]
    assert index.calls[-1]["k"] == 100
    assert index.calls[-1]["fill"] is True


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"exclude": "person"}, UnknownNameError, "exclude='person'.*patient"),
        ({"baselines": ["luck"]}, UnknownNameError, "baselines='luck'.*random"),
        ({"reference": "nearest", "rankings": ["reversed"]}, UnknownNameError, "reference='nearest'.*reversed"),
        ({"measures": ["P10"]}, UnknownNameError, "measures='P10'"),
        ({"measures": ["P@10", "P@10"]}, InvalidParameterError, "measures=.*each once"),
        ({"measures": []}, InvalidParameterError, "measures=.*at least one"),
        ({"rankings": []}, InvalidParameterError, "rankings=.*at least one"),
        ({"k": 9}, InvalidParameterError, "k=9.*>= 10"),
        ({"n_resamples": 0}, InvalidParameterError, "n_resamples=0"),
        ({"seed": -1}, InvalidParameterError, "seed=-1"),
        ({"queries": 3}, InvalidParameterError, r"queries=3.*ImageTable, \(codes, ImageTable\), \(codes, labels\)"),
        ({"queries": "valid"}, InvalidParameterError, r"queries='valid'.*\(test, train\).*does not record"),
    ],
)
def test_wrong_input_is_named_before_any_query(changes, error, message, make_index):
    index = make_index()
    with pytest.raises(error, match=message):
        evaluate(index, **({"measures": ["P@10"]} | FEW | changes))
    assert index.calls == []


def test_queries_that_cannot_be_scored_are_explained(make_index, outside, film_archive):
    index = make_index(splits=(0.0, 1.0))
    with pytest.raises(InvalidParameterError, match="all 240 films of the archive are of it"):
        evaluate(index, "test")
    codes, table = outside
    with pytest.raises(InvalidParameterError, match="4 films, none with a positive label"):
        evaluate(index, (codes[:4], table.select(range(4))))
    with pytest.raises(InvalidParameterError, match=r"3 codes.*each of 30 films"):
        evaluate(index, (codes[:3], table))
    with pytest.raises(InvalidParameterError, match="has no encoder for films"):
        evaluate(index, table)
    with_encoder, films = film_archive
    with pytest.raises(InvalidParameterError, match=r"2 films.*at least one that can be read.*new3"):
        evaluate(with_encoder, films.select([3, 4]))
    with pytest.raises(InvalidParameterError, match="0 films"):
        evaluate(with_encoder, films.select([]))


def test_rows_are_named_by_what_they_ranked_with(make_index):
    index = make_index(tuning={"ranking": "alpha_qe", "options": {"n": 3}})
    report = evaluate(index, rankings="alpha_qe:default,tuned,alpha_qe:n=20,alpha=2,nearest", measures=["P@10"], **FEW)
    names = ["alpha_qe:default", "alpha_qe:n=3", "alpha_qe:n=20,alpha=2", "nearest", "random"]
    assert [row.name for row in report.rankings] == names
    assert [call["ranking"] for call in index.calls] == [name for name in names[:4] for _ in index.calls[::4]]
    assert report["tuned"] is report["alpha_qe:n=3"]
    rows = {row["name"]: row for row in report.to_dict()["rankings"]}
    assert rows["alpha_qe:n=3"]["options"] == {"n": 3, "alpha": 3.0}
    assert rows["alpha_qe:default"]["options"] == {"n": 10, "alpha": 3.0}
    assert (rows["random"]["ranking"], rows["random"]["options"]) == (None, {})
    assert report.reference == "nearest"
    alone = evaluate(index, measures=["P@10"], **FEW)
    assert [row.name for row in alone.rankings] == ["alpha_qe:n=3", "random"]
    compared = evaluate(index, rankings=["tuned", "nearest"], reference="alpha_qe", measures=["P@10"], **FEW)
    assert compared.reference == "alpha_qe:n=3"


@pytest.mark.parametrize(
    ("rankings", "message"),
    [
        ("alpha_qe:n=3,alpha_qe", r"alpha_qe:n=3 and alpha_qe.*both are alpha_qe:n=3 here.*alpha_qe:default"),
        (["nearest", "nearest:default"], r"nearest and nearest:default.*each once"),
        (",", r"at least one"),
    ],
)
def test_a_ranking_twice_or_one_that_cannot_be_is_refused_before_anybody_is_asked(make_index, rankings, message):
    index = make_index(tuning={"ranking": "alpha_qe", "options": {"n": 3}})
    with pytest.raises(InvalidParameterError, match=message):
        evaluate(index, rankings=rankings, measures=["P@10"], **FEW)
    assert not index.calls


@pytest.mark.parametrize("rankings", ["tuned,nearest,alpha_qe", "alpha_qe,nearest,tuned", "nearest,alpha_qe:n=3,tuned"])
def test_what_an_archive_chose_beside_the_same_ranking_is_one_row_with_both_names(make_index, rankings):
    index = make_index(tuning={"ranking": "alpha_qe", "options": {"n": 3}})
    report = evaluate(index, rankings=rankings, measures=["P@10"], baselines=[], **FEW)
    assert sorted(row.name for row in report.rankings) == ["alpha_qe:n=3", "nearest"]
    assert report["tuned"] is report["alpha_qe:n=3"]


def test_the_share_of_hits_that_are_fill_is_reported(make_index):
    index = make_index(n_found=15)
    report = evaluate(index, "test", rankings=["reversed", "nearest"], measures=["P@20"], **FEW)
    assert report["reversed"].fill_share == 0.25, "15 of 20 hits were found, 5 filled up"
    assert (report["nearest"].fill_share, report["random"].fill_share) == (0, None)
    assert "reversed: 25.0% of its hits are fill" in report.to_markdown()
    assert "nearest: " not in report.to_markdown()


def test_a_shorter_random_list_begins_the_longer_one():
    excluded = [np.arange(row % 4) for row in range(30)]
    allowed = np.arange(50) % 5 > 0
    for mask in (None, allowed):
        whole = random_hits(50, 30, 60, allowed=mask, excluded=excluded, seed=3)
        for k in (1, 2, 9, 35, 49, 59):
            np.testing.assert_array_equal(
                random_hits(50, 30, k, allowed=mask, excluded=excluded, seed=3), whole[:, :k], err_msg=f"k {k}"
            )
