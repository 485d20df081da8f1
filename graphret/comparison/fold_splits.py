"""The splits of one fold of a comparison."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from graphret._errors import DataError
from graphret.data.splits import patient_folds

if TYPE_CHECKING:
    from graphret.comparison.data_settings import DataSettings
    from graphret.data import ImageTable

__all__ = ["with_fold"]


def with_fold(table: ImageTable, data: DataSettings, fold: int) -> ImageTable:
    """Give a table the splits of one fold; patients are dealt by ``data.seed`` and are never on both sides.

    Parameters
    ----------
    table
        All films of the data set.
    data
        ``folds`` and ``fold_of``.
    fold
        From 0.

    Raises
    ------
    DataError
        Fewer patients than folds.
    """
    splits = table.splits.astype("<U5")
    dealt = np.ones(len(table), np.bool_) if data.fold_of == "queries" else np.isin(splits, ["train", "valid"])
    names = table.patients[dealt]
    if len(np.unique(names)) < data.folds:
        raise DataError(
            f"{len(np.unique(names))} patients cannot be divided into {data.folds} folds: give fewer in data.folds"
        )
    here = patient_folds(names, data.folds, data.seed) == fold
    splits[dealt] = np.where(here, data.queries if data.fold_of == "queries" else "valid", "train")
    return replace(table, splits=splits)
