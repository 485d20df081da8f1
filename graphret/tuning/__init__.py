"""Choose the ranking of an archive by queries of its own films."""

from graphret.tuning.candidates import label_aware_candidates
from graphret.tuning.successive_halving import Candidate, Trial, Tuning, choose_ranking, default_candidates
from graphret.tuning.tune_index import tune

__all__ = [
    "Candidate",
    "Trial",
    "Tuning",
    "choose_ranking",
    "default_candidates",
    "label_aware_candidates",
    "tune",
]
