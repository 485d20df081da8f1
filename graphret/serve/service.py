"""Everything that requests share: the indexes, films that were sent, pictures, lists, and who may ask."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphret.index import describe_hits
from graphret.index.lists_file import lists_file
from graphret.serve.lists import Lists
from graphret.serve.pictures import Pictures
from graphret.serve.security import Gate
from graphret.serve.served import Served
from graphret.serve.uploads import Uploads

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from graphret.serve.config import ServeConfig
    from graphret.serve.pictures import Picture
    from graphret.serve.served import State

__all__ = ["Service"]

_WARM_AFTER = 0.5
"""Seconds: what a service that starts is asked first does not share the processor with it."""


class Service:
    """What a running service consists of.

    Parameters
    ----------
    roots
        Folders of the indexes.
    config
        Limits, and where things are kept.

    Raises
    ------
    NotAnIndexError, DamagedIndexError, StoreError
        As `graphret.open`.
    """

    def __init__(self, roots: Sequence[str | os.PathLike[str]], config: ServeConfig) -> None:
        self.config = config
        self.served = Served(roots, as_shards=config.as_shards)
        self.uploads = Uploads()
        self.gate = Gate(config)
        first = next(iter(self.served.indexes.values())).roots[0]
        self.lists = Lists(config.lists or lists_file(first))
        most_bytes = config.thumbnails_mb * 2**20 if config.thumbnails else None
        self._pictures = {  # a film of another shard would not go from the folder of the first when it is removed
            name: Pictures(index.roots[0], most_bytes if len(index.folders) == 1 else None)
            for name, index in self.served.indexes.items()
        }

    def state(self, name: str | None) -> State:
        """Return the present generation of an index.

        Raises
        ------
        UnknownNameError
            No index is served under this name.
        """
        return self.served[name].state

    def pictures(self, state: State) -> Pictures:
        """Return the pictures of the films of an index."""
        return self._pictures[state.name]

    def fresh_picture(self, name: str | None, identity: str) -> Picture | None:
        """Return the picture of a film if it is in memory and was looked at a moment ago; never waits.

        Raises
        ------
        UnknownNameError
            No index is served under this name.
        """
        served = self.served[name]
        state = served.current
        return None if state is None else self._pictures[served.name].fresh(state, identity)

    def warm(self) -> threading.Timer:
        """Read in the background, in a moment, what requests would wait for: tables, filters, kernels of a query.

        Returns
        -------
        threading.Timer
            Running; `cancel` stops it where it has not begun.
        """

        def read() -> None:
            for index in self.served.indexes.values():
                state = index.state
                _ = state.rows, state.filters, state.sizes
                describe_hits(state.index, state.index.query([str(state.films.ids[0])], 1, n_threads=1))

        timer = threading.Timer(_WARM_AFTER, read)
        timer.daemon = True
        timer.start()
        return timer

    @property
    def hidden(self) -> list[str]:
        """Folders that no answer may name."""
        return [*self.served.roots, str(self.lists.path.parent), str(Path.home()), str(Path.cwd())]

    def about(self) -> list[dict[str, Any]]:
        """Say what is served, as JSON values."""
        found = []
        for name, index in self.served.indexes.items():
            state = index.state
            manifest = state.index.manifest
            found.append(
                {
                    "name": name,
                    "generation": state.generation,
                    "films": manifest["counts"]["films"],
                    **({"problem": index.problem} if index.problem else {}),
                }
            )
        return found
