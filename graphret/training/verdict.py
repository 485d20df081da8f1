"""What the score of a training is called, and whether the chosen epoch has learnt anything that it shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["SCORE_NAMES", "auc_margin", "score_name", "warnings_of"]

SCORE_NAMES = {"auc": "AUC", "retrieval": "mAP"}
Z = 1.96
"""Half the width of a 95 % interval, in standard errors."""


def score_name(validation: Mapping[str, Any]) -> str:
    """What the score of an epoch is: "AUC" (mean over labels) or "mAP" (mean average precision of its codes).

    Examples
    --------
    >>> score_name({"selected_by": "retrieval", "score": 0.4})
    'mAP'
    """
    return SCORE_NAMES[validation["selected_by"]]


def auc_margin(labels: NDArray[np.int8], columns: Sequence[int]) -> float:
    """Half the 95 % interval of the mean AUC of a classifier that knows nothing.

    The variance of one AUC without any effect is (p + n + 1) / (12 p n) for p positives and n negatives (Mann and
    Whitney 1947). Labels of one film depend on each other, so the mean over labels is not taken to vary less than one.

    Examples
    --------
    >>> round(auc_margin(np.array([[1], [1], [0], [0]], dtype=np.int8), [0]), 3)
    0.633
    """
    positive = np.array([(labels[:, column] == 1).sum() for column in columns], dtype=np.float64)
    negative = np.array([(labels[:, column] == 0).sum() for column in columns], dtype=np.float64)
    errors = np.sqrt((positive + negative + 1) / (12 * positive * negative))
    return float(Z * errors.mean())


def warnings_of(best: Mapping[str, Any], history: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say what speaks against the chosen epoch.

    Near chance: its score is not above that of chance by more than half a 95 % interval (`auc_margin`; for mAP, of the
    differences between every query's precision and that of a random order). No progress: several epochs were trained,
    and none has a higher score than the first.

    Examples
    --------
    >>> best = {"epoch": 1, "selected_by": "auc", "score": 0.52, "chance": 0.5, "margin": 0.05}
    >>> for text in warnings_of(best, [best, {"score": 0.51}]):
    ...     print(text)
    the validation AUC 0.520 of epoch 1 is not clearly above chance (0.500 + 0.050)
    no epoch of 2 has a higher validation AUC than epoch 1
    """
    name, found = score_name(best), []
    if best["margin"] is not None and best["score"] <= best["chance"] + best["margin"]:
        found.append(
            f"the validation {name} {best['score']:.3f} of epoch {best['epoch']:g} is not clearly above chance "
            f"({best['chance']:.3f} + {best['margin']:.3f})"
        )
    if len(history) > 1 and best["epoch"] == 1:
        found.append(f"no epoch of {len(history)} has a higher validation {name} than epoch 1")
    return found
