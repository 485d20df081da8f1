"""What every ranking gives: lists of films, their scores, and where each film came from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from graphret._types import Float32Array, Float64Array, Int32Array
    from graphret.neighbors import SearchCounts

__all__ = ["SOURCES", "RankedLists", "source_code"]

SOURCES = ("", "expansion", "fill", "search")
"""Where a hit came from: padding; region growing's own addition; the nearest remaining film; any other ranking."""


def source_code(name: str) -> int:
    """Return the number of a source in ``RankedLists.sources``."""
    return SOURCES.index(name)


@dataclass(frozen=True, eq=False)
class RankedLists:
    """Ranked lists of a batch of queries, best first.

    Parameters
    ----------
    positions
        int32 (q, k), films; -1 pads a short list at its end.
    similarities
        float32 (q, k), cosine to the query, rounded to 1e-6; 0 where padded.
    scores
        float32 (q, k), what the ranking sorted by: never rises along a list; 0 where padded.
    sources
        uint8 (q, k), index into ``SOURCES``.
    gains
        float64 (q, k), gain of the step that added the film; NaN where there was none.
    terms
        float64 (q, k) by name, what each score is the sum of; empty where a ranking does not take it apart.
    counts
        What the ranking looked at when it searched again.
    findings
        float64 (q, L), probability that the query has each finding, from a ranking that estimates them.
    notes
        What a reader of the lists should know of how this archive was ranked; sentences without a full stop.
    """

    positions: Int32Array
    similarities: Float32Array
    scores: Float32Array
    sources: NDArray[np.uint8]
    gains: Float64Array
    terms: Mapping[str, Float64Array] = field(default_factory=dict)
    counts: SearchCounts | None = None
    findings: Float64Array | None = None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return int(self.positions.shape[0])

    @property
    def k(self) -> int:
        """Columns of the lists."""
        return int(self.positions.shape[1])

    @classmethod
    def empty(cls, n_queries: int, k: int, terms: Sequence[str] = (), notes: tuple[str, ...] = ()) -> RankedLists:
        """Make lists that are all padding, to be written to.

        Examples
        --------
        >>> RankedLists.empty(1, 2).positions.tolist()
        [[-1, -1]]
        """
        shape = (n_queries, k)
        return cls(
            np.full(shape, -1, np.int32),
            np.zeros(shape, np.float32),
            np.zeros(shape, np.float32),
            np.zeros(shape, np.uint8),
            np.full(shape, np.nan),
            {name: np.zeros(shape) for name in terms},
            notes=notes,
        )
