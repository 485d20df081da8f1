"""What a generation keeps so that it can be changed: its kNN table, and how the files of its films were."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from graphret._errors import DamagedIndexError
from graphret.data.frame_place import split_frame
from graphret.files import array_of, file_state
from graphret.index.layout import CHANGE_ARRAYS
from graphret.neighbors import NeighborTable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from graphret._types import Int64Array
    from graphret.index.generation import Generation

__all__ = ["NO_FILE", "file_states", "read_file_states", "read_neighbors"]

NO_FILE = -1


def read_neighbors(generation: Generation) -> NeighborTable | None:
    """Open the kNN table, after its files were hashed; None in an index that was built before there was one.

    Raises
    ------
    DamagedIndexError
        A file is not the one that was written, or names films that are not there.
    """
    files = [CHANGE_ARRAYS["neighbors"], CHANGE_ARRAYS["neighbor similarities"]]
    if any(file not in generation.files for file in files):
        return None
    for file in files:
        generation.files.check(file)
    neighbors, similarities = (array_of(generation.files[file]).view(np.ndarray) for file in files)
    n_films = generation.n_films
    path = generation.folder / files[0]
    if neighbors.dtype.str != "<i4" or neighbors.ndim != 2 or len(neighbors) != n_films:
        raise DamagedIndexError(path, f"it holds {neighbors.dtype} {neighbors.shape}, there are {n_films} codes")
    if neighbors.size and (neighbors.min() < NO_FILE or neighbors.max() >= n_films):
        raise DamagedIndexError(path, f"it names the films {neighbors.min()} to {neighbors.max()} of {n_films}")
    if similarities.dtype.str != "<f4" or similarities.shape != neighbors.shape:
        raise DamagedIndexError(generation.folder / files[1], f"it holds {similarities.dtype} {similarities.shape}")
    about = generation.manifest["graph"]
    search = {name: about[name] for name in ("method", "recall", "n_proven", "n_scanned")}
    return NeighborTable(neighbors, similarities, **search)


def read_file_states(generation: Generation) -> Int64Array:
    """Return size and time of change of every film's file when it was encoded, int64 (n, 2); -1 where not known.

    Raises
    ------
    DamagedIndexError
        The file is not the one that was written.
    """
    n_films = generation.n_films
    file = CHANGE_ARRAYS["film files"]
    if file not in generation.files:
        return np.full((n_films, 2), NO_FILE, np.int64)
    generation.files.check(file)
    states = array_of(generation.files[file])
    if states.dtype.str != "<i8" or states.shape != (n_films, 2):
        raise DamagedIndexError(generation.folder / file, f"it holds {states.dtype} {states.shape}")
    return np.array(states, dtype=np.int64)


def file_states(paths: Iterable[str]) -> Int64Array:
    """Return size and time of change (ns) of files now, int64 (n, 2); -1 where there is none.

    Examples
    --------
    >>> file_states(["", "/no/such/film.png"]).tolist()
    [[-1, -1], [-1, -1]]
    """
    states = [file_state(split_frame(path)[0]) if path else (NO_FILE, NO_FILE) for path in paths]
    return np.array(states, dtype=np.int64).reshape(-1, 2)
