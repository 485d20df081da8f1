"""The graph in other tools' forms: NetworkX, igraph, GraphML. For scipy see ``Graph.to_scipy``."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from graphret._errors import InvalidParameterError, MissingDependencyError
from graphret.files import replacing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from graphret.graph.similarity_graph import Graph

__all__ = ["to_igraph", "to_networkx", "write_graphml"]

logger = logging.getLogger(__name__)

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that no XML 1.0 document may hold, however they are written."""
_SUFFIXES = (".graphml", ".xml")


def to_networkx(graph: Graph) -> Any:
    """Return a ``networkx.Graph`` with nodes 0..n-1 and the edge attribute ``weight``."""
    try:
        import networkx as nx
    except ImportError as error:
        raise MissingDependencyError("networkx", "test", "to_networkx") from error
    result = nx.Graph()
    result.add_nodes_from(range(graph.n_nodes))
    result.add_weighted_edges_from(_edges(graph))
    return result


def to_igraph(graph: Graph) -> Any:
    """Return an undirected ``igraph.Graph`` with the edge attribute ``weight``."""
    try:
        import igraph
    except ImportError as error:
        raise MissingDependencyError("igraph", "compare", "to_igraph") from error
    rows = np.repeat(np.arange(graph.n_nodes), np.diff(graph.indptr))
    once = rows < graph.indices
    result = igraph.Graph(n=graph.n_nodes, edges=np.column_stack([rows[once], graph.indices[once]]))
    result.es["weight"] = graph.weights[once].astype(np.float64)
    return result


def write_graphml(
    graph: Graph, path: str | Path, *, node_attributes: Mapping[str, Sequence[object]] | None = None
) -> None:
    r"""Write the graph as GraphML (Gephi, Cytoscape, yEd), edge by edge, and only then under its name.

    Parameters
    ----------
    graph
        Any graph.
    path
        File to write; replaced only when the new one is complete.
    node_attributes
        Named columns of n_nodes values (community, id, ...), written as text or numbers. A character that XML cannot
        hold is written as its escape in Python (``\x07``); how many texts had some is logged.

    Raises
    ------
    InvalidParameterError
        A file name that ends in neither ``.graphml`` nor ``.xml``, or a column of another length than the graph has
        nodes.

    Examples
    --------
    >>> import numpy as np, pathlib, scipy.sparse, tempfile
    >>> from graphret.graph import Graph
    >>> graph = Graph.from_scipy(scipy.sparse.csr_array(np.array([[0, 0.5], [0.5, 0]])))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_graphml(graph, f"{folder}/g.graphml", node_attributes={"community": [0, 0]})
    ...     pathlib.Path(f"{folder}/g.graphml").read_text().count("<edge ")
    1
    """
    if not str(path).lower().endswith(_SUFFIXES):
        hint = "the graph is written as GraphML, which Gephi, Cytoscape and yEd read"
        raise InvalidParameterError("path", str(path), f"a name that ends in {' or '.join(_SUFFIXES)}", hint)
    columns = {name: np.asarray(values) for name, values in (node_attributes or {}).items()}
    for name, values in columns.items():
        if values.shape != (graph.n_nodes,):
            raise InvalidParameterError(f"node_attributes[{name!r}]", values.shape, f"{graph.n_nodes} values")
    texts = [*columns, *(str(value) for values in columns.values() if values.dtype.kind in "OUT" for value in values)]
    n_changed = sum(bool(_NOT_XML.search(text)) for text in texts)
    if n_changed:
        logger.warning("%s: %d texts hold characters that XML cannot: each is written as its escape", path, n_changed)
    with replacing(path) as file:
        file.writelines(text.encode("utf-8") for text in _graphml(graph, columns))


def _graphml(graph: Graph, columns: Mapping[str, np.ndarray]) -> Iterator[str]:
    kinds = {"i": "long", "u": "long", "f": "double", "b": "boolean"}
    yield '<?xml version="1.0" encoding="UTF-8"?>\n<graphml xmlns="http://graphml.graphdrawing.org/xmlns">\n'
    for number, (name, values) in enumerate(columns.items()):
        kind = kinds.get(values.dtype.kind, "string")
        yield f'<key id="n{number}" for="node" attr.name={quoteattr(_allowed(name))} attr.type="{kind}"/>\n'
    yield '<key id="w" for="edge" attr.name="weight" attr.type="double"/>\n<graph edgedefault="undirected">\n'
    for node in range(graph.n_nodes):
        data = "".join(
            f'<data key="n{number}">{_text(values[node])}</data>' for number, values in enumerate(columns.values())
        )
        yield f'<node id="{node}">{data}</node>\n'
    for source, target, weight in _edges(graph):
        yield f'<edge source="{source}" target="{target}"><data key="w">{weight:.9g}</data></edge>\n'
    yield "</graph>\n</graphml>\n"


def _text(value: Any) -> str:
    if isinstance(value, np.bool_):
        return str(value).lower()
    return escape(_allowed(str(value)), {"\r": "&#13;"})  # a reader takes the character itself for the end of a line


def _allowed(text: str) -> str:
    return _NOT_XML.sub(lambda found: ascii(found[0])[1:-1], text)


def _edges(graph: Graph) -> Iterator[tuple[int, int, float]]:
    """Edges once each, smaller end first."""
    for node in range(graph.n_nodes):
        row = slice(graph.indptr[node], graph.indptr[node + 1])
        for neighbor, weight in zip(graph.indices[row].tolist(), graph.weights[row].tolist(), strict=True):
            if node < neighbor:
                yield node, neighbor, weight
