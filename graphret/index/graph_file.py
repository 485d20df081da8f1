"""The graph of an index as a file of other programs, with what is known of its films."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graphret.graph import write_graphml

if TYPE_CHECKING:
    from pathlib import Path

    from graphret._types import Int32Array
    from graphret.data import ImageTable
    from graphret.graph import Graph

__all__ = ["export_graph"]


def export_graph(path: Path, graph: Graph, films: ImageTable, communities: Int32Array) -> None:
    """Write the graph as GraphML; see `Index.export_graph`."""
    columns: dict[str, Any] = {
        "id": films.ids,
        "community": communities,
        "patient": films.patients,
        "view": films.views,
        **{f"label:{name}": films.labels[:, number] for number, name in enumerate(films.label_names)},
    }
    write_graphml(graph, path, node_attributes=columns)
