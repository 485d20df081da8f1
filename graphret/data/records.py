"""What every reader hands back: one archive's films in the archive's own words."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from graphret._errors import MissingFileError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from graphret.data.table import FilmProblem

__all__ = ["Records", "find_table"]


@dataclass
class Records:
    """Films of an archive before the dataset spec's labels, views and splits are applied.

    ``labels`` is int8 (n, S) over the archive's own ``label_names``; ``splits`` may hold "", not listed; ``paths`` is
    empty until the films have been looked for.
    """

    ids: list[str]
    labels: NDArray[np.int8]
    label_names: tuple[str, ...]
    patients: list[str]
    views: list[str]
    splits: list[str]
    paths: list[str] = field(default_factory=list)
    columns: dict[str, NDArray[Any]] = field(default_factory=dict)
    problems: list[FilmProblem] = field(default_factory=list)

    def keep(self, rows: Sequence[int]) -> None:
        """Drop every row but these."""
        self.labels = self.labels[rows]
        for name in ("ids", "patients", "views", "splits", "paths"):
            values = getattr(self, name)
            setattr(self, name, [values[row] for row in rows] if values else [])
        self.columns = {name: values[rows] for name, values in self.columns.items()}


def find_table(root: Path, names: Sequence[str], what: str) -> Path:
    """Path of the first of ``names`` (or ``name.gz``) under ``root``.

    Raises
    ------
    MissingFileError
        There is no such folder or none of the files.
    """
    if not root.is_dir():
        raise MissingFileError(root, "folder of the data set", "give the folder that holds the archive's files")
    for name in names:
        for candidate in (root / name, root / f"{name}.gz"):
            if candidate.is_file():
                return candidate
    raise MissingFileError(root / names[0], what, f"looked for {', '.join(names)} under {root}")
