"""Compare the graph engine and hashing on the same films: experiments, runs that resume, reports."""

from __future__ import annotations

from graphret.comparison.defaults import changed, default_experiment, methods_by_name
from graphret.comparison.experiment import (
    BudgetSettings,
    DataSettings,
    Experiment,
    IntervalSettings,
    MethodSettings,
    OrderSettings,
    QuestionSettings,
    RankingSettings,
    SheetSettings,
)
from graphret.comparison.experiment_file import read_experiment
from graphret.comparison.pool import PooledReports, pool_reports
from graphret.comparison.published import list_published, read_published
from graphret.comparison.report import Comparison
from graphret.comparison.rows import MeasuredRow
from graphret.comparison.runner import compare, open_experiment
from graphret.comparison.templates import list_templates, missing_methods, read_template
from graphret.comparison.whole_table import WholeTable, compare_whole_table

__all__ = [
    "BudgetSettings",
    "Comparison",
    "DataSettings",
    "Experiment",
    "IntervalSettings",
    "MeasuredRow",
    "MethodSettings",
    "OrderSettings",
    "PooledReports",
    "QuestionSettings",
    "RankingSettings",
    "SheetSettings",
    "WholeTable",
    "changed",
    "compare",
    "compare_whole_table",
    "default_experiment",
    "list_published",
    "list_templates",
    "methods_by_name",
    "missing_methods",
    "open_experiment",
    "pool_reports",
    "read_experiment",
    "read_published",
    "read_template",
]
