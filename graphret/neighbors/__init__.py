"""Nearest neighbours by cosine: the kNN table of an archive, and searches for queries. Arrays only."""

from graphret.neighbors.checksums import RowChecksums, row_checksums
from graphret.neighbors.exact_search import ExactSearch, Search
from graphret.neighbors.graph_search import GraphSearch, GraphSearchStructure
from graphret.neighbors.graph_search_build import build_graph_search
from graphret.neighbors.knn import nearest_neighbors
from graphret.neighbors.neighbor_table import NeighborTable, SearchCounts

__all__ = [
    "ExactSearch",
    "GraphSearch",
    "GraphSearchStructure",
    "NeighborTable",
    "RowChecksums",
    "Search",
    "SearchCounts",
    "build_graph_search",
    "nearest_neighbors",
    "row_checksums",
]
