"""How well the classifier of an encoder separates the labels: area under the ROC curve."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from graphret._errors import DataError, InvalidParameterError
from graphret.training.films import PreparedFilms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from graphret._types import Float32Array
    from graphret.data import ImageTable
    from graphret.encoders import Encoder

__all__ = ["classifier_auc", "label_aucs", "labels_with_both_classes"]

logger = logging.getLogger(__name__)


def classifier_auc(
    encoder: Encoder, table: ImageTable, *, split: str | None = "test", batch_size: int = 64
) -> dict[str, float]:
    """Measure the AUC of every label that encoder and table share (P1 Tables 4 and 5).

    Parameters
    ----------
    encoder
        Its classifier predicts the labels.
    table
        Films and labels; uncertain labels are left out, as are films that cannot be read (they are logged).
    split
        Films that count; ``None`` for all.
    batch_size
        Films that are predicted at once.

    Returns
    -------
    dict
        AUC in [0, 1] by label, in the encoder's order. A label of which the films have only one class has no AUC and is
        not in it (it is logged).

    Raises
    ------
    InvalidParameterError
        Encoder and table share no label.
    DataError
        No film of the split can be read.
    """
    shared = [name for name in encoder.label_names if name in table.label_names]
    if not shared:
        raise InvalidParameterError(
            "table",
            f"labels {', '.join(table.label_names)}",
            f"a table with a label of {', '.join(encoder.label_names)}",
        )
    films = table if split is None else table.split(split)
    rows = np.arange(len(films))
    groups = [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
    known, probabilities = [], []
    with PreparedFilms(films, rows, encoder.size, cache_bytes=0) as prepared:
        for group, images, readable in prepared.batches(groups):
            known.append(group[readable])
            probabilities.append(encoder.predict(images[readable], batch_size=batch_size))
    kept = np.concatenate(known) if known else rows
    if not len(kept):
        raise DataError(f"no film of the split {split!r} can be read: there is nothing to measure")
    outputs = [encoder.label_names.index(name) for name in shared]
    columns = [table.label_names.index(name) for name in shared]
    labels = films.labels[kept][:, columns]
    aucs = label_aucs(np.concatenate(probabilities)[:, outputs], labels, shared)
    for name in shared:
        if name not in aucs:
            logger.info("label %s has no AUC: the films have only one class of it", name)
    return aucs


def label_aucs(probabilities: Float32Array, labels: NDArray[np.int8], names: Sequence[str]) -> dict[str, float]:
    """AUC of every label with both classes, over the films that know it.

    Parameters
    ----------
    probabilities
        float32 (n, L).
    labels
        int8 (n, L): 1, 0, -1 uncertain.
    names
        L label names.

    Examples
    --------
    >>> import numpy as np
    >>> p = np.array([[0.1, 0.5], [0.9, 0.5], [0.4, 0.5]], dtype=np.float32)
    >>> label_aucs(p, np.array([[0, 0], [1, 0], [-1, -1]], dtype=np.int8), ["Mass", "Nodule"])
    {'Mass': 1.0}
    """
    import torch
    from torchmetrics.functional.classification import binary_auroc

    aucs = {}
    for column in labels_with_both_classes(labels):
        known = labels[:, column] >= 0
        scores = torch.from_numpy(np.ascontiguousarray(probabilities[known, column], dtype=np.float32))
        truth = torch.from_numpy(labels[known, column].astype(np.int64))
        aucs[names[column]] = float(binary_auroc(scores, truth))
    return aucs


def labels_with_both_classes(labels: NDArray[np.int8]) -> list[int]:
    """Columns of int8 (n, L) that hold a positive and a negative."""
    return np.flatnonzero((labels == 1).any(axis=0) & (labels == 0).any(axis=0)).tolist()
