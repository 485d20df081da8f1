"""How good an encoder is: area under the ROC curve of its classifier, precision of rankings by its codes."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._errors import DataError, InvalidParameterError
from graphret.encoders.inference.colours import reads_colour
from graphret.training.films import PreparedFilms
from graphret.training.verdict import SCORE_NAMES, Z

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from graphret._types import BoolArray, Float32Array, Float64Array
    from graphret.data import ImageTable
    from graphret.encoders import Encoder

__all__ = ["Score", "classifier_auc", "label_aucs", "labels_with_both_classes", "retrieval_chance", "retrieval_map"]

logger = logging.getLogger(__name__)

MAX_QUERIES = 2000
"""Queries of :func:`retrieval_map`, at most."""


@dataclass(frozen=True)
class Score:
    """How good an epoch is on the validation films.

    Parameters
    ----------
    score
        What epochs are compared by, larger is better.
    selected_by
        What ``score`` is: ``"auc"`` or ``"retrieval"``.
    auc
        AUC by label; empty without a classifier.
    retrieval
        Mean average precision of :func:`retrieval_map`, where it was asked for.
    chance, margin
        Score of a network that knows nothing, and half the 95 % interval around it (``None``: not known).
    """

    score: float
    selected_by: str
    auc: dict[str, float]
    retrieval: float | None = None
    chance: float = 0.5
    margin: float | None = None

    @classmethod
    def of_auc(cls, auc: dict[str, float], margin: float | None = None) -> Score:
        """Compare epochs by the mean AUC."""
        return cls(float(np.mean(list(auc.values()))), "auc", auc, margin=margin)

    @property
    def name(self) -> str:
        """What ``score`` is called: "AUC" or "mAP"."""
        return SCORE_NAMES[self.selected_by]

    def to_json(self) -> dict[str, Any]:
        """As a JSON object, with the name of the score and the mean AUC (``None`` without a classifier)."""
        return {
            **asdict(self),
            "name": self.name,
            "mean_auc": float(np.mean(list(self.auc.values()))) if self.auc else None,
        }


def classifier_auc(
    encoder: Encoder, table: ImageTable, *, split: str | None = "test", batch_size: int = 64
) -> dict[str, float]:
    """Measure the AUC of every label that encoder and table share (Haq et al. 2021, Tables 4 and 5).

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
    with PreparedFilms(films, rows, encoder.size, cache_bytes=0, colour=reads_colour(encoder)) as prepared:
        for group, images, readable in prepared.batches(groups):
            known.append(group[readable])
            probabilities.append(encoder.predict(np.asarray(images)[readable], batch_size=batch_size))
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


def retrieval_map(
    codes: Float32Array, labels: NDArray[np.int8], patients: Sequence[str] | NDArray[np.str_], *, binary: bool
) -> float:
    """Mean average precision when each film ranks all films of other patients.

    A film is relevant if it shares a positive label with the query, or both are known to have no finding. Binary codes
    are compared by the Hamming distance of their signs (sign(0) = +1), others by cosine. Films at the same distance
    count with the average precision that they have on average over all their orders (McSherry and Najork 2008), so that
    no order of the table is rewarded.

    Parameters
    ----------
    codes
        float32 (n, d).
    labels
        int8 (n, L): 1, 0, -1 uncertain.
    patients
        n patients.
    binary
        Whether only the signs count.

    Returns
    -------
    float
        In [0, 1], over the films that have a relevant one, at most 2000 of them, evenly spaced. NaN if none has.

    Notes
    -----
    O(q n (d + log n)) for q queries, O(n) memory beside the codes.

    Examples
    --------
    >>> codes = np.array([[1, 2], [3, 4], [-1, 1], [-2, 2]], dtype=np.float32)
    >>> labels = np.array([[1, 0], [1, 0], [0, 1], [0, 1]], dtype=np.int8)
    >>> retrieval_map(codes, labels, list("abcd"), binary=True)
    1.0
    """
    precisions = _precisions(codes, labels, patients, binary=binary)
    return float(precisions.mean()) if len(precisions) else float("nan")


def retrieval_chance(
    codes: Float32Array, labels: NDArray[np.int8], patients: Sequence[str] | NDArray[np.str_], *, binary: bool
) -> tuple[float, float]:
    """Mean average precision of a random order of the same films, and half the 95 % interval around it.

    The interval is that of the mean over queries of what `retrieval_map` finds above or below a random order.

    Examples
    --------
    >>> codes = np.array([[1, 2], [3, 4], [-1, 1], [-2, 2]], dtype=np.float32)
    >>> labels = np.array([[1, 0], [1, 0], [0, 1], [0, 1]], dtype=np.int8)
    >>> chance, margin = retrieval_chance(codes, labels, list("abcd"), binary=True)
    >>> round(chance, 3), margin
    (0.611, 0.0)
    """
    found = _precisions(codes, labels, patients, binary=binary)
    # Equal codes count with their mean over all orders: that of a random one, exactly.
    chance = _precisions(np.zeros_like(codes), labels, patients, binary=True)
    error = float((found - chance).std(ddof=1)) / len(found) ** 0.5 if len(found) > 1 else float("inf")
    return float(chance.mean()), Z * error


def _precisions(
    codes: Float32Array, labels: NDArray[np.int8], patients: Sequence[str] | NDArray[np.str_], *, binary: bool
) -> Float64Array:
    """Average precision of every query that has a relevant film."""
    positive, healthy = (labels == 1).astype(np.float32), (labels == 0).all(axis=1)
    names = np.asarray(patients)
    points = np.where(codes >= 0, 1.0, -1.0).astype(np.float32) if binary else _unit(codes)
    precisions = []
    n = len(codes)
    for query in np.linspace(0, n - 1, min(n, MAX_QUERIES)).round().astype(np.int64).tolist():
        others = names != names[query]
        relevant = (positive @ positive[query] > 0) | (healthy & healthy[query])
        if not relevant[others].any():
            continue
        precisions.append(_expected_precision(points[others] @ points[query], relevant[others]))
    return np.array(precisions, dtype=np.float64)


def _unit(codes: Float32Array) -> Float32Array:
    # A network can give an all-zero code early in its training; it is then equally far from all.
    lengths = np.linalg.norm(codes.astype(np.float64), axis=1, keepdims=True)
    unit: Float32Array = (codes / np.maximum(lengths, 1e-12)).astype(np.float32)
    return unit


def _expected_precision(similarities: Float32Array, relevant: BoolArray) -> float:
    """Average precision over all orders of equal similarities: one term for every place of the ranking."""
    order = np.argsort(-similarities, kind="stable")
    ranked, hits = similarities[order], relevant[order].astype(np.float64)
    starts = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]]))
    sizes = np.diff(np.append(starts, len(ranked)))
    found = np.add.reduceat(hits, starts)
    before = np.concatenate([[0.0], np.cumsum(found)[:-1]])
    n, r, earlier = (np.repeat(values, sizes) for values in (sizes, found, before))
    place = np.arange(1, len(ranked) + 1)
    within = place - np.repeat(starts, sizes)
    # Given that this place holds one of the r, the places before it in the group hold others of them by chance.
    expected: Float64Array = r / n * (earlier + 1 + (within - 1) * (r - 1) / np.maximum(n - 1, 1)) / place
    return float(expected.sum() / hits.sum())


def labels_with_both_classes(labels: NDArray[np.int8]) -> list[int]:
    """Columns of int8 (n, L) that hold a positive and a negative."""
    return np.flatnonzero((labels == 1).any(axis=0) & (labels == 0).any(axis=0)).tolist()
