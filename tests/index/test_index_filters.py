"""Filters compare in the type of the column: texts with texts, numbers with numbers, to the last digit."""

from __future__ import annotations

import numpy as np
import pytest

from graphret._errors import InvalidParameterError
from graphret.cli.where import parse_where
from graphret.data import ImageTable
from graphret.data.columns import text_column
from graphret.index.filters import allowed_films
from graphret.index.lookup import FilmLookup

EXACT = 2**53
COLUMNS = {
    "age": np.array([57, 61, 57]),
    "visit": np.array([EXACT, EXACT + 1, 3], dtype=np.int64),
    "small": np.array([0, 1, 255], dtype=np.uint8),
    "dose": np.array([0.1, np.nan, 1e16]),
    "years": np.array([0.1, 1.5, 57], dtype=np.float32),
    "accession": np.array(["007", "7", "1e5"]),
    "report": text_column(["short", "x" * 5000, "short"]),
    "told": np.array([True, False, True]),
    "taken": np.array(["2019-05-31", "2020-01-02", ""]),
    "age at exam": np.array(["058Y", "009Y", "101Y"]),
    "months": np.array(["058Y", "009M", "101Y"]),
    "day": np.array(["31.05.2019", "02.01.2020", "01.01.2018"]),
    "size>3": np.array([1, 2, 3]),
}
TABLE = ImageTable(
    ids=["a", "b", "c"],
    paths=[],
    labels=[[1, 0, 0], [0, -1, 0], [1, 1, 0]],
    label_names=("Edema", "Mass", "Cyst"),
    patients=["01", "1", "2"],
    columns=COLUMNS,
)
LOOKUP = FilmLookup(lambda: TABLE)


@pytest.mark.parametrize(
    ("column", "value", "rows"),
    [
        ("age", 57, [0, 2]),
        ("age", 57.0, [0, 2]),
        ("age", np.int8(61), [1]),
        ("age", [57, 61], [0, 1, 2]),
        ("visit", EXACT, [0]),
        ("visit", EXACT + 1, [1]),
        ("small", 255, [2]),
        ("dose", 0.1, [0]),
        ("dose", 10**16, [2]),
        ("years", 0.1, [0]),
        ("years", 57, [2]),
        ("years", np.float32(1.5), [1]),
        ("accession", "007", [0]),
        ("accession", "7", [1]),
        ("accession", np.str_("1e5"), [2]),
        ("report", "x" * 5000, [1]),
        ("report", "short", [0, 2]),
        ("patient", "1", [1]),
        ("told", np.True_, [0, 2]),
    ],
)
def test_filters_compare_in_the_type_of_the_column(column, value, rows):
    assert np.flatnonzero(allowed_films(LOOKUP, {column: value})).tolist() == rows


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("accession", 7, r"where\['accession'\]=7 .* text, as the column holds, as '007'"),
        ("patient", 1, r"text, as the column holds, as '01'"),
        ("report", 5.0, "text, as the column holds"),
        ("age", "57", "a number, as the column holds"),
        ("age", True, "a number, as the column holds"),
        ("age", np.True_, "a number, as the column holds"),
        ("age", None, "a number, as the column holds"),
        ("age", 57.5, "a whole number as an int"),
        ("visit", float(EXACT) * 2, "a whole number as an int"),
        ("age", float("inf"), "a number, as the column holds"),
        ("age", 10**400, "a number, as the column holds"),
        ("dose", float("nan"), "a number, as the column holds"),
        ("dose", "0.1", "a number, as the column holds"),
        ("dose", 0.2, "a value that some film has: 0.1"),
        ("told", 1, "True or False, as the column holds"),
        ("told", "True", "True or False, as the column holds"),
    ],
)
def test_a_filter_of_another_type_is_refused(column, value, message):
    with pytest.raises(InvalidParameterError, match=message):
        allowed_films(LOOKUP, {column: value})


