"""One change of an index: the generation that it starts from, held by the lock, and what came of it."""

from __future__ import annotations

import logging
import shutil
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._errors import InvalidParameterError
from graphret.files import check_own_folder, check_path, remove_partials, storage_errors, writer_lock
from graphret.index.config import BuildConfig
from graphret.index.contents import write_contents
from graphret.index.drift import record_of
from graphret.index.generation import open_generation
from graphret.index.neighbor_files import read_file_states, read_neighbors
from graphret.index.store import BUILD, check_keep, current_name, publish
from graphret.neighbors import ExactSearch, nearest_neighbors
from graphret.retrieval import Novelty

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from graphret._types import Int64Array, Progress
    from graphret.data import FilmProblem, ImageTable
    from graphret.index.contents import Contents
    from graphret.index.generation import Generation
    from graphret.neighbors import NeighborTable

__all__ = ["Change", "Current", "changing", "positions_of", "rows_but"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Change:
    """What a change did.

    Parameters
    ----------
    action
        "add", "remove", "update-labels", "rebuild" or "purge".
    generation
        The current one afterwards; the one before where there was nothing to do.
    counts
        Films by what became of them, as "added" or "known".
    problems
        Films that were left out, and why.
    details
        Further JSON values.
    """

    action: str
    generation: str
    counts: dict[str, int]
    problems: tuple[FilmProblem, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        counted = ", ".join(f"{number:,} {what.replace('_', ' ')}" for what, number in self.counts.items())
        return f"{self.generation}: {counted or 'nothing to do'}"

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values; films that were left out with their ids, without their paths."""
        left_out = [{"id": problem.id, "reason": problem.reason} for problem in self.problems]
        return {
            "action": self.action,
            "generation": self.generation,
            **self.counts,
            **self.details,
            "problems": left_out,
        }


class Current:
    """The generation that is changed; what a change reads of it is compared with its checksum first."""

    def __init__(self, root: Path, work: Path, keep: int) -> None:
        self.root, self.work, self.keep = root, work, keep
        self.generation: Generation = open_generation(root)
        self.record = record_of(self.generation.manifest)

    @cached_property
    def films(self) -> ImageTable:
        """The table of the films."""
        return self.generation.read_films()

    @cached_property
    def positions(self) -> dict[str, int]:
        """Positions of the films by their ids, of which no other column is read."""
        return {name: position for position, name in enumerate(self.generation.read_ids().tolist())}

    @cached_property
    def states(self) -> Int64Array:
        """Size and time of change of the films' files, see `read_file_states`."""
        return read_file_states(self.generation)

    @cached_property
    def config(self) -> BuildConfig:
        """How the index was built; parameters of another version that are not known any more are left out."""
        known = {entry.name for entry in fields(BuildConfig)}
        stated = self.generation.manifest["parameters"]
        return BuildConfig(**{name: value for name, value in stated.items() if name in known})

    def neighbors(self, n_threads: int | None, progress: Progress | None) -> NeighborTable:
        """Open the kNN table, or search for it where the index was built before there was one."""
        found = read_neighbors(self.generation)
        if found is None:
            logger.warning(
                "this index was built without its table of neighbours: all are searched for once, and kept from now on"
            )
            config = self.config
            found = nearest_neighbors(
                self.generation.codes,
                config.k,
                backend=config.backend,
                method=config.method,
                seed=config.seed,
                n_threads=n_threads,
                progress=progress,
            )
        return found

    def novelty(self, table: NeighborTable) -> Novelty:
        """How near the films are to those of other patients, where the index was built before that was kept."""
        search = ExactSearch(self.generation.codes.view(np.ndarray), self.generation.lengths.view(np.ndarray))
        return Novelty.of(search, self.films.patients, self.films.splits, table, seed=self.config.seed)

    def check_hash(self, *files: str) -> None:
        """Compare files with their checksums before anything is made of them: damage is not passed on as sound."""
        for file in files:
            self.generation.files.check(file)

    def publish(self, made: Callable[[Path], Contents]) -> str:
        """Write the new generation, whose contents are made for its folder; returns its name."""
        return publish(self.root, lambda folder: write_contents(folder, made(folder)), keep=self.keep, work=self.work)


@contextmanager
def changing(path: str | os.PathLike[str], action: str, keep: int) -> Iterator[Current]:
    """Hold an index as its only writer, and open the generation that is current.

    Raises
    ------
    InvalidParameterError
        ``keep`` is below 1.
    NotAnIndexError, DamagedIndexError, StoreError
        As `open_generation`.
    IndexLockedError
        Another process writes the index.
    """
    root = check_path("path", path)
    keep = check_keep(keep)
    current_name(root)  # a folder that holds no index gets no lock
    work = root / BUILD / action
    with writer_lock(root):
        check_own_folder(root / BUILD)
        yield Current(root, work, keep)
        # only now: what a change that failed or was killed has encoded is used by the next one; where there was
        # nothing to do, nothing was published, and nobody has cleaned up yet
        with storage_errors(work, "remove"):
            shutil.rmtree(work, ignore_errors=not work.exists())
            remove_partials(root, sole_writer=True)
        with suppress(OSError):
            (root / BUILD).rmdir()


def rows_but(n_rows: int, gone: Int64Array) -> Int64Array:
    """Return the rows that are not ``gone``, int64, ascending.

    Examples
    --------
    >>> rows_but(4, np.array([2, 0])).tolist()
    [1, 3]
    """
    stays = np.ones(n_rows, np.bool_)
    stays[gone] = False
    return np.flatnonzero(stays)


def positions_of(current: Current, ids: Any) -> Int64Array:
    """Return the positions of films by their ids, in the order given, each once."""
    names = [ids] if isinstance(ids, str) else [str(name) for name in np.asarray(ids).reshape(-1).tolist()]
    unknown = [name for name in names if name not in current.positions]
    if unknown:
        more = f", and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        raise InvalidParameterError("ids", f"{unknown[0]}{more}", "ids of the index", "nothing was changed")
    twice = len(names) - len(set(names))
    if twice:
        raise InvalidParameterError("ids", f"{twice} ids twice", "every id once", "nothing was changed")
    return np.array([current.positions[name] for name in names], dtype=np.int64)
