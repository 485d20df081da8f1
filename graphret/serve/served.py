"""The indexes that are served, each by a short name: opened for reading, and opened again when they change on disk."""

from __future__ import annotations

import logging
import os
import threading
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._errors import GraphretError, InvalidParameterError, StaleFrontError, UnknownNameError
from graphret.encoders.inference.colours import reads_colour
from graphret.index import JoinedIndex
from graphret.index import open as open_index
from graphret.serve.filters import filters_of
from graphret.serve.words import NotThereError, without_paths

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graphret.data import ImageTable
    from graphret.encoders import Encoder
    from graphret.index import Index, ShardedIndex

__all__ = ["Served", "ServedIndex", "State"]

logger = logging.getLogger(__name__)
_WATCHED = ("CURRENT", "front.json", "ranking.json")


class State:
    """One generation of an index under one tuning, with what the service reads of it once.

    Parameters
    ----------
    index
        Opened.
    name
        Its short name.
    """

    def __init__(self, index: Index | ShardedIndex, name: str) -> None:
        self.index, self.name = index, name

    @property
    def films(self) -> ImageTable:
        """The table of the films."""
        return self.index.films

    @cached_property
    def encoder(self) -> Encoder:
        """The encoder of the films.

        Raises
        ------
        InvalidParameterError
            The index was made of codes.
        """
        encoder = self.index.encoder
        if encoder is None:
            allowed = "the id of a film of the index, or a code"
            raise InvalidParameterError("film", "a film", allowed, f"{self.name} was made of codes and has no encoder")
        if reads_colour(encoder):  # films that are sent are decoded as grey, whose code would be another one
            allowed = "the id of a film of the index, or a code"
            reason = f"the encoder of {self.name} reads colours, which the service does not (graphret query does)"
            raise InvalidParameterError("film", "a film", allowed, reason)
        return encoder

    @property
    def loaded_encoder(self) -> Encoder | None:
        """The encoder, where a film was asked for before."""
        return vars(self).get("encoder")

    @property
    def generation(self) -> str:
        """Name of the generation."""
        return str(self.index.manifest["generation"])

    @cached_property
    def rows(self) -> dict[str, int]:
        """Id -> row of every film."""
        return dict(zip(self.films.ids.tolist(), range(len(self.films)), strict=True))

    @cached_property
    def filters(self) -> list[dict[str, Any]]:
        """What films may be filtered by; see `filters.filters_of`."""
        return filters_of(self.films)

    @cached_property
    def sizes(self) -> list[int]:
        """Films of every community."""
        return [int(size) for size in np.bincount(self.index.communities)]

    def row_of(self, identity: str) -> int:
        """Return the row of a film.

        Raises
        ------
        UnknownFilmError
            There is no such film.
        """
        if identity not in self.rows:
            raise UnknownFilmError(identity, self.name)
        return self.rows[identity]


class UnknownFilmError(NotThereError):
    """An index has no film of this id."""

    def __init__(self, identity: str, index: str) -> None:
        super().__init__(f"id={identity[:60]!r} is not the id of a film of the index {index!r}")


class ServedIndex:
    """An index by a short name; `state` is its present generation.

    Parameters
    ----------
    roots
        Its folder; several: those of its shards. Where shards were joined and have changed since, they are asked
        without their communities, which `problem` says, until they are joined again.
    name
        Its short name, which is all that answers say of where it is.

    Raises
    ------
    NotAnIndexError, DamagedIndexError, StoreError
        As `graphret.open`.
    """

    def __init__(self, roots: Sequence[Path], name: str) -> None:
        self.roots, self.name = list(roots), name
        self.problem = ""
        self._lock = threading.Lock()
        self.folders = self.roots
        """All folders that are read: the shards of shards that were joined as well."""
        self._seen = self._signs()
        self._state = State(self._open(), name)

    @property
    def state(self) -> State:
        """The present generation: opened again, in the call that sees it first, when the index has changed.

        A generation that cannot be opened is said by `problem`, and the one before is served on.
        """
        if self._signs() != self._seen:
            with self._lock:
                signs = self._signs()
                if signs != self._seen:
                    self._open_again()
                    self._seen = signs
        return self._state

    @property
    def current(self) -> State | None:
        """The present generation, where nothing has changed on disk since `state` was last asked for."""
        return self._state if self._signs() == self._seen else None

    def _open_again(self) -> None:
        loaded = self._state.loaded_encoder
        self.problem = ""
        try:
            index = self._open()
            about = index.manifest["encoder"]
            if loaded is not None and about is not None and about["fingerprint"] == loaded.fingerprint:
                index = self._open(loaded)
        except GraphretError as error:
            self.problem = without_paths(error, map(str, self.folders))
            logger.warning("%s: the generation before is served on: %s", self.name, error)
            return
        self._state = State(index, self.name)
        logger.info("%s: %s is served from now on", self.name, self._state.generation)

    def _open(self, encoder: Encoder | None = None) -> Index | ShardedIndex:
        try:
            index = open_index(self.roots, encoder=encoder)
            shards = index.shards if isinstance(index, JoinedIndex) else []
        except StaleFrontError as error:
            self.problem = without_paths(error, map(str, [*self.roots, *error.shards]))
            logger.warning("%s: shards are asked without their communities: %s", self.name, error)
            shards = error.shards
            index = open_index(shards, encoder=encoder)
        self.folders = [*self.roots, *shards]
        return index

    def _signs(self) -> tuple[tuple[int, int, int] | None, ...]:
        """What of the files that say what is current changes when they are written again."""
        found: list[tuple[int, int, int] | None] = []
        for path in (root / name for root in self.folders for name in _WATCHED):
            try:
                about = os.stat(path)  # noqa: PTH116 - at every request
            except OSError:
                found.append(None)
            else:
                found.append((about.st_ino, about.st_mtime_ns, about.st_size))
        return tuple(found)


class Served:
    """All indexes of a service, by name.

    Parameters
    ----------
    roots
        Their folders; the name of a folder is the name of its index, with a number where two are called alike.
    as_shards
        All folders are shards of one index, which is called as the first.

    Raises
    ------
    InvalidParameterError, CodesError, EncoderError, DataError
        Shards that are none of one index.
    NotAnIndexError, DamagedIndexError, StoreError
        As `graphret.open`.
    """

    def __init__(self, roots: Sequence[str | os.PathLike[str]], *, as_shards: bool = False) -> None:
        self.indexes: dict[str, ServedIndex] = {}
        paths = [Path(root).absolute() for root in roots]
        for path in paths[:1] if as_shards else paths:
            name, number = path.name, 1
            while name in self.indexes:
                number += 1
                name = f"{path.name}-{number}"
            self.indexes[name] = ServedIndex(paths if as_shards else [path], name)

    def __getitem__(self, name: str | None) -> ServedIndex:
        """Return the index of a name, the first one for None.

        Raises
        ------
        UnknownNameError
            No index is served under this name.
        """
        if name is None:
            return next(iter(self.indexes.values()))
        if name not in self.indexes:
            raise UnknownNameError("index", name, self.indexes)
        return self.indexes[name]

    @property
    def roots(self) -> list[str]:
        """Folders of the indexes, which no answer may name."""
        return [str(folder) for served in self.indexes.values() for folder in served.folders]
