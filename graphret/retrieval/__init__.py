"""Rankings of an archive for a query: region growing and what it is compared with. Arrays only, never torch."""

from graphret.retrieval.protocol import SOURCES, Archive, QueryBatch, RankedLists, Ranker
from graphret.retrieval.region_growing import RegionGrowing, region_growing

__all__ = ["SOURCES", "Archive", "QueryBatch", "RankedLists", "Ranker", "RegionGrowing", "region_growing"]
