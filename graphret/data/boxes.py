"""Boxes that readers drew around findings: the column "boxes" of a table."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from graphret._errors import DataError
from graphret.data.columns import text_column
from graphret.data.table_file import LONGEST_NAME, TableFile

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from graphret._types import Float64Array
    from graphret.data.splits import StrArray

__all__ = ["nih_boxes", "parse_boxes"]

_NIH_SIDE = 1024
"""Side in px of the films of ChestX-ray14, in which its boxes are given."""
_NIH_NAMES = {"Infiltrate": "Infiltration"}
"""What the list of boxes calls otherwise than the table of labels does."""


def nih_boxes(path: Path, films: Sequence[str]) -> StrArray:
    """Column of the boxes of ``BBox_List_2017.csv`` (plain or .gz): 984 boxes on 880 films of ChestX-ray14.

    Parameters
    ----------
    path
        The list: film, finding, left, top, width and height in px of the 1,024 px films.
    films
        Ids of the table.

    Returns
    -------
    ndarray
        Text (n,), read by `parse_boxes`; "" for a film without a box.

    Raises
    ------
    DataError
        A column is missing, or a box is none: not four numbers, or not on the film.
    """
    table = TableFile(path)
    film, finding = (table.position(name) for name in ("Image Index", "Finding Label"))
    places = [table.position(name) for name in ("Bbox [x", "y", "w", "h]")]
    texts: dict[str, list[str]] = {}
    for row in table.rows(dict.fromkeys((film, finding), LONGEST_NAME)):
        name = row[finding].strip()
        try:
            numbers = [float(row[place]) for place in places]
        except ValueError:
            numbers = [math.nan] * 4
        left, top, width, height = numbers
        inside = 0 <= left < left + width <= _NIH_SIDE and 0 <= top < top + height <= _NIH_SIDE
        if not inside or not name or "|" in name or ":" in name:
            raise DataError(
                f"line {table.line} of {path}: {row[finding]!r} with {[row[place] for place in places]} is no box: "
                f"give a finding, and left, top, width and height in px of a film of {_NIH_SIDE} px"
            )
        shares = ",".join(f"{number / _NIH_SIDE:.5f}" for number in numbers)
        texts.setdefault(row[film].strip(), []).append(f"{_NIH_NAMES.get(name, name)}:{shares}")
    return text_column(["|".join(texts.get(name, [])) for name in films])


def parse_boxes(text: str) -> dict[str, Float64Array]:
    """Boxes of one film by finding, from a cell of the column "boxes".

    Returns
    -------
    dict of str to float64 (n, 4)
        Left, top, width, height as shares of the film's width and height.

    Raises
    ------
    DataError
        The text is not what a reader wrote.

    Examples
    --------
    >>> parse_boxes("Mass:0.1,0.2,0.3,0.4|Nodule:0.5,0.5,0.1,0.1")["Nodule"].tolist()
    [[0.5, 0.5, 0.1, 0.1]]
    """
    boxes: dict[str, list[list[float]]] = {}
    for part in text.split("|") if text else []:
        name, _, shares = part.rpartition(":")
        try:
            numbers = [float(share) for share in shares.split(",")]
        except ValueError:
            numbers = []
        if not name or len(numbers) != 4:
            raise DataError(f"{part!r} is no box: give FINDING:LEFT,TOP,WIDTH,HEIGHT")
        boxes.setdefault(name, []).append(numbers)
    return {name: np.array(rows, dtype=np.float64) for name, rows in boxes.items()}
