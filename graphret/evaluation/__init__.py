"""Score an index on films that it did not train on: measures, intervals, comparisons, reports."""

from graphret.evaluation.bootstrap import Difference, Interval, macro_bootstrap, paired_difference, patient_bootstrap
from graphret.evaluation.column_measures import column_scores
from graphret.evaluation.contact_sheet import contact_sheet
from graphret.evaluation.hamming_radius import RadiusCounts, count_within_radius
from graphret.evaluation.judgements import read_judgements
from graphret.evaluation.localisation import Localisation, localise, localise_findings
from graphret.evaluation.measures import evaluate_ranking, list_measures
from graphret.evaluation.protocol import evaluate
from graphret.evaluation.report import RankingScores, Report
from graphret.evaluation.roc import area_under_curve, roc_curve
from graphret.evaluation.saliency import draw_saliency, saliency_overlay
from graphret.evaluation.segmentation import mask_overlap, segmentation_quality
from graphret.evaluation.sign_flips import sign_flip_p_value
from graphret.evaluation.similarity_map import SimilarityMaps, similarity_maps
from graphret.evaluation.ties import evaluate_hamming
from graphret.evaluation.trec import qrels_text, read_qrels, read_run, write_qrels, write_run

__all__ = [
    "Difference",
    "Interval",
    "Localisation",
    "RadiusCounts",
    "RankingScores",
    "Report",
    "SimilarityMaps",
    "area_under_curve",
    "column_scores",
    "contact_sheet",
    "count_within_radius",
    "draw_saliency",
    "evaluate",
    "evaluate_hamming",
    "evaluate_ranking",
    "list_measures",
    "localise",
    "localise_findings",
    "macro_bootstrap",
    "mask_overlap",
    "paired_difference",
    "patient_bootstrap",
    "qrels_text",
    "read_judgements",
    "read_qrels",
    "read_run",
    "roc_curve",
    "saliency_overlay",
    "segmentation_quality",
    "sign_flip_p_value",
    "similarity_maps",
    "write_qrels",
    "write_run",
]
