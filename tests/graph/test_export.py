"""The graph leaves without losing an edge."""

import logging

import networkx as nx
import numpy as np
import pytest

from graphret._errors import InvalidParameterError
from graphret.graph import similarity_graph, to_igraph, to_networkx, write_graphml
from graphret.neighbors import nearest_neighbors


@pytest.fixture(scope="module")
def graph():
    codes = np.random.default_rng(0).standard_normal((40, 5)).astype(np.float32)
    return similarity_graph(nearest_neighbors(codes, 4))


def test_networkx_has_the_same_matrix(graph):
    matrix = nx.to_scipy_sparse_array(to_networkx(graph), nodelist=range(40))
    np.testing.assert_allclose(matrix.toarray(), graph.to_scipy().toarray(), rtol=1e-7)


def test_igraph_has_the_same_edges(graph):
    pytest.importorskip("igraph")
    network = to_igraph(graph)
    dense = np.zeros((40, 40))
    for edge in network.es:
        dense[edge.tuple] = dense[edge.tuple[::-1]] = edge["weight"]
    np.testing.assert_allclose(dense, graph.to_scipy().toarray(), rtol=1e-7)


def test_graphml_is_read_back_by_networkx(graph, tmp_path):
    path = tmp_path / "graph.graphml"
    names = [f"<film {node}> & co" for node in range(40)]
    write_graphml(graph, path, node_attributes={"id": names, "community": np.arange(40), "odd": np.arange(40) % 2 == 1})
    back = nx.read_graphml(path, node_type=int)
    assert [back.nodes[node]["id"] for node in range(40)] == names
    assert back.nodes[7]["community"] == 7
    assert back.nodes[7]["odd"] is True
    matrix = nx.to_scipy_sparse_array(back, nodelist=range(40)).toarray()
    np.testing.assert_allclose(matrix, graph.to_scipy().toarray(), rtol=1e-7)


def test_a_wrong_column_leaves_no_file(graph, tmp_path):
    with pytest.raises(InvalidParameterError, match="40 values"):
        write_graphml(graph, tmp_path / "g.graphml", node_attributes={"id": ["a"]})
    assert list(tmp_path.iterdir()) == []


def test_graphml_is_well_formed_whatever_texts_hold(graph, tmp_path, caplog):
    path = tmp_path / "graph.graphml"
    others = ("\x7f", "\x85", "\ud800", "\ufffe", "\uffff", "\U0001f600", "é", "]]>")
    letters = [*(chr(number) for number in range(32)), *others]
    names = [f"film {letter} {node}" for node, letter in enumerate(letters)]
    with caplog.at_level(logging.WARNING):
        write_graphml(graph, path, node_attributes={"id": names, "a\x07b": np.arange(40)})
    back = nx.read_graphml(path, node_type=int)
    xml_cannot = [*range(9), 11, 12, *range(14, 32), 34, 35, 36]
    for node, letter in enumerate(letters):
        expected = f"film {ascii(letter)[1:-1]} {node}" if node in xml_cannot else names[node]
        assert back.nodes[node]["id"] == expected
    assert back.nodes[0]["a\\x07b"] == 0
    assert f"{len(xml_cannot) + 1} texts hold characters that XML cannot" in caplog.text
