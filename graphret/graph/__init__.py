"""The similarity graph: neighbours that pass a threshold, as a symmetric CSR. Arrays only, never torch."""

from graphret.graph.export import to_igraph, to_networkx, write_graphml
from graphret.graph.similarity_graph import Graph, similarity_graph

__all__ = ["Graph", "similarity_graph", "to_igraph", "to_networkx", "write_graphml"]
