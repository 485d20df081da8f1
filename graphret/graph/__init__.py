"""The similarity graph: nearest neighbours by cosine, a threshold, CSR. Arrays only; torch is never imported here."""

from graphret.graph.export import to_igraph, to_networkx, write_graphml
from graphret.graph.knn import nearest_neighbors
from graphret.graph.neighbor_table import NeighborTable
from graphret.graph.search import NearestSearch
from graphret.graph.similarity_graph import Graph, similarity_graph

__all__ = [
    "Graph",
    "NearestSearch",
    "NeighborTable",
    "nearest_neighbors",
    "similarity_graph",
    "to_igraph",
    "to_networkx",
    "write_graphml",
]
