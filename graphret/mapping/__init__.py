"""The map of an archive, and what its communities are."""

from graphret.mapping.layout import map_films
from graphret.mapping.middle import medoids
from graphret.mapping.stored_map import archive_map
from graphret.mapping.summaries import CommunityLink, CommunitySummary, FindingLift, community_summaries

__all__ = [
    "CommunityLink",
    "CommunitySummary",
    "FindingLift",
    "archive_map",
    "community_summaries",
    "map_films",
    "medoids",
]
