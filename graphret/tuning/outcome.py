"""What a tuning found: the choice, what it is expected to gain, and every trial."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from graphret.retrieval import RankingChoice

if TYPE_CHECKING:
    from collections.abc import Mapping

    from graphret.evaluation.bootstrap import Difference
    from graphret.retrieval import LearnedMetric

__all__ = ["Trial", "Tuning"]


@dataclass(frozen=True)
class Trial:
    """What one candidate reached on the queries that it ranked before it fell behind: all of them, for the best.

    ``value`` is what is compared, the mean of ``scores``; ``variety`` is the share of different films among all
    first ten hits: a ranking that gives every query the same films has little.
    """

    ranking: str
    options: Mapping[str, Any]
    n_queries: int
    scores: Mapping[str, float]
    value: float
    variety: float
    seconds: float
    metric: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Tuning:
    """The ranking that was chosen, what it is expected to gain, and every trial, best first of those that went as far.

    ``difference`` is what the choice is expected to gain over "nearest", with its interval over patients. No query
    takes part in the choice that it judges: the patients are divided, and the queries of each part are ranked by what
    is best for the others. Where that gain is not clear, "nearest" was chosen. ``own_gain`` is what is left of it
    without what the same lists gain for other queries: little, where a ranking shows everybody the same films. It was
    asked for only where ``difference`` is clear, and must be clear too. ``complete`` says that the time sufficed for
    all queries and candidates; only then does the choice not depend on the machine. ``metric`` is what the
    chosen ranking learned from the labels of all films, None where it learns nothing.
    """

    ranking: str
    options: Mapping[str, Any]
    criterion: str
    n_queries: int
    difference: Difference
    own_gain: Difference | None
    variety_floor: float
    seed: int
    complete: bool
    trials: tuple[Trial, ...]
    metric: LearnedMetric | None = None

    @property
    def choice(self) -> RankingChoice:
        """What was chosen, for `Index.query` and `evaluate`: it need not be recorded with the index."""
        return RankingChoice(self.ranking, dict(self.options), self.metric)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; NaN becomes None."""
        values = asdict(replace(self, metric=None))
        values["metric"] = None if self.metric is None else self.metric.to_record()
        for gain in ("difference", "own_gain"):
            found = values[gain] or {}
            plain = {name: None if value != value else value for name, value in found.items()}  # noqa: PLR0124 - NaN
            values[gain] = plain or None
        return values
