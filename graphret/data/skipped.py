"""Files that a reader passed over: every one counted, the first of each kind named."""

from __future__ import annotations

from graphret.data.listing import shown
from graphret.data.table import FilmProblem

__all__ = ["Skipped"]

_NAMED = 100


class Skipped:
    """Collect the files that are left out, so that thousands of one kind do not fill a report.

    The first 100 of a kind are problems of their own, the rest of it is one more that says how many it stands for.

    Examples
    --------
    >>> skipped = Skipped()
    >>> for number in range(250):
    ...     skipped.add(f"{number}.txt", f"/films/{number}.txt", "not a film", is_film=False)
    >>> problems = skipped.problems()
    >>> len(problems), sum(problem.n_files for problem in problems), problems[-1].reason
    (101, 250, 'not a film (and 149 more like it)')
    """

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, bool], list[FilmProblem]] = {}

    def add(self, name: str, path: str, reason: str, *, is_film: bool, n_files: int = 1, kind: str = "") -> None:
        """Note a file, or a folder with ``n_files`` files; ``kind`` groups reasons that differ in a name."""
        found = self._kinds.setdefault((kind or reason, is_film), [])
        if len(found) <= _NAMED:
            found.append(FilmProblem(shown(name), shown(path), reason, n_files, is_film))
        else:
            last = found[-1]
            found[-1] = FilmProblem(last.id, last.path, last.reason, last.n_files + n_files, is_film)

    def problems(self) -> list[FilmProblem]:
        """Return what was noted: films first, then other files, each by kind in the order of their first."""
        problems = []
        for (_, _), found in sorted(self._kinds.items(), key=lambda item: not item[0][1]):
            problems += found[:_NAMED]
            for last in found[_NAMED:]:
                more = f" (and {last.n_files - 1:,} more like it)" if last.n_files > 1 else ""
                problems.append(FilmProblem(last.id, last.path, last.reason + more, last.n_files, last.is_film))
        return problems
