"""Relevance judgements of people in the place of labels: read, put on an archive, and measured by hand."""

import json
import math

import numpy as np
import pytest

import graphret
from graphret._errors import DataError, InvalidParameterError, MissingFileError
from graphret.data import ImageTable
from graphret.evaluation import read_judgements
from graphret.evaluation.judgements import resolve_judgements
from graphret.serve.lists_export import as_csv, as_qrels

N = 24
MARKS = {
    "film 1": {"film 4": 2, "film 7": 0, "film 9": 1, "=2": 1},
    "film 5": {"film 8": 1, "film 11": 0},
    "=2": {"film 3": 1, "film 6": 1, "film 12": 0},
    "film 20": {"film 21": 0},
}


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    """24 films of 12 patients, with one label that has nothing to do with the judgements; one id is like a formula."""
    rng = np.random.default_rng(3)
    codes = rng.normal(size=(N, 6)).astype(np.float32)
    films = ImageTable(
        ids=[f"film {row}" if row != 2 else "=2" for row in range(N)], paths=[],
        labels=[["Mass"] if row % 3 == 0 else [] for row in range(N)], label_names=(),
        patients=[f"p{row // 2}" for row in range(N)], splits=["valid" if row < 5 else "train" for row in range(N)],
    )  # fmt: skip
    root = tmp_path_factory.mktemp("judged") / "archive"
    return graphret.build(codes, films=films, out=root, k=6, tune=False)


def marks_of(judged, index="archive"):
    """As the lists of the service keep them."""
    return [
        {"index": index, "query": query, "film": film, "relevance": grade, "note": "a, b", "changed": "2026"}
        for query, films in judged.items()
        for film, grade in films.items()
    ]


def by_hand(index, measure, k):
    """Slow reference: every query's hits, one by one, with the grades of the mapping."""
    ids, patients = index.films.ids.tolist(), index.films.patients.tolist()
    values = {}
    for query in sorted((name for name in MARKS if any(MARKS[name].values())), key=ids.index):
        mine = patients[ids.index(query)]
        possible = {film: grade for film, grade in MARKS[query].items() if patients[ids.index(film)] != mine}
        hits = index.query([query], k, exclude="patient")[0]
        grades = [possible.get(hit.id, 0) for hit in hits]
        if measure == "P":
            values[query] = sum(grade > 0 for grade in grades) / k
        elif measure == "R":
            relevant = sum(grade > 0 for grade in possible.values())
            values[query] = sum(grade > 0 for grade in grades) / relevant if relevant else math.nan
        else:
            gains = lambda found: sum((2**grade - 1) / math.log2(rank + 2) for rank, grade in enumerate(found))  # noqa: E731
            ideal = gains(sorted(possible.values(), reverse=True)[:k])
            values[query] = gains(grades) / ideal if ideal else math.nan
    return values


def test_measures_are_those_by_hand(index):
    report = graphret.evaluate(index, judgements=MARKS, measures=["P@5", "nDCG@5", "R@9"], rankings="nearest")
    asked = sorted((name for name in MARKS if name != "film 20"), key=index.films.ids.tolist().index)
    assert report.queries.ids.tolist() == asked
    for measure, k in (("P", 5), ("nDCG", 5), ("R", 9)):
        expected = by_hand(index, measure, k)
        assert report["nearest"].values[f"{measure}@{k}"] == pytest.approx([*expected.values()], nan_ok=True)


def test_what_does_not_count_is_said(index):
    """Film 5 and its own patient's film 4; film 3 is of the patient of =2."""
    report = graphret.evaluate(index, judgements={**MARKS, "film-5e1b": {"film 1": 1}}, rankings="nearest")
    said = report.to_dict()
    assert said["queries"]["n_given"] == 5
    assert said["queries"]["n_scored"] == 3
    assert said["queries"]["left_out"]["no film of the archive"] == 1
    assert said["queries"]["left_out"]["no film judged relevant"] == 1
    pairs = sum(len(films) for query, films in MARKS.items() if query != "film 20")
    assert said["judgements"]["n_that_no_hit_could_be"] == 1
    assert said["judgements"]["n_judged"] == pairs - 1
    assert said["judgements"]["largest_grade"] == 2
    first = report["nearest"].positions[:, :10]
    ids = index.films.ids
    judged = sum(
        ids[film] in MARKS[query] for query, hits in zip(report.queries.ids, first, strict=True) for film in hits
    )
    assert report["nearest"].judged_share == pytest.approx(judged / first.size)
    assert "People judged, not labels" in report.to_markdown()
    assert list(report["nearest"].scores) == ["P@10", "nDCG@100", "mAP@100"]


def test_a_query_that_lost_its_relevant_films_to_its_own_patient_is_said(index):
    report = graphret.evaluate(index, judgements={"film 6": {"film 7": 1}}, rankings="nearest", measures=["P@5", "R@5"])
    assert report.to_dict()["judgements"]["n_queries_without_a_relevant_film_left"] == 1
    assert np.isnan(report["nearest"].values["R@5"]).all()
    with_own = graphret.evaluate(
        index, judgements={"film 6": {"film 7": 1}}, rankings="nearest", measures=["R@23"], exclude=None
    )
    assert with_own["nearest"].values["R@23"].tolist() == [1.0]


@pytest.mark.parametrize("write", [as_csv, as_qrels], ids=["csv", "qrels"])
def test_lists_of_the_service_are_read_back(index, tmp_path, write):
    note = {**marks_of(MARKS)[0], "film": "film 13", "relevance": None}
    file = tmp_path / "marks"
    file.write_text(write([*marks_of(MARKS), note]), encoding="utf-8")
    found = resolve_judgements(index, file)
    given = resolve_judgements(index, MARKS)
    for name in ("queries", "of", "films", "grades"):
        assert np.array_equal(getattr(found, name), getattr(given, name)), name
    assert found.left_out == given.left_out


