"""Communities of the similarity graph: Louvain on modularity and on weighted modularity."""

from graphret.communities.louvain import Partition, louvain
from graphret.communities.modularity import modularity
from graphret.communities.partition import partition

__all__ = ["Partition", "louvain", "modularity", "partition"]
