"""The candidates of a tuning: rankings with options, read at query time with labels or without."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graphret._errors import InvalidParameterError
from graphret.retrieval import list_rankings, uses_labels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["REFERENCE", "Candidate", "default_candidates", "label_aware_candidates", "read_labels"]

REFERENCE = "nearest"
"""What every candidate is compared with, and what stays where none is clearly better."""


@dataclass(frozen=True)
class Candidate:
    """A ranking with options, as `create_ranking` takes them.

    ``metric`` holds the ``discriminant_share`` and ``ridge`` of the metric that it learns from labels
    (`LearnedMetric.fit`), if any.
    """

    ranking: str
    options: Mapping[str, Any]
    metric: Mapping[str, Any] | None = None


def default_candidates(*, learned: bool = False) -> list[Candidate]:
    """List the candidates of a tuning: nearest first, region growing, and a grid of "contextual".

    "alpha_qe" is in it as "contextual" without context and density, which needs no second search of the archive.
    "diffusion" is not: it was chosen on none of the thirteen sets of ``benchmarks/ranking``, and takes the longest.

    Parameters
    ----------
    learned
        Add a grid of "contextual" in metrics that are learned from the archive's labels.

    Examples
    --------
    >>> candidates = default_candidates()
    >>> candidates[0].ranking, len(candidates), len(default_candidates(learned=True))
    ('nearest', 317, 533)
    """
    candidates = [Candidate(REFERENCE, {}), Candidate("region_growing", {})]
    densities = [(0.0, "archive"), *itertools.product((-1.0, 1.0, 3.0), ("archive", "community"))]
    grid = itertools.product((None, 0.5, 1.0), (0, 3, 10, 30, 100), (0.0, 0.5, 0.9), densities)
    for whitening, n, context, (density, among) in grid:
        options = {"whitening": whitening, "n": n, "context": context}
        candidates.append(Candidate("contextual", {**options, "density": density, "among": among}))
    return candidates + (_learned_candidates() if learned else [])


def _learned_candidates() -> list[Candidate]:
    """A coarser grid than that of unlabelled forms: a metric that knows findings leaves less to the other parts."""
    metrics = [
        {"discriminant_share": share, "ridge": ridge}
        for share, ridge in itertools.product((0.5, 0.8), (0.001, 0.01, 0.1))
    ]
    densities = [(0.0, "archive"), (1.0, "archive"), (1.0, "community"), (3.0, "archive")]
    grid = itertools.product(metrics, (0, 10, 100), (0.0, 0.5, 0.9), densities)
    return [
        Candidate(
            "contextual",
            {"learned": True, "n": n, "context": context, "density": density, "among": among},
            metric,
        )
        for metric, n, context, (density, among) in grid
    ]


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
