"""Labels in every form that people have them in are one matrix with names, wherever labels are taken."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from scipy import sparse

import graphret
from graphret._errors import DataError, InvalidParameterError
from graphret._labels import read_labels
from graphret.data import ImageTable
from graphret.evaluation import evaluate_ranking
from graphret.hashing.labels import PairLabels
from graphret.retrieval import Archive

ABC = ("A", "B", "C")
ONE_CLASS = [[0, 1, 0], [1, 0, 0], [0, 0, 1], [0, 0, 0]]
SEVERAL = [[1, 1, 0], [0, 0, 0], [0, 0, 1], [1, 0, 0]]
MATRIX = [[1, 0, -1], [0, 0, 0], [0, 1, 0], [1, 1, 1]]


def pandas_forms():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(MATRIX, columns=list(ABC), index=[9, 8, 7, 6])
    holes = frame.astype("Int8").mask(frame == 0)
    return {
        "series of texts": (pd.Series(["B", "A", "C", None], index=[3, 2, 1, 0]), ONE_CLASS),
        "series of numbers with a hole": (pd.Series([1, 0, 2, None]), ONE_CLASS),
        "series of nullable numbers": (pd.Series([1, 0, 2, None], dtype="Int64"), ONE_CLASS),
        "series of lists": (pd.Series([["A", "B"], [], ["C"], ["A"]]), SEVERAL),
        "categorical": (pd.Categorical(["B", "A", "C", None], categories=list(ABC)), ONE_CLASS),
        "series of categories": (pd.Series(["B", "A", "C", None], dtype="category"), ONE_CLASS),
        "frame": (frame, MATRIX),
        "frame of floats with NaN": (frame.astype(float).replace(0, np.nan), MATRIX),
        "frame of nullable numbers": (holes, MATRIX),
        "frame of truth values": (pd.DataFrame(np.array(SEVERAL) > 0, columns=list(ABC)), SEVERAL),
    }


FORMS = {
    "texts": (["B", "A", "C", "N/A"], ONE_CLASS),
    "array of texts": (np.array(["B", " A ", "C", ""]), ONE_CLASS),
    "texts and None": (np.array(["B", "A", "C", None], dtype=object), ONE_CLASS),
    "numbers": ([1, 0, 2, -1], ONE_CLASS),
    "array of numbers": (np.array([1, 0, 2, -1], dtype=np.int16), ONE_CLASS),
    "floats that are whole": (np.array([1.0, 0.0, 2.0, np.nan]), ONE_CLASS),
    "lists of names": ([["A", "B"], [], ["C"], ("A",)], SEVERAL),
    "sets of names": ([{"A", "B"}, set(), frozenset({"C"}), {"A"}], SEVERAL),
    "lists and None": ([["A", "B"], None, ["C"], ["A", float("nan")]], SEVERAL),
    "array of names": (np.array([["A", "B"], ["", ""], ["C", ""], ["A", "A"]]), SEVERAL),
    "nested lists": (MATRIX, MATRIX),
    "matrix of int8": (np.array(MATRIX, dtype=np.int8), MATRIX),
    "matrix of floats": (np.array(MATRIX, dtype=np.float32), MATRIX),
    "matrix with NaN": (np.where(np.array(MATRIX) == 0, np.nan, MATRIX), MATRIX),
    "matrix of truth values": (np.array(SEVERAL) > 0, SEVERAL),
    "matrix of objects": (np.array(SEVERAL, dtype=object), SEVERAL),
    "sparse matrix": (sparse.csr_matrix(SEVERAL), SEVERAL),
    "mapping": ({"A": [1, 0, 0, 1], "B": [0, 0, 1, 1], "C": [-1, 0, 0, 1]}, MATRIX),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_the_same_matrix(form):
    labels, wanted = FORMS[form]
    found = read_labels(labels, ABC)
    assert found.matrix.tolist() == wanted
    assert found.matrix.dtype == np.int8
    assert found.names == ABC


def test_every_form_of_pandas_is_the_same_matrix():
    for form, (labels, wanted) in pandas_forms().items():
        assert read_labels(labels, ABC).matrix.tolist() == wanted, form
        assert read_labels(labels).matrix.tolist() == wanted, form


def test_names_come_from_the_labels():
    assert read_labels(["b", "a"]).names == ("a", "b")
    assert read_labels([10, 9, 2]).names == ("2", "9", "10")
    assert read_labels([{3}, {1, 2}]).names == ("1", "2", "3")
    assert read_labels(MATRIX).names == ("label_0", "label_1", "label_2")
    assert read_labels({"x": [1], "y": [0]}).names == ("x", "y")


def test_names_of_pandas():
    pd = pytest.importorskip("pandas")
    assert read_labels(pd.Categorical(["b"], categories=["z", "b", "a"])).names == ("z", "b", "a")
    assert read_labels(pd.DataFrame({"Mass": [1], 7: [0]})).names == ("Mass", "7")


def test_numbers_are_places_in_the_names_unless_the_names_are_numbers():
    assert read_labels([2, 0], ["x", "y", "z"]).matrix.tolist() == [[0, 0, 1], [1, 0, 0]]
    assert read_labels([7, 3], ["3", "5", "7"]).matrix.tolist() == [[0, 0, 1], [1, 0, 0]]


WRONG = {
    "one text": ("Edema", r"labels='Edema'.*one class a film"),
    "a number": (3, "labels=3"),
    "several names in a text": (["A|B", "C"], r"labels='A\|B'.*split"),
    "truth values": (np.array([True, False]), r"labels\[:, None\]"),
    "a fraction": ([0.5, 1.0], "labels=0.5"),
    "a class below -1": ([0, -2], "labels=-2"),
    "texts and numbers": (["A", 1], "texts and numbers"),
    "ragged numbers": ([[0], [1, 2]], "lists of numbers and other rows.*set of numbers"),
    "a row that is no list": ([["A"], "B"], "row 1 is no list"),
    "unknown name": (["A", "D"], "labels='D'.*one of label_names: A, B, C"),
    "a place too far": ([0, 3], "labels=3.*classes 0 to 2"),
    "three dimensions": (np.zeros((2, 2, 2)), r"\(2, 2, 2\)"),
    "columns of two lengths": ({"A": [1], "B": [1, 0], "C": [1]}, r"columns of \[1, 2\] rows"),
    "a column of names": ({"A": ["x"], "B": [0], "C": [0]}, r"'x' in the column 'A'.*labels=frame\[column\]"),
    "a column too few": ({"A": [1], "B": [1]}, "no column 'C'"),
    "too few columns": (np.zeros((2, 2)), "2 names, one for every column"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_labels_say_what_is_allowed(name):
    labels, message = WRONG[name]
    with pytest.raises(InvalidParameterError, match=message):
        read_labels(labels, ABC)


def test_wrong_values_name_label_and_row():
    with pytest.raises(DataError, match=r"label 'B' of row 1 is .*2.*1 \(positive\)"):
        read_labels([[1, 0, 0], [1, 2, 0]], ABC)
    with pytest.raises(DataError, match=r"label 'B' of row 1 is .*0.3"):
        read_labels({"A": [1, 0], "B": [0, 0.3], "C": [0, 0]})


def test_two_columns_of_one_name():
    pd = pytest.importorskip("pandas")
    with pytest.raises(InvalidParameterError, match="two columns 'A'"):
        read_labels(pd.DataFrame([[1, 0]], columns=["A", "A"]))


@pytest.mark.parametrize("form", ["texts", "lists of names", "mapping", "sparse matrix"])
def test_they_are_taken_wherever_labels_are(form, tmp_path):
    labels, wanted = FORMS[form]
    codes = np.random.default_rng(0).random((4, 6), dtype=np.float32)
    names = None if form != "sparse matrix" else ABC
    index = graphret.build(codes, out=tmp_path / "index", labels=labels, label_names=names, k=2)
    assert (index.films.labels.tolist(), index.films.label_names) == (wanted, ABC)
    table = ImageTable(ids=list("wxyz"), paths=[], labels=labels, label_names=names or ())
    assert (table.labels.tolist(), table.label_names) == (wanted, ABC)
    findings = Archive.from_codes(codes, 2, labels=labels, label_names=names).findings
    assert (findings.labels.tolist(), findings.names) == (wanted, ABC)
    pairs = PairLabels(labels, 4)
    assert pairs.positive.tolist() == (np.array(wanted) == 1).tolist()


def test_a_table_of_another_length_is_refused(tmp_path):
    codes = np.random.default_rng(0).random((5, 6), dtype=np.float32)
    with pytest.raises(InvalidParameterError, match=r"labels='4 rows'.*5 rows"):
        graphret.build(codes, out=tmp_path / "index", labels=["B", "A", "C", "A"])
    with pytest.raises(DataError, match=r"labels have shape \(4, 3\)"):
        ImageTable(ids=list("vwxyz"), paths=[], labels=["B", "A", "C", "A"])


def test_measures_put_names_together():
    ranked, matrix = [[0, 1, 2]], [[1, 0], [1, 1], [0, 1]]
    expected = evaluate_ranking(ranked, [[1, 0]], matrix, ["P@2", "ACG@3"])
    for of_query, of_films in (
        (["x"], [["x"], ["y", "x"], ["y"]]),
        ([{"x"}], {"y": [0, 1, 1], "x": [1, 1, 0]}),
    ):
        found = evaluate_ranking(ranked, of_query, of_films, ["P@2", "ACG@3"])
        assert {name: values.tolist() for name, values in found.items()} == {
            name: values.tolist() for name, values in expected.items()
        }
    assert evaluate_ranking([[0, 1]], [7], [7, 3], ["P@1"])["P@1"].tolist() == [1]
    # a label that no film has still is one of the query's
    assert evaluate_ranking([[0]], [["x", "new"]], ["x"], ["ACG@1"])["ACG@1"].tolist() == [0.5]


@pytest.fixture
def shop(tmp_path):
    rng = np.random.default_rng(3)
    classes = rng.integers(0, 3, 60)
    codes = (np.eye(3, 8)[classes] * 2 + rng.normal(size=(60, 8)) * 0.5).astype(np.float32)
    names = np.array(["Edema", "Mass", "Normal"])[classes]
    index = graphret.build(codes[:45], out=tmp_path / "index", labels=names[:45], k=5)
    return index, codes[45:], names[45:]


def measured(report):
    return report.to_dict()["rankings"][0]["measures"]


def test_evaluate_takes_codes_with_labels(shop):
    index, codes, names = shop
    table = ImageTable(
        ids=[f"new{row}" for row in range(15)],
        paths=[],
        labels=names,
        label_names=("Edema", "Mass", "Normal"),
        patients=[f"new{row}" for row in range(15)],
    )
    how = {"measures": ["P@5"], "n_resamples": 50, "baselines": ()}
    expected = measured(graphret.evaluate(index, (codes, table), **how))
    matrix = (names[:, None] == np.array(["Edema", "Mass", "Normal"])).astype(int)
    forms = [names, names.tolist(), [{name} for name in names], matrix, matrix.argmax(axis=1)]
    for labels in forms:
        report = graphret.evaluate(index, (codes, labels), **how)
        assert measured(report) == expected
    assert "each its own patient" in report.description["queries"]["origin"]
    with_patients = graphret.evaluate(index, (codes, names, ["7"] * 15), **how)
    assert with_patients.excluded[0].tolist() == [7]


def test_codes_and_labels_of_other_numbers_or_names(shop, caplog):
    index, codes, names = shop
    with pytest.raises(InvalidParameterError, match="one code for each of 14 films"):
        graphret.evaluate(index, (codes, names[:14]))
    with pytest.raises(InvalidParameterError, match=r"labels Hernia.*labels of the archive: Edema, Mass, Normal"):
        graphret.evaluate(index, (codes, ["Hernia"] * 15))
    graphret_logger = logging.getLogger("graphret")
    graphret_logger.addHandler(caplog.handler)
    try:
        graphret.evaluate(index, (codes, [[*[name], "Hernia"] for name in names]), measures=["P@5"], n_resamples=10)
    finally:
        graphret_logger.removeHandler(caplog.handler)
    assert "do not count: Hernia (15 queries)" in caplog.text


def test_queries_never_take_an_id_or_patient_of_the_archive(tmp_path):
    codes = np.random.default_rng(0).random((6, 4), dtype=np.float32)
    ids = [f"query{row}" for row in range(6)]
    index = graphret.build(codes, out=tmp_path / "index", ids=ids, labels=list("aabbcc"), k=2)
    report = graphret.evaluate(index, (codes, list("aabbcc")), measures=["P@1"], n_resamples=10)
    assert not any(len(rows) for rows in report.excluded)


def test_a_folder_is_taken_wherever_an_index_is(shop):
    index, codes, names = shop
    how = {"measures": ["P@5"], "n_resamples": 50}
    expected = measured(graphret.evaluate(index, (codes, names), **how))
    for folder in (index.path, str(index.path)):
        assert measured(graphret.evaluate(folder, (codes, names), **how)) == expected
        assert graphret.tune(folder, budget=1, n_queries=20).ranking in graphret.list_rankings()
    with pytest.raises(graphret.NotAnIndexError):
        graphret.evaluate(index.path / "nowhere")
    for call in (graphret.evaluate, graphret.tune):
        with pytest.raises(InvalidParameterError, match="an Index, or the folder of one"):
            call(codes)
