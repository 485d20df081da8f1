"""What a query of the command line asks for: films, folders of films, or ids."""

import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphret._errors import FilmError, GraphretError
from graphret.cli.films import say_left_out

if TYPE_CHECKING:
    from graphret.cli.reporting import Reporter

__all__ = ["AskedFilms"]


@dataclass
class AskedFilms:
    """Films that are asked for: those that the user named, and those that were found in folders.

    A film of a folder that cannot be read is a problem that is reported; one that was named ends the command.

    Parameters
    ----------
    paths
        All of them, those of a folder in the place of the folder.
    named
        Names of those that must be readable.
    others
        What is no film in the folders, as JSON values: path, reason, n_files, is_film.
    unreadable
        Films of the folders that could not be read, in the same form.
    """

    paths: list[Path] = field(default_factory=list)
    named: set[str] = field(default_factory=set)
    others: list[dict[str, Any]] = field(default_factory=list)
    unreadable: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def of(cls, given: list[str], reporter: "Reporter", *, folders: bool = True) -> "AskedFilms":
        """Look into ``folders``, by the rules of a data set of folders, and say what is no film there.

        Raises
        ------
        DataError
            A folder holds no films.
        """
        from graphret.data import read_unlabelled

        asked = cls()
        for name in given:
            if not folders or not os.path.isdir(name):  # noqa: PTH112 - a name with a zero byte is no folder
                asked.paths.append(Path(name))
                asked.named.add(str(Path(name)))
                continue
            films = read_unlabelled(name)
            say_left_out(films, reporter)
            reporter.note(f"{len(films)} films in {name}")
            asked.paths += map(Path, films.paths.tolist())
            for problem in films.problems:
                values = asdict(problem)
                del values["id"]
                asked.others.append(values)
        return asked

    def leave_out(self, name: str, error: GraphretError) -> None:
        """Note a film of a folder that cannot be read; raise the error of one that was named."""
        if name in self.named:
            raise error
        reason = error.reason if isinstance(error, FilmError) else str(error)
        self.unreadable.append({"path": name, "reason": reason, "n_files": 1, "is_film": True})

    def say_unreadable(self, reporter: "Reporter") -> None:
        """Note how many films of the folders could not be read, with the first of them."""
        if self.unreadable:
            first = self.unreadable[0]
            number = len(self.unreadable)
            reporter.note(f"{number} films could not be asked for, first {first['path']}: {first['reason']}")
