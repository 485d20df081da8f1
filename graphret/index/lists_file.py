"""The file of the marks and notes that users of the service make: where it lies, and how films are taken out of it."""

from __future__ import annotations

import os
import re
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from graphret._errors import StoreError
from graphret.files import open_plain

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

__all__ = ["LISTS_SCHEMA", "LISTS_VERSION", "lists_file", "remove_marks"]

LISTS_VERSION = 1
LISTS_SCHEMA = """
CREATE TABLE IF NOT EXISTS lists (
    number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, created TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS marks (
    list INTEGER NOT NULL REFERENCES lists (number) ON DELETE CASCADE,
    index_name TEXT NOT NULL, query TEXT NOT NULL, film TEXT NOT NULL,
    relevance INTEGER, note TEXT NOT NULL, changed TEXT NOT NULL,
    PRIMARY KEY (list, index_name, query, film));
"""
_WAITS = 10.0
"""Seconds that a service may take to end what it writes."""


def lists_file(root: Path) -> Path:
    """Return the file of the marks of an index, beside it, where the service is told no other.

    Examples
    --------
    >>> from pathlib import Path
    >>> lists_file(Path("indexes/mine")).as_posix()
    'indexes/mine-lists.sqlite'
    """
    return root.with_name(f"{root.name}-lists.sqlite")


def remove_marks(
    path: Path, index_name: str, films: Collection[str], names_patient: Callable[[str], bool]
) -> tuple[int, int]:
    """Remove the marks of some films, as hits and as queries, so that their bytes are in no page of the file.

    Parameters
    ----------
    path
        The file.
    index_name
        Of the folder of the index: marks of other indexes stay.
    films
        Ids.
    names_patient
        Whether a text names the patient: other notes and names of lists that do are counted, and stay.

    Returns
    -------
    tuple
        How many marks were removed, and how many texts that name the patient are left.

    Raises
    ------
    StoreError
        The file cannot be read or written, is no plain file, or of another version of graphret.
    """
    served = re.compile(rf"{re.escape(index_name)}(-\d+)?")  # two that are called alike are served with a number
    try:
        os.close(open_plain(path))
        with closing(sqlite3.connect(str(path), timeout=_WAITS)) as connection:
            if connection.execute("PRAGMA user_version").fetchone()[0] != LISTS_VERSION:
                raise StoreError(
                    f"the marks in {path} were written by another version of graphret: purge with that version, or "
                    "remove the file, which holds the marks of all films"
                )
            connection.execute("PRAGMA secure_delete = ON")
            with connection:
                marks = connection.execute("SELECT rowid, index_name, query, film, note FROM marks").fetchall()
                gone = {
                    row
                    for row, index, query, film, _ in marks
                    if served.fullmatch(index) and (query in films or film in films)
                }
                connection.executemany("DELETE FROM marks WHERE rowid = ?", [(row,) for row in sorted(gone)])
                texts = [note for row, *_, note in marks if row not in gone]
                texts += [name for (name,) in connection.execute("SELECT name FROM lists")]
            connection.execute("VACUUM")  # pages that earlier changes have left free
    except (sqlite3.Error, OSError) as error:
        raise StoreError(
            f"the marks of the patient's films cannot be removed from {path}: {error}; the index was left as it is, "
            "mend this and purge again"
        ) from error
    return len(gone), sum(map(names_patient, texts))
