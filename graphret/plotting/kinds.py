"""The kinds of plots by name, and the one call that draws any of them."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from graphret._registry import Registry, check_options
from graphret.plotting.at_depth import map_at_k, precision_at_k, precision_recall
from graphret.plotting.class_balance import class_balance
from graphret.plotting.map_of_films import map_of_films
from graphret.plotting.training_curves import training

if TYPE_CHECKING:
    from collections.abc import Callable

    from graphret._types import Progress
    from graphret.plotting.drawn import Plot

__all__ = ["PLOTS", "list_plots", "plot"]

PLOTS: Registry[Callable[..., Plot]] = Registry(
    "kind of plot",
    {
        "archive-map": map_of_films,
        "class-balance": class_balance,
        "map-at-k": map_at_k,
        "precision-at-k": precision_at_k,
        "precision-recall": precision_recall,
        "training": training,
    },
)
_PROGRESS = "progress"


def list_plots() -> list[str]:
    """Names of the kinds of plots, sorted.

    Examples
    --------
    >>> list_plots()
    ['archive-map', 'class-balance', 'map-at-k', 'precision-at-k', 'precision-recall', 'training']
    """
    return list(PLOTS)


def plot(kind: str, source: Any, *, progress: Progress | None = None, **options: Any) -> Plot:
    """Draw one plot.

    Parameters
    ----------
    kind
        One of `list_plots`.
    source
        An index or its folder. For "class-balance" also an `ImageTable`; for "training" the folder of a training, or
        its ``history.json``.
    progress
        Called as ``progress(stage, done, total)`` by the kinds that measure.
    options
        "precision-at-k", "map-at-k", "precision-recall": ``split``, ``rankings`` and ``seed`` as in
        `graphret.evaluate`, which measures them, and ``depths``, the K >= 1 from small to large. "archive-map":
        ``colour``, "community" (the default), "split", "view" or a finding.

    Returns
    -------
    Plot
        Its ``save`` writes the figure, its ``save_csv`` the numbers.

    Raises
    ------
    UnknownNameError
        An unknown kind, option, colour or ranking.
    InvalidParameterError
        The films have no labels, or a value is not allowed.
    MissingFileError, DataError
        The history of a training is not there, or is none.

    Notes
    -----
    The time is that of `graphret.evaluate` or `graphret.archive_map`; the other kinds are O(n L).

    Examples
    --------
    >>> import graphret, numpy as np, tempfile
    >>> codes = np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     labels = {"Mass": np.arange(60) < 20}
    ...     index = graphret.build(codes, labels=labels, out=f"{folder}/index", k=5, tune=False)
    ...     plot("class-balance", index).rows
    (('Mass', 20, 0, 40),)
    """
    draw = PLOTS[kind]
    known = {
        name: entry.default
        for name, entry in inspect.signature(draw).parameters.items()
        if entry.kind is entry.KEYWORD_ONLY
    }
    chosen = check_options(f"plot {kind!r}", options, {key: value for key, value in known.items() if key != _PROGRESS})
    return draw(source, **chosen, **({_PROGRESS: progress} if _PROGRESS in known else {}))
