"""Candidates of a tuning of "label_aware": apart from `default_candidates`, which read no labels at query time."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from graphret._errors import InvalidParameterError
from graphret.retrieval import list_rankings, uses_labels
from graphret.tuning.successive_halving import REFERENCE, Candidate

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["label_aware_candidates", "read_labels"]


def label_aware_candidates() -> list[Candidate]:
    """List strengths of "label_aware", each with few and many voters, with equal votes and with votes by similarity.

    Examples
    --------
    >>> candidates = label_aware_candidates()
    >>> {candidate.ranking for candidate in candidates}, len(candidates)
    ({'label_aware'}, 24)
    """
    grid = itertools.product((0.3, 0.5, 0.8, 0.9, 0.95, 1.0), (50, 200), (0.0, 1.0))
    return [
        Candidate("label_aware", {"strength": strength, "voters": voters, "sharpness": sharpness})
        for strength, voters, sharpness in grid
    ]


def read_labels(candidates: Sequence[Candidate]) -> bool:
    """Whether candidates read labels at query time; never some of them only, "nearest" aside.

    Raises
    ------
    InvalidParameterError
        Rankings that read labels together with others that do not.

    Examples
    --------
    >>> read_labels(label_aware_candidates())
    True
    """
    names = {candidate.ranking for candidate in candidates} - {REFERENCE}
    reading = {name for name in names if name in list_rankings(with_labels=True) and uses_labels(name)}
    if reading and reading != names:
        hint = "figures of a ranking that uses the archive's labels at query time do not compare with the others'"
        raise InvalidParameterError("candidates", ", ".join(sorted(names)), f"{', '.join(sorted(reading))} apart", hint)
    return bool(reading)
