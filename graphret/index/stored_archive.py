"""The archive of an index: its graph is opened when a ranking first asks for it, since many queries never do."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from graphret.retrieval import Archive

if TYPE_CHECKING:
    from collections.abc import Callable

    from graphret._types import Codes, Int32Array
    from graphret.graph import Graph, Search

__all__ = ["StoredArchive"]


class StoredArchive(Archive):
    """An `Archive` of parts that were checked against each other when the index was opened.

    Parameters
    ----------
    codes, labels, search, k
        As for `Archive`.
    read_graph
        Opens the graph; called at its first use.
    """

    def __init__(
        self, codes: Codes, read_graph: Callable[[], Graph], labels: Int32Array, search: Search, k: int
    ) -> None:
        parts = {"codes": codes, "labels": labels, "search": search, "k": k, "_read_graph": read_graph}
        self.__dict__.update(parts)  # the class is frozen

    @cached_property
    def graph(self) -> Graph:  # type: ignore[override]
        """Similarity graph of the films."""
        read: Callable[[], Graph] = self.__dict__["_read_graph"]
        return read()

    def with_search(self, search: Search) -> StoredArchive:
        """Return the same films with another search."""
        return StoredArchive(self.codes, lambda: self.graph, self.labels, search, self.k)
