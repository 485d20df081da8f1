"""The similarity graph: nearest neighbours by cosine, a threshold, CSR. Arrays only; torch is never imported here."""

from graphret.graph.export import to_igraph, to_networkx, write_graphml
from graphret.graph.knn import nearest_neighbors
from graphret.graph.neighbor_table import NeighborTable, SearchCounts
from graphret.graph.search import NearestSearch, Search
from graphret.graph.similarity_graph import Graph, similarity_graph
from graphret.graph.walk import WalkSearch, WalkStructure
from graphret.graph.walk_structure import walk_structure

__all__ = [
    "Graph",
    "NearestSearch",
    "NeighborTable",
    "Search",
    "SearchCounts",
    "WalkSearch",
    "WalkStructure",
    "nearest_neighbors",
    "similarity_graph",
    "to_igraph",
    "to_networkx",
    "walk_structure",
    "write_graphml",
]
