"""Choose the ranking of an archive by queries of its own films, alone or at the end of a build."""

from graphret.tuning.build_index import build
from graphret.tuning.candidates import Candidate, default_candidates, label_aware_candidates
from graphret.tuning.contest import choose_ranking
from graphret.tuning.outcome import Trial, Tuning
from graphret.tuning.tune_index import tune

__all__ = [
    "Candidate",
    "Trial",
    "Tuning",
    "build",
    "choose_ranking",
    "default_candidates",
    "label_aware_candidates",
    "tune",
]
