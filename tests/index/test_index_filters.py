"""Filters compare in the type of the column: texts with texts, numbers with numbers, to the last digit."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from graphret._errors import InvalidParameterError
from graphret.cli.query import _filters
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
}
LOOKUP = FilmLookup(
    lambda: ImageTable(
        ids=["a", "b", "c"], paths=[], labels=[], label_names=(), patients=["01", "1", "2"], columns=COLUMNS
    )
)


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
    ("entry", "rows"),
    [
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
    where = _filters(SimpleNamespace(films=LOOKUP.films), [entry])
    assert np.flatnonzero(allowed_films(LOOKUP, where)).tolist() == rows
