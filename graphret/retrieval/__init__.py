"""Rankings of an archive for a query: region growing and what it is compared with. Arrays only, never torch."""

from graphret.retrieval.choice import TUNED, RankingChoice, parse_rankings
from graphret.retrieval.contextual import Contextual
from graphret.retrieval.contextual_forms import rank_forms
from graphret.retrieval.diffusion import Diffusion
from graphret.retrieval.expansion import AlphaQueryExpansion
from graphret.retrieval.explain import Reason, explain
from graphret.retrieval.findings import Findings
from graphret.retrieval.hamming import Hamming
from graphret.retrieval.label_aware import LabelAware
from graphret.retrieval.learned_metric import LabelScatter, LearnedMetric
from graphret.retrieval.nearest import Nearest
from graphret.retrieval.novelty import Novelty, best_similarities
from graphret.retrieval.one_per_group import rank_one_per_group
from graphret.retrieval.protocol import SOURCES, Archive, QueryBatch, RankedLists, Ranker
from graphret.retrieval.region_growing import RegionGrowing, region_growing
from graphret.retrieval.registry import DEFAULT_RANKING, create_ranking, list_rankings, ranking_options, uses_labels

__all__ = [
    "DEFAULT_RANKING",
    "SOURCES",
    "TUNED",
    "AlphaQueryExpansion",
    "Archive",
    "Contextual",
    "Diffusion",
    "Findings",
    "Hamming",
    "LabelAware",
    "LabelScatter",
    "LearnedMetric",
    "Nearest",
    "Novelty",
    "QueryBatch",
    "RankedLists",
    "Ranker",
    "RankingChoice",
    "Reason",
    "RegionGrowing",
    "best_similarities",
    "create_ranking",
    "explain",
    "list_rankings",
    "parse_rankings",
    "rank_forms",
    "rank_one_per_group",
    "ranking_options",
    "region_growing",
    "uses_labels",
]
