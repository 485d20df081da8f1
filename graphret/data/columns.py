"""From the texts of a table to columns: labels, numbers that are numbers, and text that stays as it is written."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._labels import is_missing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = [
    "ages",
    "further_column",
    "is_text",
    "label_matrix",
    "names_of",
    "numbers",
    "numbers_of",
    "text_column",
    "whole_numbers",
]

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"-?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)")
_PANDAS_INTEGER = re.compile(r"(0|[1-9][0-9]*)\.0+")
_EXACT_DIGITS = 15  # decimal digits that every float64 keeps
_AGE_UNITS = {"Y": 1.0, "M": 12.0, "W": 365.25 / 7, "D": 365.25}
_SHORT, _TIMES_THE_MEAN = 128, 16
_INT64 = np.iinfo(np.int64)


def is_text(values: NDArray[Any]) -> bool:
    """Whether a column holds text, of fixed (``numpy.str_``) or variable width (``StringDType``)."""
    return values.dtype.kind in "UT"


def text_column(texts: Sequence[str]) -> NDArray[Any]:
    """Return texts as an array (n,): ``numpy.str_``, or ``StringDType`` where one long text would set the width of all.

    Fixed width up to 128 characters or 16 times the mean; so the memory follows the texts, not the longest of them.

    Examples
    --------
    >>> text_column(["PA", "AP"]).dtype, text_column(["PA"] * 1000 + ["x" * 5000]).dtype
    (dtype('<U2'), StringDType())
    """
    longest = max(map(len, texts), default=0)
    if longest <= _SHORT or longest * len(texts) <= _TIMES_THE_MEAN * sum(map(len, texts)):
        return np.array(texts, dtype=np.str_)
    return np.array(texts, dtype=np.dtypes.StringDType())


def numbers_of(chunks: Any) -> NDArray[Any]:
    """Copy a column of numbers out of Arrow; its own `to_numpy` imports pandas, which takes longer than a query."""
    if chunks.null_count or str(chunks.type) == "bool" or not chunks.num_chunks:  # bools are bits there
        return np.asarray(chunks.to_numpy())
    return np.concatenate([np.from_dlpack(chunk) for chunk in chunks.chunks])


def further_column(texts: Sequence[str]) -> NDArray[Any]:
    """Return a column as int64 or float64 if every value is a number that survives the round trip, else as text.

    A value survives if writing the number gives the value back, up to zeros at the end of decimals: ``-3``, ``0.5``,
    ``57.0``, ``0.10``. These do not: ``000123``, ``+5``, ``1_000``, thirty digits, decimals beyond a float64, and
    ``1e5`` (exponents are numbers only where Python itself writes them, as in ``1e-05``). Two different texts
    never become one number: a column of ``1.1`` and ``1.10`` is text. Missing values (`MISSING`) are NaN in a column of
    floats; an integer beyond 2^53 beside a missing value makes it text.

    Examples
    --------
    >>> further_column(["7", "-12"]).dtype, further_column(["0.5", "n/a"]), further_column(["007", "8"])
    (dtype('int64'), array([0.5, nan]), array(['007', '8'], dtype='<U3'))
    """
    present = {text for text in texts if not is_missing(text)}
    if present and all(map(_is_number, present)):
        has_all = not any(map(is_missing, texts))
        if has_all and all(len(text) <= 20 and _INTEGER.fullmatch(text) for text in present):
            values = {text: int(text) for text in present}
            if all(_INT64.min <= value <= _INT64.max for value in values.values()):
                return np.array([values[text] for text in texts], dtype=np.int64)
        floats = {text: float(text) for text in present}
        if len(set(floats.values())) == len(present) and all(map(_is_exact, present)):
            return np.array([floats.get(text, np.nan) for text in texts], dtype=np.float64)
    return text_column(texts)


def _is_number(text: str) -> bool:
    if _DECIMAL.fullmatch(text):
        return text != "-0"
    if "e" not in text:
        return False
    try:
        return repr(float(text)) == text
    except ValueError:
        return False


def _is_exact(text: str) -> bool:
    return len(text) <= _EXACT_DIGITS or Decimal(text) == Decimal(repr(float(text)))


def numbers(texts: Sequence[str]) -> NDArray[np.float32]:
    """Numbers from a column of text, NaN where there is none."""
    values = {
        text: float(text) if _DECIMAL.fullmatch(text.strip()) or _is_number(text.strip()) else np.nan
        for text in set(texts)
    }
    return np.array([values[text] for text in texts], dtype=np.float32)


def ages(texts: Sequence[str]) -> NDArray[np.float32]:
    """Return ages in years, as DICOM writes them ("058Y", "013M", "020D") or as plain numbers; NaN for any other text.

    Examples
    --------
    >>> ages(["058Y", "006M", "31", ""])
    array([58. ,  0.5, 31. ,  nan], dtype=float32)
    """
    years = {}
    for text in set(texts):
        unit = _AGE_UNITS.get(text[-1:], 1.0)
        digits = text.rstrip("YMWD")
        years[text] = float(digits) / unit if digits.replace(".", "", 1).isdigit() else np.nan
    return np.array([years[text] for text in texts], dtype=np.float32)


def whole_numbers(texts: Sequence[str]) -> list[str]:
    """Take the ``.0`` off where it stands behind every value: pandas writes integers so if one of them is missing.

    Examples
    --------
    >>> whole_numbers(["12.0", "", "7.0"]), whole_numbers(["12.0", "7.1"])
    (['12', '', '7'], ['12.0', '7.1'])
    """
    present = [text for text in texts if not is_missing(text)]
    if not present or not all(map(_PANDAS_INTEGER.fullmatch, present)):
        return list(texts)
    return [text if is_missing(text) else text.partition(".")[0] for text in texts]


def names_of(text: str, separator: str, known: Sequence[str] = ()) -> list[str]:
    """Names in a cell of labels; a missing value (`MISSING`) is none, unless it is one of the ``known`` names.

    Examples
    --------
    >>> names_of("Edema| Mass", "|"), names_of("NaN", "|"), names_of("NA", "|", known=["NA"])
    (['Edema', 'Mass'], [], ['NA'])
    """
    names = (name.strip() for name in text.split(separator))
    return [name for name in names if name in known or not is_missing(name)]


def label_matrix(texts: Sequence[str], separator: str, label_names: Sequence[str]) -> NDArray[np.int8]:
    """Turn texts such as "Edema|Mass" into an int8 (n, L) matrix; names outside ``label_names`` are passed over."""
    places = {name: number for number, name in enumerate(label_names)}
    combinations: dict[str, int] = {}
    rows = [combinations.setdefault(text, len(combinations)) for text in texts]
    matrix = np.zeros((len(combinations), len(label_names)), dtype=np.int8)
    for row, text in enumerate(combinations):
        for name in text.split(separator):
            if name.strip() in places:
                matrix[row, places[name.strip()]] = 1
    return matrix[rows] if rows else matrix