@pytest.mark.parametrize(
    ("column", "given", "rows"),
    [
        ("age", {">=": 60}, [1]),
        ("age", {">": 57, "<=": 61}, [1]),
        ("age", {"<": 57.5}, [0, 2]),
        ("age", {"!=": 61}, [0, 2]),
        ("age", {"!=": [57]}, [1]),
        ("age", {"=": [57, 61], "<": 60}, [0, 2]),
        ("visit", {">": EXACT}, [1]),
        ("visit", {">=": EXACT + 1}, [1]),
        ("visit", {"<": 10**30}, [0, 1, 2]),
        ("visit", {">=": -(10**30)}, [0, 1, 2]),
        ("small", {"<": 300}, [0, 1, 2]),
        ("small", {">=": -1}, [0, 1, 2]),
        ("dose", {"<=": 0.1}, [0]),
        ("dose", {">": -1e299}, [0, 2]),
        ("dose", {"!=": 0.1}, [1, 2]),
        ("years", {">=": 0.1}, [0, 1, 2]),
        ("years", {">": 0.1}, [1, 2]),
        ("years", {"<": 1e299}, [0, 1, 2]),
        ("told", {"!=": True}, [1]),
        ("taken", {">=": "2019-12-31"}, [1]),
        ("taken", {"<": "2021-01-01"}, [0, 1]),
        ("taken", {"!=": "2019-05-31"}, [1, 2]),
        ("age at exam", {">": "058Y"}, [2]),
        ("accession", {"!=": "7"}, [0, 2]),
        ("id", {"!=": ["a", "b"]}, [2]),
        ("label", "Edema", [0, 2]),
        ("label", ["Edema", "Mass"], [0, 2]),
        ("label", "Mass", [2]),
        ("label", {"!=": "Mass"}, [0, 1]),
        ("label", {"=": "Edema", "!=": "Mass"}, [0]),
    ],
)
def test_ranges_and_labels(column, given, rows):
    assert np.flatnonzero(allowed_films(LOOKUP, {column: given})).tolist() == rows


@pytest.mark.parametrize(
    ("column", "given", "message"),
    [
        ("age", {">=": 62}, r"where\['age'\]\['>='\]=62 .* a range that some film is in: the column holds 57 to 61"),
        ("age", {">=": "60"}, "a number, as the column holds"),
        ("age", {">=": [60, 70]}, "a number, as the column holds"),
        ("age", {"=>": 60}, "one of !=, <, <=, =, >, >="),
        ("age", {"!=": 5}, "a value that some film has: 57, 61"),
        ("told", {"<": True}, "for a column of True and False"),
        ("accession", {">": "5"}, "'=' or '!=': the column holds text, which has no order"),
        ("months", {">": "058Y"}, "the column holds text, which has no order"),
        ("day", {">": "01.01.2019"}, "the column holds text, which has no order"),
        ("report", {">": "a"}, "the column holds text, which has no order"),
        ("taken", {">": "2019"}, "a text as the column holds, as '2019-05-31'"),
        ("taken", {">": 2019}, "a text as the column holds, as '2019-05-31'"),
        ("taken", {"<": "2000-01-01"}, "the column holds '2019-05-31' to '2020-01-02'"),
        ("label", {">": "Mass"}, "for labels"),
        ("label", "Mas", "one of Cyst, Edema, Mass .did you mean 'Mass'"),
        ("label", "Cyst", "a value that some film has: 'Edema', 'Mass'"),
        ("told", {"!=": [True, False]}, "no film would be left"),
    ],
)
def test_a_condition_that_cannot_be_met_is_refused(column, given, message):
    with pytest.raises(InvalidParameterError, match=message):
        allowed_films(LOOKUP, {column: given})


def test_a_column_that_is_called_label_is_asked_itself():
    table = ImageTable(["a", "b"], [], [[1], [0]], ("Edema",), columns={"label": ["left", "right"]})
    lookup = FilmLookup(lambda: table)
    assert np.flatnonzero(allowed_films(lookup, {"label": "right"})).tolist() == [1]
    assert parse_where(table, ["label=right"]) == {"label": ["right"]}


@pytest.mark.parametrize("entry", ["age", "=57", ">=57", "", "age57"])
def test_a_condition_without_a_comparison_is_refused_with_a_word_on_quotes(entry):
    with pytest.raises(InvalidParameterError, match="put it in quotes"):
        parse_where(TABLE, [entry])


def test_a_comparison_of_a_column_comes_once():
    with pytest.raises(InvalidParameterError, match="where='age>=3' is not allowed: give >= of a column once"):
        parse_where(TABLE, ["age>=2", "age>=3"])


@pytest.mark.parametrize(
    ("entry", "rows"),
    [
        ("age>=60", [1]),
        ("age >= 57.5", [1]),
        ("age<60", [0, 2]),
        ("age!=57", [1]),
        ("size>3=2", [1]),
        ("size>3>=2", [1, 2]),
        ("taken<2020-01-01", [0]),
        ("label=Edema", [0, 2]),
        ("label!=Edema", [1]),
        ("told!=true", [1]),
        ("age=57", [0, 2]),
        ("age=57.0", [0, 2]),
        (f"visit={EXACT + 1}", [1]),
        ("dose=0.1", [0]),
        ("years=0.1", [0]),
        ("accession=7", [1]),
        ("accession=007", [0]),
        ("report=short", [0, 2]),
        ("told=false", [1]),
        ("patient=01", [0]),
    ],
)
def test_filters_of_the_command_line_do_too(entry, rows):
    where = parse_where(LOOKUP.films, [entry])
    assert np.flatnonzero(allowed_films(LOOKUP, where)).tolist() == rows
