"""The value of every query in every row of a comparison: what questions over several reports are answered from.

A report's JSON holds means and intervals only. Beside ``NAME.json`` stands ``NAME_values.npz``: measures by row, seed
and query, and a number for every patient. Neither ids of films nor names of patients are in it.
"""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from graphret._errors import DataError
from graphret.files import write_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from graphret._types import Float32Array, Float64Array, Int32Array
    from graphret.comparison.rows import MeasuredRow

__all__ = ["QueryValues", "gather_values", "read_values", "values_path", "write_values"]


@dataclass(frozen=True, eq=False)
class QueryValues:
    """Values of every query.

    Parameters
    ----------
    rows, measures
        Names, r and m of them.
    seeds
        The s seeds of the rows.
    patients
        int32 (q,), a number for the patient of every query.
    values
        float32 (r, m, s, q); NaN where a measure is undefined.
    """

    rows: tuple[str, ...]
    measures: tuple[str, ...]
    seeds: tuple[int, ...]
    patients: Int32Array
    values: Float32Array

    def of(self, row: str, measure: str) -> Float64Array:
        """Values of one row and measure, float64 (s, q)."""
        place = self.rows.index(row), self.measures.index(measure)
        values: Float64Array = self.values[place].astype(np.float64)
        return values


def gather_values(rows: Sequence[MeasuredRow], patients: Sequence[str], seeds: Sequence[int]) -> QueryValues:
    """Take the values of all measured rows.

    Parameters
    ----------
    rows
        Those with figures are taken.
    patients
        Of the queries; they are numbered in the order of their first query.
    seeds
        Of the rows, in the order of `MeasuredRow.seed_values`.
    """
    measured = [row for row in rows if row.values]
    measures = tuple(measured[0].values) if measured else ()
    number = {name: place for place, name in enumerate(dict.fromkeys(patients))}
    values = np.full((len(measured), len(measures), len(seeds), len(patients)), np.nan, dtype=np.float32)
    for place, row in enumerate(measured):
        for column, measure in enumerate(measures):
            values[place, column] = row.seed_values.get(measure, row.values[measure][None, :])
    numbered = np.array([number[name] for name in patients], dtype=np.int32)
    return QueryValues(tuple(row.name for row in measured), measures, tuple(seeds), numbered, values)


def values_path(report: Path) -> Path:
    """Where the values of a report stand: beside ``NAME.json`` or ``NAME.json.gz``.

    Examples
    --------
    >>> from pathlib import Path
    >>> values_path(Path("runs/comparison.json.gz")).name
    'comparison_values.npz'
    """
    return report.with_name(f"{report.name.removesuffix('.gz').removesuffix('.json')}_values.npz")


def write_values(path: Path, values: QueryValues) -> None:
    """Write values of queries, whole or not at all."""
    head = {"rows": values.rows, "measures": values.measures, "seeds": values.seeds}
    content = io.BytesIO()
    np.savez_compressed(
        content,
        head=np.frombuffer(json.dumps(head).encode(), np.uint8),
        patients=values.patients,
        values=values.values,
    )
    write_file(path, content.getvalue())


def read_values(path: Path) -> QueryValues | None:
    """Read values of queries; None where there is no such file.

    Raises
    ------
    DataError
        The file is damaged, or not as `write_values` makes it.
    """
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as stored:
            head = json.loads(stored["head"].tobytes())
            patients, values = stored["patients"], stored["values"]
        found = QueryValues(tuple(head["rows"]), tuple(head["measures"]), tuple(head["seeds"]), patients, values)
        shape = len(found.rows), len(found.measures), len(found.seeds), len(patients)
        if values.shape != shape or values.dtype != np.float32:
            raise ValueError(f"values of shape {values.shape} in the place of {shape}")
    except (OSError, ValueError, EOFError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} cannot be read as values of queries: {error}: write the report again") from error
    return found
