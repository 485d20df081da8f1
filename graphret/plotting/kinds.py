"""The kinds of plots by name, and the one call that draws any of them."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from graphret._registry import Registry, check_options
from graphret.plotting.at_depth import map_at_k, precision_at_k, precision_recall
from graphret.plotting.class_balance import class_balance
from graphret.plotting.confusion import confusion
from graphret.plotting.embedding import tsne, umap
from graphret.plotting.hamming_radius import hamming_radius
from graphret.plotting.map_of_films import map_of_films
from graphret.plotting.roc import roc
from graphret.plotting.sheets import saliency_sheet, segmentation_sheet
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
        "confusion": confusion,
        "hamming-radius": hamming_radius,
        "map-at-k": map_at_k,
        "precision-at-k": precision_at_k,
        "precision-recall": precision_recall,
        "roc": roc,
        "saliency": saliency_sheet,
        "segmentation": segmentation_sheet,
        "training": training,
        "tsne": tsne,
        "umap": umap,
    },
)
_PROGRESS = "progress"


def list_plots() -> list[str]:
    """Names of the kinds of plots, sorted.

    Examples
    --------
    >>> list_plots()[:4]
    ['archive-map', 'class-balance', 'confusion', 'hamming-radius']
    """
    return list(PLOTS)


def plot(kind: str, source: Any, *, progress: Progress | None = None, **options: Any) -> Plot:
    """Draw one plot.

    Parameters
    ----------
    kind
        One of `list_plots`.
    source
        An index or its folder. For "class-balance", "saliency" and "segmentation" also an `ImageTable`; for "training"
        the folder of a training, or its ``history.json``.
    progress
        Called as ``progress(stage, done, total)`` by the kinds that measure.
    options
        "precision-at-k", "map-at-k", "precision-recall": ``split``, ``rankings`` and ``seed`` as in
        `graphret.evaluate`, which measures them, and ``depths``, the K >= 1 from small to large.

        "roc", "confusion", "hamming-radius": ``split``, the name of a split as in `graphret.evaluate`; the first two
        also ``ranking`` and ``k``, the hits that vote. "roc": ``by``, "neighbors" or "encoder", whose score is drawn.

        "archive-map", "tsne", "umap": ``colour``, "community" (the default), "split", "view" or a finding; the last two
        also ``n_films``, of which a larger archive is a sample, and ``seed``.

        "saliency", "segmentation": ``encoder``, an `Encoder` or its folder where it is not that of the index;
        ``split``, all films if not given; ``n_films`` and ``seed``. "class-balance": ``by``, None or "split".

    Returns
    -------
    Plot
        Its ``save`` writes the figure, its ``save_csv`` the numbers.

    Raises
    ------
    UnknownNameError
        An unknown kind, option, colour or ranking.
    InvalidParameterError
        The films have no labels, or a value is not allowed; "hamming-radius" of a dense encoder.
    MissingFileError, DataError
        The history of a training is not there, or is none; no film can be read.
    EncoderError
        The encoder draws no saliency or no masks, or has no classifier.
    MissingDependencyError
        "tsne" without scikit-learn, "umap" without umap-learn.

    Notes
    -----
    The time is that of `graphret.evaluate`, `graphret.archive_map` or the queries. "hamming-radius" compares every
    query with every film, "tsne" is O(m log m) for m films, the sheets read ``n_films``, the other kinds are O(n L).

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
