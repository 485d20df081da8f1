"""Score an index on films that it did not train on: measures, intervals, comparisons, reports."""

from graphret.evaluation.bootstrap import Difference, Interval, paired_difference, patient_bootstrap
from graphret.evaluation.contact_sheet import contact_sheet
from graphret.evaluation.measures import evaluate_ranking, list_measures
from graphret.evaluation.protocol import evaluate
from graphret.evaluation.report import RankingScores, Report
from graphret.evaluation.saliency import draw_saliency, saliency_overlay
from graphret.evaluation.ties import evaluate_hamming
from graphret.evaluation.trec import read_qrels, read_run, write_qrels, write_run
from graphret.evaluation.tune_index import tune
from graphret.evaluation.tuning import Candidate, Trial, Tuning, choose_ranking, default_candidates

__all__ = [
    "Candidate",
    "Difference",
    "Interval",
    "RankingScores",
    "Report",
    "Trial",
    "Tuning",
    "choose_ranking",
    "contact_sheet",
    "default_candidates",
    "draw_saliency",
    "evaluate",
    "evaluate_hamming",
    "evaluate_ranking",
    "list_measures",
    "paired_difference",
    "patient_bootstrap",
    "read_qrels",
    "read_run",
    "saliency_overlay",
    "tune",
    "write_qrels",
    "write_run",
]