def test_of_several_indexes_the_rows_of_one_are_read(index, tmp_path):
    file = tmp_path / "marks.csv"
    other = marks_of({"strange": {"stranger": 1}}, "other")
    file.write_text(as_csv([*marks_of(MARKS), *other]), encoding="utf-8")
    assert len(resolve_judgements(index, file).queries) == 3
    with pytest.raises(DataError, match="none of 'third'"):
        read_judgements(file, "third")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("query,film,relevance\na,b,much\n", "line 2: the relevance must be an integer"),
        ("query,film,relevance\na,b,1\na,b,0\n", "line 3: 'a' and 'b' have two grades"),
        ("a 0 b 1\na 0 b 2\n", "line 2: 'a' and 'b' have two grades"),
        ("a 0 b\n", "line 1: 3 fields"),
    ],
)
def test_a_damaged_file_is_refused_with_its_line(tmp_path, text, message):
    file = tmp_path / "marks"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_judgements(file)


def test_no_file_is_said(index, tmp_path):
    with pytest.raises(MissingFileError, match="qrels"):
        graphret.evaluate(index, judgements=tmp_path / "nothing")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"film 1": {"film 99": 1}}, "film 99"),
        ({"nobody": {"film 1": 1}}, "1 queries, first 'nobody'"),
        ({}, "no judgement"),
        ({"film 1": {"film 4": 0}}, "none relevant"),
        ({"film 1": {"film 4": 0.5}}, "grade 0.5"),
        ({"film 1": {"film 4": 101}}, "up to 100"),
        (["film 1"], "a file of TREC judgements"),
    ],
)
def test_judgements_that_cannot_be_used_are_refused(index, given, message):
    with pytest.raises(InvalidParameterError, match=message):
        graphret.evaluate(index, judgements=given)


def test_labels_cannot_be_counted_and_queries_not_given_twice(index):
    for measure in ("ACG@10", "MMV@5"):
        with pytest.raises(InvalidParameterError, match="judgements are of pairs"):
            graphret.evaluate(index, judgements=MARKS, measures=[measure])
    with pytest.raises(InvalidParameterError, match="judgements name their queries"):
        graphret.evaluate(index, "valid", judgements=MARKS)


def test_the_saved_judgements_are_those_that_count(index, tmp_path):
    report = graphret.evaluate(index, judgements=MARKS, rankings="nearest", n_resamples=10)
    report.save(tmp_path)
    kept = graphret.evaluation.read_qrels(tmp_path / "qrels.txt")
    assert kept["=2"] == {"film 6": 1, "film 12": 0}
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["judgements"]["n_judged"] == 8


def test_the_command_line_says_the_same(index, tmp_path, run):
    file = tmp_path / "marks.csv"
    file.write_text(as_csv(marks_of(MARKS)), encoding="utf-8")
    said = run("evaluate", index.path, "--judgements", file, "--rankings", "nearest", "--n-resamples", "50", "--json")
    report = graphret.evaluate(index, judgements=MARKS, rankings="nearest", n_resamples=50).to_dict()
    found = json.loads(said.out)
    assert found["rankings"][0]["measures"] == report["rankings"][0]["measures"]
    assert found["judgements"] == report["judgements"]
    refused = run("evaluate", index.path, "--judgements", file, "--split", "valid")
    assert refused.status == 2
    assert "judgements name their queries" in refused.err


def test_tuning_asks_what_people_judged(index, caplog):
    candidates = [graphret.tuning.Candidate("alpha_qe", {"n": 3, "alpha": 1.0})]
    found = graphret.tune(index, judgements=MARKS, candidates=candidates, measures=["P@5"], budget=None)
    assert found.n_queries == 3
    assert found.criterion == "mean of P@5, by relevance judgements"
    nearest = next(trial for trial in found.trials if trial.ranking == "nearest")
    assert nearest.scores["P@5"] == pytest.approx(np.mean([*by_hand(index, "P", 5).values()]))
    assert "1 queries of the judgements do not ask (no film judged relevant: 1)" in caplog.text
    valid = graphret.tune(index, judgements=MARKS, candidates=candidates, measures=["P@5"], budget=None, split="valid")
    assert valid.n_queries == 2


def test_tuning_refuses_judgements_that_nobody_can_meet(index):
    with pytest.raises(InvalidParameterError, match="relevant film of another patient"):
        graphret.tune(index, judgements={"film 6": {"film 7": 1}})
    with pytest.raises(InvalidParameterError, match="judgements are of pairs"):
        graphret.tune(index, judgements=MARKS, measures=["ACG@5"])


def test_the_command_line_tunes_the_same(index, tmp_path, run):
    file = tmp_path / "marks.qrels"
    file.write_text(as_qrels(marks_of(MARKS)), encoding="utf-8")
    said = run("tune", index.path, "--judgements", file, "--measures", "P@5", "--budget", "none", "--json")
    found = json.loads(said.out)
    assert found["criterion"] == "mean of P@5, by relevance judgements"
    assert found["n_queries"] == 3
    nearest = next(trial for trial in found["trials"] if trial["ranking"] == "nearest")
    assert nearest["scores"]["P@5"] == pytest.approx(np.mean([*by_hand(index, "P", 5).values()]))
    graphret.open(index.path).forget_tuning()
