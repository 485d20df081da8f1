"""What the page of an archive shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graphret._types import Float32Array, Int32Array
    from graphret.auditing import Audit
    from graphret.data.thumbnails import Thumbnails
    from graphret.evaluation import Report
    from graphret.mapping import CommunitySummary

__all__ = ["ArchiveContents"]


@dataclass(frozen=True, eq=False)
class ArchiveContents:
    """What is told of an archive.

    Parameters
    ----------
    facts
        JSON values: counts of films, patients, splits, views, labels; graph, communities, search, ranking.
    communities
        All of them, the largest first.
    pictures
        Of the films in the middle of the largest communities, by path, and why there is none of others.
    paths, names
        Path and name of the film in the middle of every community that is shown.
    places, labels
        float32 (p, 2) and int32 (p,): places and communities of the films that are drawn on the map.
    measures
        How well films of the archive find each other; None where they cannot be asked, which ``why_not`` says.
    audit
        Near duplicates; None where they were not looked for.
    """

    facts: dict[str, Any]
    communities: tuple[CommunitySummary, ...]
    pictures: Thumbnails
    paths: tuple[str, ...]
    names: tuple[str, ...]
    places: Float32Array
    labels: Int32Array
    measures: Report | None
    why_not: str
    audit: Audit | None

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values, without pictures, places and ids of films."""
        return {
            **self.facts,
            "shown": {
                "communities": len(self.paths),
                "pictures": len(self.pictures.pictures),
                "points": len(self.labels),
            },
            "communities": [
                {name: value for name, value in entry.to_dict().items() if name != "medoid_id"}
                for entry in self.communities
            ],
            "measures": None
            if self.measures is None
            else {row.name: {name: found.mean for name, found in row.scores.items()} for row in self.measures.rankings},
            "measures_missing": self.why_not,
            "near_duplicates": None if self.audit is None else self.audit.counts,
        }
