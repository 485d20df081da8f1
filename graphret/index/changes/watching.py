"""A folder that fills: what arrives is added to an index, in batches, again and again."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from graphret._checks import check_integer, check_number
from graphret.index.changes.adding import add_films
from graphret.index.changes.arriving import ArrivingFilms
from graphret.index.changes.change import Change
from graphret.index.left_out import say_left_out
from graphret.index.neighbor_files import file_states
from graphret.index.store import KEEP, current_name

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from graphret._types import Progress
    from graphret.data import FilmProblem
    from graphret.encoders import Encoder

__all__ = ["SETTLED", "watch_folder"]

logger = logging.getLogger(__name__)

SETTLED = 2.0
"""Seconds for which a file has not changed: a younger one may still be being written."""


def watch_folder(
    path: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    batch: int = 256,
    every: float = 60.0,
    once: bool = False,
    settled: float = SETTLED,
    keep: int = KEEP,
    encoder: Encoder | None = None,
    stop: Callable[[], bool] = lambda: False,
    progress: Progress | None = None,
) -> Iterator[Change]:
    """Add the films that arrive in a folder to an index, a batch at a time.

    Nothing is remembered beside the index: what it has is known by its id, size and time. So a watch that was stopped
    or killed goes on where it was, and a film that has changed is encoded again. A film that cannot be read is reported
    once, and tried again when its file changes, or by the next watch.

    The id is the place under the folder. That of a DICOM film comes from its header, as its patient does, by the
    dataset spec of an index of DICOM films, else by the spec "dicom".

    Parameters
    ----------
    path
        Folder of an index with an encoder.
    folder
        Searched to any depth, see `walk.walk_folders`. It may be empty.
    batch
        Films that one generation takes at most, >= 1.
    every
        Seconds between two looks, > 0.
    once
        True looks once, adds all that is there, and ends.
    settled
        Seconds for which a file must not have changed, >= 0.
    keep
        As for `Index.add`.
    encoder
        That of the index, where it is in memory.
    stop
        Asked between batches: True ends the watch.
    progress
        As for `Index.add`.

    Yields
    ------
    Change
        Of every batch.

    Raises
    ------
    MissingFileError
        There is no such folder.
    DataError
        The index is of DICOM films, and its salt is not there.
    GraphretError
        As `Index.add` and `read_dataset`.
    """
    batch, every = check_integer("batch", batch, 1), check_number("every", every, above=0)
    settled = check_number("settled", settled, at_least=0)
    refused: dict[str, tuple[int, int]] = {}
    said: set[tuple[str, str]] = set()
    arriving = ArrivingFilms(path, folder, settled)
    while not stop():
        arrived = arriving.look()
        _say_others(_news(arrived.others, said))
        left_out = _news(arrived.left_out, said)
        for films in arrived.tables:
            states = {
                path: (int(size), int(changed))
                for path, (size, changed) in zip(
                    films.paths.tolist(), file_states(films.paths.tolist()).tolist(), strict=True
                )
            }
            wanted = films.select(
                [row for row, path in enumerate(films.paths.tolist()) if refused.get(path) != states[path]]
            )
            for first in range(0, len(wanted), batch):
                if stop():
                    return
                part = replace(wanted.select(range(first, min(first + batch, len(wanted)))), problems=left_out)
                left_out = ()
                change = add_films(path, part, encoder=encoder, keep=keep, progress=progress)
                refused |= {problem.path: states[problem.path] for problem in change.problems if problem.path in states}
                if change.problems or change.counts["added"] or change.counts["replaced"]:
                    yield change
        if left_out:
            yield _nothing_but(path, left_out)
        if once:
            return
        _wait(every, stop)


def _news(problems: Iterable[FilmProblem], said: set[tuple[str, str]]) -> tuple[FilmProblem, ...]:
    """Return the problems that were not said before; they count as said."""
    news = tuple(problem for problem in problems if (problem.id, problem.reason) not in said)
    said.update((problem.id, problem.reason) for problem in news)
    return news


def _say_others(news: Sequence[FilmProblem]) -> None:
    """Say what in the folder is no film."""
    if news:
        n_files = sum(problem.n_files for problem in news)
        logger.warning("%d files are no films, first %s: %s", n_files, news[0].id, news[0].reason)


def _nothing_but(path: str | os.PathLike[str], left_out: tuple[FilmProblem, ...]) -> Change:
    """Films that were left out, where none came with which that could be said."""
    say_left_out(left_out)
    counts = {"added": 0, "replaced": 0, "known": 0, "left_out": sum(problem.n_files for problem in left_out)}
    return Change("add", current_name(Path(path)), counts, left_out)


def _wait(seconds: float, stop: Callable[[], bool]) -> None:
    """Wait in small steps, so that a stop is noticed soon."""
    end = time.monotonic() + seconds
    while not stop() and (left := end - time.monotonic()) > 0:
        time.sleep(min(left, 0.2))
