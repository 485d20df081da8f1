"""Anyone's table: one row a film, columns named by the card."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._errors import DataError
from graphret.data.records import Folders, Records, TableFile, find_table, label_matrix
from graphret.data.splits import SPLITS
from graphret.data.table import FilmProblem

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from graphret.data.cards import Card

__all__ = ["read_csv"]

_FIELDS = ("id", "path", "labels", "patient", "view", "split")


def read_csv(card: Card, root: Path) -> Records:
    """Read a table of films; paths are absolute or relative to ``root`` (or to one of the card's image folders).

    Columns that the card does not name become further columns: integers or numbers where every value is one, else text.

    Raises
    ------
    MissingFileError
        The folder or the table is not there.
    DataError
        A column is missing, a value is not allowed, or none of the films is there.
    """
    path = find_table(root, card.files.tables or ("films.csv", "labels.csv"), "table of films")
    table = TableFile(path)
    places = _places(card, table)
    if "path" not in places:
        raise DataError(f"the table {path} has no column path: its header is {table.header}; name yours in [columns]")
    rows = [[value.strip() for value in row] for row in table.rows()]
    label_names, labels, label_columns = _labels(card, table, places, rows)
    texts = {name: [row[place] for row in rows] for name, place in places.items()}
    used = {*places.values(), *label_columns}
    records = Records(
        ids=texts.get("id", texts["path"]),
        labels=labels,
        label_names=label_names,
        patients=texts.get("patient", [""] * len(rows)),
        views=texts.get("view", [""] * len(rows)),
        splits=_splits(path, texts.get("split", [""] * len(rows))),
        columns={
            name: _further([row[place] for row in rows])
            for place, name in enumerate(table.header)
            if place not in used and name and name not in _FIELDS
        },
    )
    folders = Folders()
    kept = []
    for number, (film, text) in enumerate(zip(records.ids, texts["path"], strict=True)):
        places_to_look = [root / image / text for image in card.files.images]
        found = [place for place in places_to_look if not folders.problem(place)]
        records.paths.append(str(found[0] if found else places_to_look[0]))
        if found:
            kept.append(number)
        else:
            records.problems.append(FilmProblem(film, records.paths[-1], folders.problem(places_to_look[0])))
    if not kept:
        first = f"; first {records.paths[0]}: {records.problems[0].reason}" if records.problems else ""
        raise DataError(f"none of the {len(rows)} films of {path} can be used{first}")
    records.keep(kept)
    return records


def _places(card: Card, table: TableFile) -> dict[str, int]:
    """Position of every field's column: the card's name must be there, the field's own name may be."""
    places = {}
    for name in _FIELDS:
        named = getattr(card.columns, name)
        if named:
            places[name] = table.position(named)
        elif name in table.header:
            places[name] = table.header.index(name)
    return places


def _labels(
    card: Card, table: TableFile, places: dict[str, int], rows: list[list[str]]
) -> tuple[tuple[str, ...], NDArray[np.int8], list[int]]:
    """Names, int8 matrix, and the positions of label columns."""
    sources = tuple(dict.fromkeys(source for label in card.labels for source in card.sources(label)))
    if "labels" in places:
        texts = [row[places["labels"]] for row in rows]
        seen = {name.strip() for text in set(texts) for name in text.split(card.columns.separator)}
        names = sources or tuple(sorted(seen - {"", card.healthy}))
        return names, label_matrix(texts, card.columns.separator, names), []
    if not sources:
        raise DataError(
            f"the table {table.path} has no column labels, and the card {card.name!r} names no labels: write a card "
            'with labels = ["...", ...] for columns of that name'
        )
    positions = [table.position(source) for source in sources]
    spellings = {
        **dict.fromkeys(card.columns.negative, 0),
        **dict.fromkeys(card.columns.positive, 1),
        **dict.fromkeys(card.columns.uncertain, -1),
    }
    matrix = np.zeros((len(rows), len(sources)), dtype=np.int8)
    for number, row in enumerate(rows):
        for column, place in enumerate(positions):
            if row[place] not in spellings:
                raise DataError(
                    f"{table.path}: {sources[column]} of film {row[places['path']]} is {row[place]!r}: give one of "
                    f"{', '.join(map(repr, spellings))}, or name your values in [columns]"
                )
            matrix[number, column] = spellings[row[place]]
    return sources, matrix, positions


def _splits(path: Path, splits: list[str]) -> list[str]:
    splits = ["valid" if split in {"val", "validation"} else split for split in splits]
    unknown = sorted(set(splits) - {*SPLITS, ""})
    if unknown:
        raise DataError(f"{path}: split {unknown[0]!r} is not known: give one of {', '.join(SPLITS)}")
    return splits


def _further(texts: list[str]) -> NDArray[Any]:
    for kind in (np.int64, np.float64):
        try:
            return np.array(texts, dtype=np.str_).astype(kind)
        except (ValueError, OverflowError):
            continue
    return np.array(texts, dtype=np.str_)
