"""Why every hit is where it is: worked out when somebody asks, or before hits leave for another process."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret.retrieval import explain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from graphret.index.film_ids import FilmIds
    from graphret.retrieval import Archive, QueryBatch, RankedLists, RankingChoice

__all__ = ["FoundReasons", "KeptReasons", "Why", "short_decimal"]


@dataclass(frozen=True)
class Why:
    """Why a film is where it is in its list.

    Parameters
    ----------
    gain
        Gain in weighted modularity of the step that added it; None where the ranking has no steps.
    query_edge
        Weight of its edge to the query; 0 where there is none.
    earlier
        (id, weight) of its edges to films before it in the list, in their order.
    terms
        What the score is the sum of, by name; empty for a ranking that does not take it apart.
    """

    gain: float | None
    query_edge: float
    earlier: tuple[tuple[str, float], ...]
    terms: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class FoundReasons:
    """What reasons are worked out from, when somebody asks."""

    choice: RankingChoice
    archive: Archive
    batch: QueryBatch
    ranked: RankedLists
    film_ids: FilmIds

    @property
    def notes(self) -> tuple[str, ...]:
        """What the ranking says of this archive."""
        return self.ranked.notes

    def explain(self, row: int) -> list[Why]:
        """Explain the list of one query."""
        edges = self.choice.all_options.get("edges")
        return [
            Why(
                gain=reason.gain,
                query_edge=short_decimal(reason.query_edge),
                earlier=tuple(
                    (self.film_ids[film], short_decimal(weight))
                    for film, weight in zip(reason.earlier.tolist(), reason.earlier_weights, strict=True)
                ),
                terms={name: short_decimal(value) for name, value in reason.terms.items()},
            )
            for reason in explain(self.archive, self.batch, self.ranked, row, edges=edges)
        ]

    def estimated_findings(self, row: int) -> dict[str, float]:
        """Probabilities of the findings of one query, likeliest first."""
        if self.ranked.findings is None or self.archive.findings is None:
            return {}
        probabilities = self.ranked.findings[row]
        likeliest = (-probabilities).argsort(kind="stable")
        return {self.archive.findings.names[label]: short_decimal(probabilities[label]) for label in likeliest}

    def kept(self) -> KeptReasons:
        """Work all of it out, O(q k log d) for q queries, k films of degree d."""
        rows = range(len(self.ranked))
        return KeptReasons(
            self.notes, [self.explain(row) for row in rows], [self.estimated_findings(row) for row in rows]
        )


@dataclass(frozen=True, eq=False)
class KeptReasons:
    """Reasons that were worked out before the hits were pickled."""

    notes: tuple[str, ...]
    reasons: list[list[Why]]
    findings: list[dict[str, float]]

    def explain(self, row: int) -> list[Why]:
        """Explain the list of one query."""
        return self.reasons[row]

    def estimated_findings(self, row: int) -> dict[str, float]:
        """Probabilities of the findings of one query, likeliest first."""
        return self.findings[row]

    def kept(self) -> KeptReasons:
        """Return itself."""
        return self


def short_decimal(value: Any) -> float:
    """Return the shortest decimal of a float32: JSON then shows 0.912345 and not 0.9123449921607971."""
    return float(str(np.float32(value)))
