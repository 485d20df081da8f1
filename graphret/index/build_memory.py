"""What every stage of a build holds in memory, and how a build fits into a limit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from graphret._errors import InvalidParameterError
from graphret._threads import available_threads
from graphret.graph.similarity_graph import AUTOMATIC_SHARE
from graphret.neighbors.join_plan import BLOCK_ROWS, FEWEST_BLOCKS, LEADING, MARGIN, bytes_of_row

if TYPE_CHECKING:
    from graphret.index.config import BuildConfig

__all__ = ["BuildMemory"]

_WIDEST_SHORT_CODE = 192
_LOUVAIN = 1.5
"""Of the graph: what a start of Louvain holds beside it, measured by benchmarks/communities.py."""
_SAMPLES = 128 << 20
"""Samples of fixed size, and what a kernel puts down meanwhile."""


@dataclass(frozen=True)
class BuildMemory:
    """Bytes that the stages of a build hold, as formulas of its size.

    Not counted: the interpreter and its libraries, the table of films, and codes, which are read from their file
    (codes that are given as an array are the caller's).

    Parameters
    ----------
    n_films, n_dimensions, k
        Of the archive.
    share
        Of the table's neighbours that become edges, at most.
    graph_search
        A structure for graph search is made.
    stored
        Blocks of the join lie in storage, two of them in memory.
    starts_at_once
        Starts of Louvain that run side by side.

    Examples
    --------
    >>> stages = BuildMemory(2_000_000, 256, 50, 0.8, graph_search=True, stored=True, starts_at_once=1).stages()
    >>> max(stages, key=stages.get), round(max(stages.values()) / 1e9, 1)
    ('search', 5.4)
    """

    n_films: int
    n_dimensions: int
    k: int
    share: float
    graph_search: bool
    stored: bool
    starts_at_once: int

    @classmethod
    def of(cls, n_films: int, n_dimensions: int, config: BuildConfig) -> BuildMemory:
        """Return what a build takes that holds everything in memory and uses all threads."""
        threads = min(config.n_threads or available_threads(), config.n_starts)
        share = AUTOMATIC_SHARE if config.threshold == "auto" else 1.0
        k = min(config.k, max(1, n_films - 1))
        return cls(n_films, n_dimensions, k, share, config.search != "exact", stored=False, starts_at_once=threads)

    def within(self, max_memory: int | None) -> BuildMemory:
        """Keep blocks in storage, and run fewer starts at once, where that is needed to stay within a limit.

        Raises
        ------
        InvalidParameterError
            It is too small for that as well; the message names the stage that needs most.
        """
        if max_memory is None:
            return self
        best, in_storage = self, replace(self, stored=True)
        if in_storage.stages()["neighbors"] < best.stages()["neighbors"] > max_memory:
            best = in_storage
        while best.starts_at_once > 1 and best.stages()["communities"] > max_memory:
            best = replace(best, starts_at_once=best.starts_at_once - 1)
        stages = best.stages()
        stage = max(stages, key=lambda name: stages[name])
        if stages[stage] > max_memory:
            raise InvalidParameterError(
                "max_memory",
                max_memory,
                f"at least {stages[stage]:,} bytes, which the stage {stage!r} takes for {self.n_films:,} codes of "
                f"{self.n_dimensions} values",
                "a smaller k, or search='exact', takes less; see docs/scaling.md",
            )
        return best

    def stages(self) -> dict[str, int]:
        """Return the largest number of bytes that each stage holds, what earlier stages left included."""
        n, k, size = self.n_films, self.k, self.k + MARGIN
        row = bytes_of_row(self.n_dimensions)
        n_blocks = 1 if n <= BLOCK_ROWS else max(FEWEST_BLOCKS, -(-n // BLOCK_ROWS))
        block = -(-n // n_blocks)
        scored = 24 * block * size
        if self.stored:
            heaps = 2 * 16 * block * size
            pair = 2 * block * (row + 4 * self.n_dimensions) + heaps + scored
            join = n * (40 + 8 * k) + max(4 * LEADING * n, pair)
        else:
            join = n * (40 + 4 * LEADING + row + 8 * size + 16 * k) + scored
        edges = int(self.share * n * k)
        table, graph, links = 8 * n * k, 16 * edges + 8 * n, 0
        stages = {"neighbors": join, "graph": table + 32 * edges + 40 * n}
        if self.graph_search:
            short = _WIDEST_SHORT_CODE * n
            stages["search"] = table + graph + max(12 * n * k, 8 * n * k + 6 * short) + 40 * n
            links = 8 * n * k + short + 16 * n
        stages["communities"] = table + graph + links + int(_LOUVAIN * graph) * self.starts_at_once
        return {name: n_bytes + _SAMPLES for name, n_bytes in stages.items()}
