"""A folder that fills: what arrives is added to an index, in batches, again and again."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from graphret._checks import check_integer, check_number
from graphret._errors import DataError
from graphret.data import ImageTable, read_unlabelled
from graphret.index.changes.adding import add_films
from graphret.index.neighbor_files import file_states
from graphret.index.store import KEEP

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator

    from graphret._types import Progress
    from graphret.encoders import Encoder
    from graphret.index.changes.change import Change

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

    Nothing is remembered beside the index: what it has is known by its id (the place under the folder), size and time.
    So a watch that was stopped or killed goes on where it was, and a film that has changed is encoded again. A film
    that cannot be read is reported once, and tried again when its file changes, or by the next watch.

    Parameters
    ----------
    path
        Folder of an index with an encoder.
    folder
        Searched to any depth, as `read_unlabelled` does. It may be empty.
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
    GraphretError
        As `Index.add`.
    """
    batch, every = check_integer("batch", batch, 1), check_number("every", every, above=0)
    settled = check_number("settled", settled, at_least=0)
    refused: dict[str, tuple[int, int]] = {}
    said: set[tuple[str, str]] = set()
    while not stop():
        films = _arrived(folder, settled)
        _say_others(films, said)
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
            part = replace(wanted.select(range(first, min(first + batch, len(wanted)))), problems=())
            change = add_films(path, part, encoder=encoder, keep=keep, progress=progress)
            refused |= {problem.path: states[problem.path] for problem in change.problems if problem.path in states}
            if change.problems or change.counts["added"] or change.counts["replaced"]:
                yield change
        if once:
            return
        _wait(every, stop)


def _arrived(folder: str | os.PathLike[str], settled: float) -> ImageTable:
    """The films in the folder that nobody writes to any more."""
    try:
        films = read_unlabelled(Path(folder))
    except DataError:  # nothing has come yet
        nothing = np.array([], dtype=np.str_)
        return ImageTable(ids=nothing, paths=nothing, labels=np.empty((0, 0), np.int8))
    ages = time.time() - file_states(films.paths.tolist())[:, 1] / 1e9
    young = np.abs(ages) < settled  # a clock that goes wrong hides nothing for ever
    if young.any():
        logger.info("%d films may still be being written: they wait", int(young.sum()))
    return films.select(~young)


def _say_others(films: ImageTable, said: set[tuple[str, str]]) -> None:
    """Say what in the folder is no film, each once."""
    news = [problem for problem in films.problems if (problem.id, problem.reason) not in said]
    if news:
        n_files = sum(problem.n_files for problem in news)
        logger.warning("%d files are no films, first %s: %s", n_files, news[0].id, news[0].reason)
        said.update((problem.id, problem.reason) for problem in news)


def _wait(seconds: float, stop: Callable[[], bool]) -> None:
    """Wait in small steps, so that a stop is noticed soon."""
    end = time.monotonic() + seconds
    while not stop() and (left := end - time.monotonic()) > 0:
        time.sleep(min(left, 0.2))
