"""Build an index, and let its own films choose how it ranks."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._checks import check_number
from graphret._errors import InvalidParameterError, UnknownNameError
from graphret.index.build import build as build_index
from graphret.tuning.tune_index import tune as tune_index

if TYPE_CHECKING:
    import os

    from graphret._types import Progress
    from graphret.encoders import Encoder, ModelEncoder
    from graphret.index import Index

__all__ = ["build"]

logger = logging.getLogger(__name__)

LEAST_FILMS, LEAST_PATIENTS = 100, 20
"""Films with a finding, and patients of these, that "auto" asks for: fewer hardly ever make a gain clear."""
SHARE, LEAST_SECONDS = 0.25, 30.0
"""Time of the tuning: this share of the build's, and never less than this."""


def build(
    films_or_codes: Any,
    encoder: Encoder | ModelEncoder | None = None,
    *,
    out: str | os.PathLike[str],
    tune: bool | str = "auto",
    tune_budget: float | str | None = "auto",
    progress: Progress | None = None,
    **options: Any,
) -> Index:
    """Build an index of films, or of codes made elsewhere, tune its ranking on its own films, and open it.

    `graphret.index.build` makes the index; all its parameters are taken. `graphret.tune` then chooses the ranking that
    queries use where they name none: "nearest", unless another is clearly better on films of the archive whose patients
    took no part in choosing it.

    Parameters
    ----------
    films_or_codes, encoder, out
        As for `graphret.index.build`.
    tune
        True, False, or "auto": where at least 100 films of 20 patients have a finding, and some patients share one.
        Without labels nothing is known of what a ranking is worth, and "nearest" stays.
    tune_budget
        Seconds for the tuning, ``None`` for no limit; "auto": a quarter of the time that the build took, at least 30 s.
    progress
        Called as ``progress(stage, done, total)``; the last stage is "tune".
    **options
        Ids, labels, patients, parameters of `BuildConfig` ...: see `graphret.index.build`.

    Returns
    -------
    Index
        Equal input gives an equal index, and an equal choice where ``index.tuning["complete"]``.

    Raises
    ------
    UnknownNameError
        ``tune`` is another word.
    InvalidParameterError
        ``tune_budget`` is not above 0; or ``tune=True`` and nothing can be chosen (one patient, no finding that two
        patients share). The index is kept then, and the message says so.
    GraphretError
        What `graphret.index.build` and `graphret.tune` raise.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     index = build(np.eye(9, dtype=np.float32), out=folder, k=5)
    ...     len(index), index.default_ranking, index.tuning
    (9, 'nearest', None)
    """
    if not isinstance(tune, bool) and tune != "auto":
        raise UnknownNameError("tune", tune, ["auto"], "or True or False")
    budget = None if tune_budget is None or tune_budget == "auto" else _seconds(tune_budget)
    began = time.monotonic()
    index = build_index(films_or_codes, encoder, out=out, progress=progress, **options)
    if tune is True or (tune == "auto" and _can_choose(index)):
        if tune_budget == "auto":
            budget = max(SHARE * (time.monotonic() - began), LEAST_SECONDS)
        config = options.get("config")
        n_threads = options.get("n_threads", None if config is None else config.n_threads)
        try:
            found = tune_index(index, budget=budget, n_threads=n_threads, progress=progress)
        except InvalidParameterError as error:
            if tune == "auto":
                logger.warning("the index is not tuned, queries are answered by nearest: %s", error)
                return index
            what = f"the index was built and is kept in {out}; it cannot be tuned: {error}"
            raise InvalidParameterError("tune", tune, '"auto", or False', what) from error
        index.record_tuning(found.to_dict())
    return index


def _seconds(budget: Any) -> float:
    return check_number("tune_budget", budget, above=0.0, hint='seconds, None for no limit, or "auto"')


def _can_choose(index: Index) -> bool:
    """Whether enough films have a finding for a gain to become clear."""
    some = index.films.relevance().any(axis=1)
    return bool(some.sum() >= LEAST_FILMS and len(np.unique(index.films.patients[some])) >= LEAST_PATIENTS)
