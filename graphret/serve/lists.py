"""Lists that a user keeps: films marked for a query, as relevant or not, with notes. SQLite, outside of the index."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from graphret._errors import InvalidParameterError, StoreError
from graphret.index.lists_file import LISTS_SCHEMA, LISTS_VERSION
from graphret.serve.words import NotThereError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Lists", "UnknownListError"]

LONGEST_NAME, LONGEST_NOTE, MOST_MARKS, MOST_LISTS = 100, 4000, 100_000, 1000


class UnknownListError(NotThereError):
    """There is no list of this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"list={name[:60]!r} is not the name of a list")


class Lists:
    """Marks of films by list, in one SQLite file that is made at the first mark.

    Parameters
    ----------
    path
        The file; its folder must be there.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> lists = Lists(Path(tempfile.mkdtemp()) / "lists.sqlite")
    >>> lists.mark("teaching", "nih", "query.png", "hit.png", relevance=1, note="clear")
    >>> [(mark["film"], mark["relevance"]) for mark in lists.marks("teaching")]
    [('hit.png', 1)]
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()

    def mark(
        self, name: str, index: str, query: str, film: str, *, relevance: int | None = None, note: str | None = ""
    ) -> None:
        """Mark a film for a query, in the place of the mark that is there; the list is made where it is not there.

        Parameters
        ----------
        name
            Of the list.
        index, query, film
            Names of index, query and film.
        relevance
            0 not relevant, 1 relevant, 2 very; None: a note alone. Without a note too, the mark is removed.
        note
            A text; None leaves the one that is there.

        Raises
        ------
        InvalidParameterError
            A relevance that is not allowed, a name or a note that is empty or too long, or too many marks.
        StoreError
            The file cannot be written to.
        """
        _check_text("list", name, LONGEST_NAME)
        if "/" in name:
            raise InvalidParameterError("list", name, "a name without /")
        for what, value in (("query", query), ("film", film)):
            _check_text(what, value, 1000)
        if relevance is not None and (isinstance(relevance, bool) or relevance not in {0, 1, 2}):
            raise InvalidParameterError("relevance", relevance, "0 (not relevant), 1 (relevant), 2 (very), or nothing")
        if note is not None and len(note) > LONGEST_NOTE:
            raise InvalidParameterError("note", f"{len(note)} characters", f"at most {LONGEST_NOTE}")
        now = datetime.now(UTC).isoformat(timespec="seconds")
        with self._open(make=True) as connection:
            known = connection.execute("SELECT number FROM lists WHERE name = ?", (name,)).fetchone()
            if known is None:
                if connection.execute("SELECT count(*) FROM lists").fetchone()[0] >= MOST_LISTS:
                    raise InvalidParameterError("list", name, f"at most {MOST_LISTS} lists", "remove one first")
                number = connection.execute("INSERT INTO lists (name, created) VALUES (?, ?)", (name, now)).lastrowid
            else:
                number = known[0]
            key = (number, index, query, film)
            if note is None:
                of_film = "list = ? AND index_name = ? AND query = ? AND film = ?"
                there = connection.execute(f"SELECT note FROM marks WHERE {of_film}", key).fetchone()  # noqa: S608
                note = "" if there is None else str(there[0])
            if relevance is None and not note:
                connection.execute(
                    "DELETE FROM marks WHERE list = ? AND index_name = ? AND query = ? AND film = ?", key
                )
                return
            if connection.execute("SELECT count(*) FROM marks").fetchone()[0] >= MOST_MARKS:
                raise InvalidParameterError("list", name, f"at most {MOST_MARKS:,} marks", "export and remove a list")
            connection.execute(
                "INSERT OR REPLACE INTO marks VALUES (?, ?, ?, ?, ?, ?, ?)", (*key, relevance, note, now)
            )

    def names(self) -> list[dict[str, Any]]:
        """Return the lists: name, created, and how many marks they have."""
        with self._open() as connection:
            rows = connection.execute(
                "SELECT name, created, count(film) FROM lists LEFT JOIN marks ON list = number "
                "GROUP BY number ORDER BY name"
            ).fetchall()
        return [dict(zip(("name", "created", "marks"), row, strict=True)) for row in rows]

    def marks(self, name: str) -> list[dict[str, Any]]:
        """Return the marks of a list, by index, query and film: index, query, film, relevance, note, changed.

        Raises
        ------
        UnknownListError
            There is no such list.
        """
        with self._open() as connection:
            known = connection.execute("SELECT number FROM lists WHERE name = ?", (name,)).fetchone()
            if known is None:
                raise UnknownListError(name)
            rows = connection.execute(
                "SELECT index_name, query, film, relevance, note, changed FROM marks WHERE list = ? "
                "ORDER BY index_name, query, film",
                known,
            ).fetchall()
        fields = ("index", "query", "film", "relevance", "note", "changed")
        return [dict(zip(fields, row, strict=True)) for row in rows]

    def remove(self, name: str) -> None:
        """Remove a list with its marks; raises as `marks`."""
        self.marks(name)
        with self._open() as connection:
            connection.execute("DELETE FROM lists WHERE name = ?", (name,))

    @contextmanager
    def _open(self, *, make: bool = False) -> Iterator[sqlite3.Connection]:
        """One transaction; an empty database in memory where there is no file and none is to be made."""
        place = str(self.path) if make or self.path.is_file() else ":memory:"
        with self._lock:
            try:
                connection = sqlite3.connect(place, timeout=10)
            except sqlite3.Error as error:
                raise self._failure(error) from error
            try:
                version = connection.execute("PRAGMA user_version").fetchone()[0]
                if version not in {0, LISTS_VERSION}:
                    raise StoreError(f"the lists in {self.path} were written by another version of graphret")
                connection.execute("PRAGMA foreign_keys = ON")
                if version == 0:
                    connection.executescript(f"{LISTS_SCHEMA} PRAGMA user_version = {LISTS_VERSION};")
                with connection:
                    yield connection
            except sqlite3.Error as error:
                raise self._failure(error) from error
            finally:
                connection.close()

    def _failure(self, error: sqlite3.Error) -> StoreError:
        return StoreError(f"marks and notes cannot be kept in {self.path}: {error} (choose another file: --lists FILE)")


def _check_text(name: str, value: str, longest: int) -> None:
    if not value.strip() or len(value) > longest or not value.isprintable():
        raise InvalidParameterError(name, value, f"a text of 1 to {longest} printable characters")
