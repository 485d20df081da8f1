"""Columns of a table: numbers only where a number says the same as the text."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from graphret._errors import DataError
from graphret._labels import is_missing
from graphret.data.chexpert import parse_chexpert_table
from graphret.data.columns import (
    further_column,
    label_matrix,
    names_of,
    numbers,
    text_column,
    whole_numbers,
)
from graphret.data.nih import parse_nih_table

EXACT = 2**53
KINDS = {
    "whole numbers": (["7", "-12", "0"], "i"),
    "decimals": (["0.5", "-3.25", "12"], "f"),
    "of fixed width": (["0.10", "0.20", "1.00"], "f"),
    "without a digit before the point": ([".5", ".25"], "f"),
    "as pandas writes integers beside a missing one": (["57.0", "", "61.0"], "f"),
    "as Python writes small and large ones": (["1e-05", "2.5", "1e+16"], "f"),
    "missing in several ways": (["57", "N/A", "nan", "", "None"], "f"),
    "the largest integers": ([str(2**63 - 1), str(-(2**63))], "i"),
    "beyond a float, but integers": ([str(EXACT + 1), "1"], "i"),
    "leading zeros": (["000123", "000124"], "U"),
    "one leading zero": (["12", "07"], "U"),
    "zero before a decimal": (["07.5", "1.5"], "U"),
    "thirty digits": (["1" * 30, "2"], "U"),
    "5,000 digits": (["9" * 5000, "2"], "UT"),
    "too large by one": ([str(2**63), "2"], "U"),
    "beyond a float, one missing": ([str(EXACT + 1), ""], "U"),
    "beyond a float, one decimal": ([str(EXACT + 1), "0.5"], "U"),
    "more decimals than a float has": (["0.12345678901234567890", "1"], "U"),
    "a plus": (["+5", "6"], "U"),
    "minus zero": (["-0", "1"], "U"),
    "exponents by hand": (["1e5", "2e5"], "U"),
    "codes that look like exponents": (["12E3", "45E1"], "U"),
    "underscores": (["1_000", "2_000"], "U"),
    "a decimal comma": (["1,5", "2,5"], "U"),
    "hexadecimal": (["0x10", "0x11"], "U"),
    "other scripts": (["٣", "٤"], "U"),
    "infinity": (["inf", "1"], "U"),
    "too large for a float": (["1" + "0" * 400 + ".5", "1"], "UT"),
    "two texts of one number": (["1.1", "1.10"], "U"),
    "an integer and the same as a decimal": (["1", "1.0"], "U"),
    "true and false": (["True", "False"], "U"),
    "nothing at all": (["", "NaN"], "U"),
    "no rows": ([], "U"),
}


@pytest.mark.parametrize("case", KINDS)
def test_kinds_of_columns(case):
    texts, kind = KINDS[case]
    column = further_column(texts)
    assert column.dtype.kind in kind
    assert len(column) == len(texts)
    if column.dtype.kind in "UT":
        assert column.tolist() == texts
    else:
        for text, value in zip(texts, column.tolist(), strict=True):
            assert (np.isnan(value) and is_missing(text)) or Decimal(text) == Decimal(repr(value))


NUMERALS = st.one_of(
    st.integers(-(2**70), 2**70).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.decimals(allow_nan=False, allow_infinity=False, places=3).map(str),
    st.from_regex(r"\A[+-]?[0-9]{0,25}(\.[0-9]{0,25})?(e[+-]?[0-9]{1,3})?\Z"),
    st.sampled_from(["", "NaN", "n/a", "null", "abc", "٣"]),
)


@given(st.lists(NUMERALS, max_size=8))
@example(["0", "-0.0"])
@example([str(EXACT), str(EXACT + 1), ""])
def test_a_number_is_the_text_and_two_texts_are_never_one_number(texts):
    column = further_column(texts)
    if column.dtype.kind in "UT":
        assert column.tolist() == texts
        return
    seen = {}
    for text, value in zip(texts, column.tolist(), strict=True):
        if is_missing(text):
            assert np.isnan(value)
        else:
            assert Decimal(text) == Decimal(repr(value))
            assert seen.setdefault(value, text) == text


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1))
def test_integers_are_integers(values):
    column = further_column(list(map(str, values)))
    assert column.dtype == np.int64
    assert column.tolist() == values


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False).filter(lambda value: value != 0), min_size=1))
def test_floats_as_python_writes_them_are_floats(values):
    column = further_column(list(map(repr, values)))
    assert column.dtype == np.float64
    assert column.tolist() == values


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=400)))
def test_text_stays_and_its_memory_follows_it(texts):
    column = text_column(texts)
    assert column.tolist() == texts
    if column.dtype.kind == "U":
        assert column.nbytes <= max(4 * 128 * len(texts), 4 * 16 * sum(map(len, texts)), 4 * len(texts))


def test_other_helpers():
    assert whole_numbers(["12.0", "NaN", "7.00"]) == ["12", "NaN", "7"]
    assert whole_numbers(["012.0"]) == ["012.0"]
    assert whole_numbers([""]) == [""]
    np.testing.assert_array_equal(numbers(["1.5", "?", "", "1_0", "nan", "-0", " 7 "]), [1.5, *[np.nan] * 4, 0, 7])
    assert names_of("Edema;; nan;Mass", ";") == ["Edema", "Mass"]
    assert label_matrix([], "|", ["a"]).shape == (0, 1)
    assert label_matrix(["a|b", "b", "c", "a|b"], "|", ["b", "a"]).tolist() == [[1, 1], [1, 0], [0, 0], [1, 1]]


NIH = "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position\n"


def test_the_table_of_nih_through_pandas(tmp_path):
    """Integers beside a missing value come out as floats, missing values as nan or as nothing."""
    path = tmp_path / "Data_Entry_2017.csv"
    path.write_text(
        "," + NIH + "0,a.png,Edema|Mass,0.0,1.0,58.0,M,PA\n1,b.png,nan,3.0,12.0,nan,F,AP\n2,c.png,,,2.0,,M,PA\n",
        encoding="utf-8",
    )
    records = parse_nih_table(path)
    assert records.patients == ["1", "12", "2"]
    assert records.columns["follow_up"].tolist() == [0, 3, 0]
    np.testing.assert_array_equal(records.columns["age"], [58, np.nan, np.nan])
    assert records.labels.sum(axis=1).tolist() == [2, 0, 0]
    path.write_text(NIH + "a.png,Edema,first,1,58,M,PA\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"Follow-up # is 'first' .* give a whole number"):
        parse_nih_table(path)


def test_the_table_of_nih_shifted_by_a_comma_is_refused(tmp_path):
    path = tmp_path / "Data_Entry_2017.csv"
    path.write_text(NIH + "a.png,Edema,0,1,58,M,PA\nb.png,Edema,Mass,0,1,58,M,PA\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"line 3 .* has 8 values, its header 7"):
        parse_nih_table(path)


def test_the_table_of_chexpert_through_pandas(tmp_path):
    names = (
        "Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Enlarged Cardiomediastinum,Cardiomegaly,Lung Opacity,"
        "Lung Lesion,Edema,Consolidation,Pneumonia,Atelectasis,Pneumothorax,Pleural Effusion,"
        "Pleural Other,Fracture,Support Devices"
    )
    path = tmp_path / "train.csv"
    path.write_text(f"{names}\na.jpg,Female,68.0,Frontal,AP,nan,1.0,-1.0,0.0" + ",NaN" * 10 + "\n", encoding="utf-8")
    records = parse_chexpert_table(path)
    assert records.labels[0].tolist() == [0, 1, -1, *[0] * 11]
    assert records.columns["age"].tolist() == [68]
