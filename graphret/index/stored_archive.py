"""The archive of an index: its graph is opened when a ranking first asks for it, since many queries never do."""

from __future__ import annotations

from dataclasses import fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

from graphret._errors import InvalidParameterError
from graphret.neighbors import GraphSearch
from graphret.retrieval import Archive

if TYPE_CHECKING:
    from collections.abc import Callable

    from graphret._errors import DamagedIndexError
    from graphret.graph import Graph

__all__ = ["StoredArchive"]


class StoredArchive(Archive):
    """An `Archive` of parts that were checked against each other when the index was opened.

    Parameters
    ----------
    read_graph
        Opens the graph; called at its first use.
    damage
        Why there is no graph search, where its files are damaged.
    **parts
        All other fields of `Archive`.
    """

    _read_graph: Callable[[], Graph]

    _damage: DamagedIndexError | None

    def __init__(self, read_graph: Callable[[], Graph], damage: DamagedIndexError | None = None, **parts: Any) -> None:
        for name, part in {**parts, "_read_graph": read_graph, "_damage": damage}.items():
            object.__setattr__(self, name, part)  # the class is frozen

    @cached_property
    def graph(self) -> Graph:  # type: ignore[override]
        """Similarity graph of the films."""
        return self._read_graph()

    def with_parts(self, **parts: Any) -> StoredArchive:
        """Return the same films with other parts; the graph is still opened once, by whichever asks first."""
        kept = {entry.name: getattr(self, entry.name) for entry in fields(Archive) if entry.name != "graph"}
        return StoredArchive(lambda: self.graph, self._damage, **kept | parts)

    def searched_by(self, search: str) -> StoredArchive:
        """Return the same films with the search that a query asks for: "auto", "exact" or "graph".

        Raises
        ------
        InvalidParameterError
            "graph", where the index has no links to follow.
        DamagedIndexError
            "graph", where they are damaged.
        """
        stored = self.search
        if search == "exact" and isinstance(stored, GraphSearch):
            return self.with_parts(search=stored.exact)
        if search == "graph":
            if not isinstance(stored, GraphSearch):
                if self._damage is not None:
                    raise self._damage
                hint = 'the index has no links to follow: build it with search="graph"'
                raise InvalidParameterError("search", search, "'auto' or 'exact'", hint)
            return self.with_parts(search=GraphSearch(stored.exact, stored.structure, always=True))
        return self
