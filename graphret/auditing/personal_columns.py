"""Columns of a table whose names or values look like personal data."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from graphret._labels import is_missing
from graphret.data.columns import is_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from graphret.data import ImageTable

__all__ = ["PATTERNS", "suspicious_columns"]

PATTERNS = {
    "a person's name": re.compile(
        r"[^\W\d_]+\^[^\W\d_]+|\b(?:Mr|Mrs|Ms|Miss|Dr|Prof|Herr|Frau|Mme|Mlle)\.? [A-Z]|"
        r"(?<![^\W\d_])[A-Z][a-z]{2,}[ ,_]+[A-Z][a-z]{2,}(?![^\W\d_])|(?<![^\W\d_])[A-Z]{3,}[_^,][A-Z]{3,}(?![^\W\d_])"
    ),
    "an e-mail address": re.compile(r"[\w.+-]+@[\w-]+\.[\w.]+"),
    "a telephone number": re.compile(r"(?<![\w.])\+?\d[\d ()/-]{6,}\d(?![\w.])(?<=\d[ /)-]\d{4})"),
    "a full date": re.compile(
        r"(?<!\d)(?:19|20)\d\d[-./]?(?:0[1-9]|1[0-2])[-./]?(?:0[1-9]|[12]\d|3[01])(?!\d)|"
        r"(?<!\d)(?:0?[1-9]|[12]\d|3[01])[./](?:0?[1-9]|1[0-2])[./](?:19|20)\d\d(?!\d)"
    ),
    "a DICOM UID": re.compile(r"(?<![\w.])[012](?:\.\d+){5,}(?![\w.])"),
    "a long number": re.compile(r"(?<![\w.])\d{6,}(?![\w.])"),
}
_HASH = re.compile(r"[0-9a-f]{32,64}(#\d+)?")
_NAMES = re.compile(
    r"name|birth|dob\b|geburt|address|adresse|street|zip|phone|tele|mail|ssn|social.?sec|mrn\b|insur|accession|"
    r"physician|doctor|operator|institution|hospital|religion|ethnic|report|comment|remark|impression|text",
    re.IGNORECASE,
)
_FREE_TEXT_WORDS = 5
_FIRST = 5


def suspicious_columns(films: ImageTable) -> Iterator[tuple[str, str, int, list[int]]]:
    """Give, for each suspicion, the column, what it looks like, how many films, and the first five rows.

    Values are looked at, and never repeated. Salted hashes (32 to 64 hexadecimal digits) are none of it. Dates and
    paths are listed as what they are: whether they may stay is for the one who knows the archive.

    Notes
    -----
    O(n) texts for n films; each different text of a column is looked at once.
    """
    columns = {
        **{name: films.column(name) for name in ("id", "path", "patient", "view")},
        **films.columns,
        "label names": np.array(films.label_names, dtype=np.str_),
    }
    for name, values in columns.items():
        if _NAMES.search(name) and name not in {"path", "label names"}:
            rows = np.flatnonzero([not is_missing(str(value)) for value in values.tolist()])
            if rows.size:
                yield name, "called like personal data", int(rows.size), rows[:_FIRST].tolist()
        if is_text(values):
            yield from _by_values(name, values)


def _by_values(name: str, values: NDArray[np.str_]) -> Iterator[tuple[str, str, int, list[int]]]:
    texts, rows_of = np.unique(np.asarray(values.tolist(), dtype=object).astype(str), return_inverse=True)
    kinds = {kind: np.zeros(len(texts), dtype=bool) for kind in (*PATTERNS, "free text")}
    for place, text in enumerate(texts.tolist()):
        if _HASH.fullmatch(text):
            continue
        for kind, pattern in PATTERNS.items():
            kinds[kind][place] = pattern.search(text) is not None
        kinds["free text"][place] = len(text.split()) >= _FREE_TEXT_WORDS
    for kind, which in kinds.items():
        rows = np.flatnonzero(which[rows_of.reshape(-1)])
        if rows.size:
            yield name, f"values like {kind}", int(rows.size), rows[:_FIRST].tolist()
