"""Whether a training had reached its plateau, read from its validation scores."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["not_to_the_end", "read_training_state", "training_state"]

_FEWEST = 4


def training_state(scores: list[float], passes: float) -> dict[str, Any]:
    """Say how far a training came.

    Parameters
    ----------
    scores
        Validation score after every whole pass, in order; larger is better.
    passes
        Passes over the training films, with the part of one that was not finished.

    Returns
    -------
    dict
        ``passes``; ``best_pass`` (from 1) and ``best_score``, the first of equals, and ``passes_since``, None without a
        whole pass; ``still_rising``: whether the best of the last quarter of the passes is above all before, None for
        fewer than four.

    Examples
    --------
    >>> state = training_state([0.4, 0.5, 0.6, 0.6, 0.55, 0.5, 0.5, 0.5], 8.0)
    >>> state["best_pass"], state["passes_since"], state["still_rising"]
    (3, 5.0, False)
    >>> training_state([0.4, 0.5, 0.6, 0.7], 4.0)["still_rising"]
    True
    """
    if not scores:
        return {"passes": passes, "best_pass": None, "best_score": None, "passes_since": None, "still_rising": None}
    best = max(scores)
    place = scores.index(best) + 1
    last = len(scores) // 4
    return {
        "passes": passes,
        "best_pass": place,
        "best_score": best,
        "passes_since": passes - place,
        "still_rising": max(scores[-last:]) > max(scores[:-last]) if len(scores) >= _FEWEST else None,
    }


def not_to_the_end(state: dict[str, Any]) -> str:
    """Say why a training is not at its plateau; "" where it is.

    Examples
    --------
    >>> not_to_the_end(training_state([0.4], 1.3)), not_to_the_end(training_state([0.5, 0.4, 0.3, 0.2], 4.0))
    ('1.3 passes only', '')
    """
    if state["still_rising"] is None:
        return f"{state['passes']:.3g} passes only"
    return "still rising" if state["still_rising"] else ""


def read_training_state(folder: Path) -> dict[str, Any] | None:
    """Read the state of the training in a folder of an encoder; None where its history cannot be read."""
    try:
        history = json.loads((folder / "history.json").read_text(encoding="utf-8"))
        epochs, unfinished = history["epochs"], history["unfinished"]
        passes = float(unfinished["epochs"]) if unfinished else float(len(epochs))
        return training_state([float(epoch["score"]) for epoch in epochs], passes)
    except (OSError, ValueError, KeyError, TypeError):
        return None
