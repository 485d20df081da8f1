"""Whether a text names a patient, or one of the patient's films: by id, by path, or by the name of its file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from graphret.data import FilmProblem

__all__ = ["PatientNames"]

_LETTER = r"[^\W_]"
"""A letter or digit of any script: a name does not begin or end inside a word."""


class PatientNames:
    """Names of a patient and of the patient's films, to be found in texts.

    A film is named by its path, by its place below ``root``, or by the end of its path (``2020/film.dcm``,
    ``film.dcm``). An end that a film has that stays is not a name of the patient's film.

    Parameters
    ----------
    words
        The patient, and the ids of the films.
    paths, root
        Of the patient's films, and the folder of their data set; "" where there is none.
    staying
        Paths of the films of all other patients.

    Examples
    --------
    >>> names = PatientNames({"4711"}, ["/films/a/1.dcm"], root="/films", staying=["/films/b/1.dcm"])
    >>> [names.are_in(text) for text in ("as a/1.dcm", "as b/1.dcm", "as 1.dcm", "of 4711", "of 47110")]
    [True, False, False, True, False]
    """

    def __init__(self, words: Iterable[str], paths: Iterable[str], *, root: str, staying: Iterable[str]) -> None:
        gone = {_plain(path) for path in paths if path}
        files = {path.rpartition("/")[2] for path in gone}
        alike = [path for path in map(_plain, staying) if not files.isdisjoint(_ends(path.rpartition("/")[2]))]
        self._staying = {end for path in alike for end in _parts(path)}
        base = _plain(root).rstrip("/") + "/"
        below = {path.removeprefix(base) for path in gone if root and path.startswith(base)}
        exact = (gone | below) - set(alike) - {path.removeprefix(base) for path in alike}
        ends = {end for path in gone for end in _parts(path)}
        words = set(words)
        places = {word for word in words if _plain(word) in ends}  # ids that are paths
        self._exact = exact | set(map(_plain, places))
        self._words = _pattern(words - places, rf"(?<!{_LETTER})")
        self._names = _pattern(self._exact | (ends - self._staying), rf"(?<!{_LETTER})(?<!/)")

    def are_in(self, text: str) -> bool:
        """Whether a text names the patient or one of the films."""
        return self._words.search(text) is not None or self._names_film(text)

    def are_in_problem(self, problem: FilmProblem) -> bool:
        """Whether the id, the file or the reason of a problem names the patient or one of the films.

        An absolute path says which file is meant: one that is called like a film of the patient is another file.
        """
        place = (problem.id, problem.path)
        if any(self._words.search(text) or _plain(text) in self._exact for text in place):
            return True
        named = () if _plain(problem.path).startswith("/") else place
        return self.are_in(problem.reason) or any(map(self._names_film, named))

    def _names_film(self, text: str) -> bool:
        text = text.replace("\\", "/")
        return any(not self._is_of_another(text, found) for found in self._names.finditer(text))

    def _is_of_another(self, text: str, found: re.Match[str]) -> bool:
        """Whether the name is the end of a longer one, of a film that stays ("Copy of 1.dcm")."""
        return any(text[first : found.end()] in self._staying for first in range(found.start()))


def _plain(path: str) -> str:
    """A path without the frame, with the same slash everywhere."""
    return re.sub(r"#frame=[0-9]+$", "", path).replace("\\", "/")


def _parts(path: str) -> Iterator[str]:
    """A path, and all that is left of it when folders are taken away from its beginning."""
    yield path
    while "/" in path:
        path = path.partition("/")[2]
        if path:
            yield path


def _ends(name: str) -> Iterator[str]:
    """A name, and what is left of it behind every sign that is no letter."""
    yield name
    for sign in re.finditer(r"[\W_]", name):
        yield name[sign.end() :]


def _pattern(names: Iterable[str], before: str) -> re.Pattern[str]:
    """A pattern that finds whole names, the longest first; nothing where there are none."""
    found = "|".join(re.escape(name) for name in sorted(filter(None, names), key=len, reverse=True)) or "(?!)"
    return re.compile(rf"{before}(?:{found})(?!{_LETTER})")
