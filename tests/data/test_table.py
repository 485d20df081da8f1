"""ImageTable: validation, selection, Arrow, and splits that never share a patient."""

from __future__ import annotations

import hashlib
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphret._errors import DataError, FilmError, InvalidParameterError, UnknownNameError
from graphret.data import FilmProblem, ImageTable, write_png
from graphret.data.splits import SPLITS, shared_patients, split_by_patient


def make(n=6, **changes):
    values = {
        "ids": [f"film{i}" for i in range(n)],
        "paths": [f"/archive/{i}.png" for i in range(n)],
        "labels": (np.arange(n * 3).reshape(n, 3) % 3) - 1,
        "label_names": ("Edema", "Mass", "Nodule"),
        "patients": [f"p{i // 2}" for i in range(n)],
        "views": ["PA", "AP"] * (n // 2),
        "splits": (["train"] * n)[: n - 2] + ["test"] * 2,
        "columns": {
            "age": np.arange(n) * 1.5,
            "sex": np.array(["F", "M"] * (n // 2)),
            "visit": np.arange(n),
            "told": np.arange(n) > 2,
        },
        "problems": (FilmProblem("x", "/archive/x.png", "the file is empty (0 bytes)"),),
        "spec": "nih",
        "root": "/archive",
    }
    return ImageTable(**(values | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ids": ["a", "b", "a", "c", "d", "e"]}, "'a' occurs more than once"),
        ({"ids": ["a", "", "b", "c", "d", "e"]}, "row 1 has no id"),
        ({"ids": [1, 2, 3, 4, 5, 6]}, "ids of dtype int64"),
        ({"paths": ["x"]}, "paths has 1 rows, ids has 6"),
        ({"patients": ["x"] * 7}, "patients has 7 rows"),
        ({"views": ["PA"] * 5}, "views has 5 rows"),
        ({"splits": ["train"] * 5 + ["holdout"]}, "split 'holdout' of film film5.*train, valid, test"),
        ({"labels": np.zeros((6, 2))}, r"labels have shape \(6, 2\): give \(6, 3\)"),
        ({"labels": np.full((6, 3), 2)}, "label 'Edema' of row 0 is .*2"),
        ({"labels": np.full((6, 3), 0.5)}, "label 'Edema' of row 0 is .*0.5"),
        ({"label_names": ("Edema", "Edema", "Mass")}, "label names"),
        ({"columns": {"age": np.arange(5)}}, r"column 'age' has shape \(5,\)"),
        ({"columns": {"age": np.array([None] * 6)}}, "column 'age' has dtype object"),
        ({"columns": {"patient": np.arange(6)}}, "may not be called 'patient'"),
    ],
)
def test_wrong_tables_are_refused(changes, message):
    with pytest.raises(DataError, match=message):
        make(**changes)


def test_table_is_frozen():
    table = make()
    with pytest.raises(AttributeError):
        table.spec = "other"
    for values in (table.ids, table.labels, table.columns["age"]):
        with pytest.raises(ValueError, match="read-only"):
            values[0] = values[1]


def test_making_a_table_leaves_the_callers_arrays_alone():
    ids, ages = np.array(list("abcdef")), np.arange(6)
    make(ids=ids, columns={"age": ages})
    ids[0], ages[0] = "z", 9
    assert ids[0] == "z"


def test_unknown_columns_have_plain_defaults():
    table = ImageTable(ids=["a", "b"], paths=[], labels=np.zeros((2, 0)), label_names=())
    assert table.paths.tolist() == ["", ""]
    assert table.patients.tolist() == ["a", "b"]
    assert table.views.tolist() == ["", ""]
    assert table.splits.tolist() == ["train", "train"]
    assert table.labels.dtype == np.int8


def test_a_film_without_a_patient_is_its_own():
    table = make(patients=["p", "", "p", "", "q", "q"])
    assert table.patients.tolist() == ["p", "film1", "p", "film3", "q", "q"]


def test_select_by_mask_and_by_position():
    table = make()
    picked = table.select([4, 0])
    assert picked.ids.tolist() == ["film4", "film0"]
    assert picked.columns["age"].tolist() == [6.0, 0.0]
    assert picked.labels.tolist() == table.labels[[4, 0]].tolist()
    assert picked.problems == table.problems
    assert table.select(table.views == "AP").ids.tolist() == ["film1", "film3", "film5"]
    assert len(table.select([])) == 0
    assert len(table.select([]).select([])) == 0


@pytest.mark.parametrize(
    ("rows", "message"),
    [([True], "mask has 1 rows"), ([9], "rows 0..5"), ([0, 0], "more than once"), ([0.5], "float64"), (["a"], "mask")],
)
def test_select_refuses(rows, message):
    with pytest.raises(DataError, match=message):
        make().select(rows)


def test_split():
    table = make()
    assert table.split("test").ids.tolist() == ["film4", "film5"]
    assert len(table.split("valid")) == 0
    with pytest.raises(UnknownNameError, match="train, valid"):
        table.split("validation")


def test_relevance():
    table = make()
    assert table.relevance().tolist() == (table.labels != 0).tolist()
    assert table.relevance("negative").tolist() == (table.labels == 1).tolist()
    assert table.relevance().dtype == bool
    with pytest.raises(UnknownNameError, match="positive"):
        table.relevance("perhaps")


def test_column():
    table = make()
    for name, attribute in (
        ("id", "ids"),
        ("path", "paths"),
        ("patient", "patients"),
        ("view", "views"),
        ("split", "splits"),
    ):
        assert table.column(name) is getattr(table, attribute)
    assert table.column("age").tolist() == table.columns["age"].tolist()
    with pytest.raises(UnknownNameError, match="did you mean 'age'"):
        table.column("agee")


def test_read(tmp_path):
    film = np.array([[0.0, 1.0], [0.2, 0.4]], np.float32)
    write_png(tmp_path / "a.png", film)
    table = ImageTable(ids=["a", "b"], paths=[str(tmp_path / "a.png"), ""], labels=np.zeros((2, 0)), label_names=())
    np.testing.assert_allclose(table.read(0), film, atol=1e-6)
    np.testing.assert_array_equal(table.read_pixels(0), np.rint(film * 255))
    with pytest.raises(FilmError, match="no file for it"):
        table.read(1)
    with pytest.raises(FilmError, match="no file for it"):
        table.read_pixels(1)


def same(one, other):
    for name in ("ids", "paths", "labels", "patients", "views", "splits"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert one.columns.keys() == other.columns.keys()
    for name, values in one.columns.items():
        np.testing.assert_array_equal(values, other.columns[name])
        assert values.dtype.kind == other.columns[name].dtype.kind
    for name in ("label_names", "problems", "spec", "root"):
        assert getattr(one, name) == getattr(other, name)


@pytest.mark.parametrize("rows", [slice(None), slice(0, 0)])
def test_arrow_and_parquet_round_trip(tmp_path, rows):
    parquet = pytest.importorskip("pyarrow.parquet")
    table = make().select(np.arange(6)[rows])
    same(table, ImageTable.from_arrow(table.to_arrow()))
    parquet.write_table(table.to_arrow(), tmp_path / "films.parquet")
    same(table, ImageTable.from_arrow(parquet.read_table(tmp_path / "films.parquet")))


def test_arrow_keeps_unknown_numbers():
    table = make(columns={"age": np.array([1.0, np.nan, 3, 4, 5, 6], np.float32)})
    same(table, ImageTable.from_arrow(table.to_arrow()))


def test_other_arrow_tables_are_refused():
    import pyarrow as pa

    with pytest.raises(DataError, match=r"not made by ImageTable.to_arrow"):
        ImageTable.from_arrow(pa.table({"id": ["a"]}))
    with pytest.raises(DataError, match="not made by"):
        ImageTable.from_arrow(make().to_arrow().drop_columns(["label:Mass"]))


names = st.lists(st.text("abcdef", min_size=1, max_size=3), min_size=1, max_size=60)


@settings(max_examples=60, deadline=None)
@given(names, st.integers(0, 5), st.randoms())
def test_split_depends_on_seed_and_patient_only(patients, seed, random):
    patients = np.array(patients)
    splits = split_by_patient(patients, (0.5, 0.2, 0.3), seed)
    assert shared_patients(patients, splits) == []
    order = np.array(random.sample(range(len(patients)), len(patients)))
    np.testing.assert_array_equal(split_by_patient(patients[order], (0.5, 0.2, 0.3), seed), splits[order])


def test_split_does_not_move_when_films_are_added():
    patients = np.array([f"p{i}" for i in range(300)])
    few = split_by_patient(patients[:200])
    np.testing.assert_array_equal(split_by_patient(patients)[:200], few)


def test_the_last_places_are_below_one(monkeypatch):
    digest = SimpleNamespace(digest=lambda: b"\xff" * 8)
    monkeypatch.setattr(hashlib, "blake2b", lambda *_, **__: digest)
    assert split_by_patient(np.array(["a", "b"]), (0.5, 0.0, 0.5)).tolist() == ["train", "test"]
    assert split_by_patient(np.array(["a"]), (1.0, 0.0, 0.0)).tolist() == ["train"]


def test_split_shares_hold_and_the_seed_counts():
    patients = np.array([f"p{i}" for i in range(5000)])
    one, two = split_by_patient(patients, seed=1), split_by_patient(patients, seed=2)
    for name, share in zip(SPLITS, (0.7, 0.1, 0.2), strict=True):
        assert abs(np.mean(one == name) - share) < 0.02
    assert 0.3 < np.mean(one != two) < 0.6


@pytest.mark.parametrize("seed", range(20))
def test_no_split_stays_empty_when_three_patients_are_there(seed):
    splits = split_by_patient(np.array(["a", "b", "b", "c"]), (0.9, 0.05, 0.05), seed)
    assert set(splits) == set(SPLITS)
    assert set(split_by_patient(np.array(["a", "b"]), (1.0, 0.0, 0.0), seed)) == {"train"}


@pytest.mark.parametrize(
    ("fractions", "split"), [((0.7, 0.1, 0.2 - 9e-10), "test"), ((0.7, 0.3 - 9e-10, 0.0), "valid")]
)
def test_fractions_that_sum_to_almost_1_leave_no_gap(fractions, split):
    """The patient was looked for among two billion: its place with seed 0 is 1 - 6.9e-10, beyond the last cut."""
    assert sum(fractions) < 1 - 7e-10
    assert split_by_patient(np.array(["p1891616162"]), fractions, seed=0).tolist() == [split]


@pytest.mark.parametrize("fractions", [(0.5, 0.5), (0.5, 0.5, 0.5), (1.2, -0.2, 0.0)])
def test_wrong_fractions(fractions):
    with pytest.raises(InvalidParameterError, match="sum 1"):
        split_by_patient(np.array(["a"]), fractions)


def test_with_split_by_patient():
    table = make()
    again = table.with_split_by_patient((0.34, 0.33, 0.33), seed=3)
    assert set(again.splits) == set(SPLITS)
    again.check_patients()
    assert again.ids.tolist() == table.ids.tolist()


def test_shared_patients_are_named():
    table = make(splits=["train", "test", "train", "train", "test", "test"])
    with pytest.raises(DataError, match=r"1 patients .* first p0: .*allow_shared_patients"):
        table.check_patients()
