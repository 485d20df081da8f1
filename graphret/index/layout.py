"""The files of a generation by their roles."""

from __future__ import annotations

__all__ = [
    "ALL_ARRAYS",
    "ARRAYS",
    "CHANGE_ARRAYS",
    "CODE_CHECKSUMS",
    "ENCODER",
    "FILMS",
    "FRONT",
    "GRAPH_SEARCH_ARRAYS",
    "GRAPH_SEARCH_ATTRIBUTES",
    "PROBLEMS",
]

ARRAYS = {
    "codes": "codes.npy",
    "lengths": "lengths.npy",
    "indptr": "graph-indptr.npy",
    "indices": "graph-indices.npy",
    "weights": "graph-weights.npy",
    "communities": "communities.npy",
}
GRAPH_SEARCH_ARRAYS = {
    "search codes": "search-codes.npy",
    "search directions": "search-directions.npy",
    "search entry points": "search-entry-points.npy",
    "search indptr": "search-indptr.npy",
    "search indices": "search-indices.npy",
}
"""There when the manifest's ``search`` says "graph"."""
GRAPH_SEARCH_ATTRIBUTES = {
    "search codes": "short",
    "search directions": "directions",
    "search entry points": "entry_points",
    "search indptr": "indptr",
    "search indices": "indices",
}
"""The arrays of a `GraphSearchStructure` by their roles here."""
CODE_CHECKSUMS = {"code checksums": "code-checksums.npy"}
"""Not there in an index of a graphret that did not write it: its codes are hashed in full at their first use."""
CHANGE_ARRAYS = {
    "neighbors": "knn-neighbors.npy",
    "neighbor similarities": "knn-similarities.npy",
    "film files": "film-files.npy",
}
"""From which an index is changed. The first two are there together, the last where a film has a file."""
ALL_ARRAYS = ARRAYS | CODE_CHECKSUMS | GRAPH_SEARCH_ARRAYS
FRONT = "front.json"
"""What says, in the place of CURRENT, that a folder joins the shards of one archive."""
FILMS = "films.parquet"
PROBLEMS = "problems.json"
ENCODER = "encoder"
