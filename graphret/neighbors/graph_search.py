"""Nearest films of a query by graph search: along the links of the archive, on short codes, then scored exactly."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._checks import check_codes, check_integer
from graphret._errors import CodesError
from graphret._threads import borrow_threads
from graphret.neighbors._graph_search_kernels import CHANGED, _search_queries
from graphret.neighbors.checksums import no_checksums
from graphret.neighbors.exact_search import ExactSearch, ragged_lists, row_lengths
from graphret.neighbors.neighbor_table import NeighborTable, SearchCounts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from graphret._types import BoolArray, Codes, Float32Array, Float64Array, Int32Array, Int64Array

__all__ = ["GraphSearch", "GraphSearchStructure"]

PLACE_COST = 6_000
"""A place of the pool costs graph search about as much as so many values of stored codes cost a scan."""
HIGHEST_SUM = 2**31 - 1
HIGHEST_CODE = 127


@dataclass(frozen=True, eq=False)
class GraphSearchStructure:
    """What graph search needs beside the codes and the graph; `build_graph_search` makes it.

    Parameters
    ----------
    short
        int8 (n, w), the unit codes in w leading directions, each in steps of its own.
    directions
        float32 (d, w), those directions times their steps: products with it weigh the values of ``short``.
    entry_points
        int32 (e,), ascending: films that every query is compared with; each component of the links has one.
    indptr, indices
        int64 (n + 1,) and int32 (m,): links of every film to its nearest films, both ways, as a sorted CSR. They are
        the edges of a graph without a threshold: those that T leaves out would be missed.
    beam
        Candidates of graph search for ``k`` neighbours.
    k
        Neighbours that the beam was chosen for.
    recall
        Share of the k nearest films that it found, measured on films of the archive.
    expanded_share
        Share of the candidates whose links are expanded, in (0, 1]: the best of them. The others are there because
        short codes do not rank exactly.
    """

    short: NDArray[np.int8]
    directions: Float32Array
    entry_points: Int32Array
    indptr: Int64Array
    indices: Int32Array
    beam: int
    k: int
    recall: float
    expanded_share: float = 1.0

    def places(self, k: int) -> int:
        """Candidates of graph search for k neighbours: in proportion, and never fewer than the beam."""
        return max(self.beam, -(-self.beam * k // self.k))


class GraphSearch:
    """Search by cosine that follows links from film to film; the contract is that of `ExactSearch`.

    A query is compared with the entry points by short codes. Then the best candidate whose links were not yet expanded
    is taken, and the films that it is linked to are compared, until the links of the best were expanded: of ``beam``
    candidates the share ``expanded_share``. All candidates are scored by the canonical routine from the stored codes,
    so that a similarity does not depend on how its film was found. What graph search cannot answer with enough films
    (few are allowed, or many are asked for) is answered by the exact scan.

    Parameters
    ----------
    exact
        Exact search over the same codes.
    structure
        From `build_graph_search`, or its files.
    always
        Search the graph also where an exact scan is expected to be faster.

    Notes
    -----
    Approximate: ``structure.recall`` says what was measured on films of the archive, and holds for queries like them.
    Equal hits alone, in a batch, and with any number of threads. Scratch memory is 70 KB a thread, 4 bytes an entry,
    and 24 bytes a candidate.
    """

    def __init__(self, exact: ExactSearch, structure: GraphSearchStructure, *, always: bool = False) -> None:
        if structure.short.shape[0] != exact.codes.shape[0]:
            raise CodesError(
                f"{exact.codes.shape[0]} codes, but {structure.short.shape[0]} short codes: make them anew"
            )
        self.exact = exact
        self.structure = structure
        self.always = always

    @property
    def codes(self) -> Codes:
        """Codes of the films, as stored."""
        return self.exact.codes

    @property
    def lengths(self) -> Float64Array:
        """Lengths of the codes."""
        return self.exact.lengths

    @cached_property
    def _kernel_structure(self) -> tuple[Any, ...]:
        made = self.structure
        highest = min(np.iinfo(np.int16).max, HIGHEST_SUM // (HIGHEST_CODE * made.short.shape[1]))
        return (
            made.directions,
            highest,
            made.short,
            made.entry_points,
            np.ascontiguousarray(made.short[made.entry_points]),
        )

    @cached_property
    def _checks(self) -> tuple[Any, ...]:
        checksums = self.exact.checksums
        return no_checksums(self.codes) if checksums is None else checksums.arguments

    def read_codes(self, rows: Any = None) -> Codes:
        """Codes of some films, or of all; see `ExactSearch.read_codes`."""
        return self.exact.read_codes(rows)

    def search(
        self,
        queries: Codes,
        k: int,
        *,
        allowed: BoolArray | None = None,
        forbidden: Sequence[Int32Array] | None = None,
        n_threads: int | None = None,
    ) -> NeighborTable:
        """Find the k nearest films of every query; see `ExactSearch.search`.

        ``recall`` of the result is that of the structure unless every query was scanned; ``counts`` say how much was
        looked at for each.
        """
        k = min(check_integer("k", k, 1), self.codes.shape[0])
        queries = check_codes(queries, name="query codes", n_dimensions=self.codes.shape[1])
        lists = [()] * len(queries) if forbidden is None else forbidden
        return self.traverse(queries, k, allowed=allowed, forbidden=lists, n_threads=n_threads)

    def similarities(self, queries: Codes, positions: Int32Array, *, n_threads: int | None = None) -> Float32Array:
        """Score given films; see `ExactSearch.similarities`."""
        return self.exact.similarities(queries, positions, n_threads=n_threads)

    def traverse(
        self,
        queries: Codes,
        k: int,
        *,
        allowed: BoolArray | None = None,
        forbidden: Sequence[Any] = (),
        absent: Int64Array | None = None,
        beam: int | None = None,
        n_threads: int | None = None,
    ) -> NeighborTable:
        """Search as `search` does, with a beam of any width.

        Parameters
        ----------
        queries, k, allowed, forbidden, n_threads
            As for `search`.
        absent
            int64 (q,): a film that the search of the query shall not meet at all, as if the archive did not have it;
            -1 for none.
        beam
            Candidates; ``None`` for those of the structure.
        """
        n_films, n_dimensions = self.codes.shape
        mask = np.empty(0, np.bool_) if allowed is None else np.ascontiguousarray(allowed, dtype=np.bool_)
        if allowed is not None and mask.shape != (n_films,):
            raise CodesError(f"allowed has shape {mask.shape}: give bool ({n_films},), one per film")
        n_allowed = n_films if allowed is None else int(np.count_nonzero(mask))
        n_queries = len(queries)
        wanted = max(k, self.structure.places(k) if beam is None else beam)
        most = n_films if self.always else min(n_films, n_allowed * n_dimensions // PLACE_COST)
        first = wanted * n_films // max(1, n_allowed)
        if first > most:
            return self.exact.search(queries, k, allowed=allowed, forbidden=forbidden, n_threads=n_threads)
        neighbors = np.full((n_queries, k), -1, dtype=np.int32)
        similarities = np.zeros((n_queries, k), dtype=np.float32)
        counts = np.zeros((3, n_queries), dtype=np.int64)
        counts[2] = -1
        structure = self.structure
        given = (
            queries,
            row_lengths(queries),
            self._kernel_structure,
            (structure.indptr, structure.indices),
            self.codes,
            self.lengths,
            self._checks,
            (mask, *ragged_lists(forbidden)),
            np.full(n_queries, -1, np.int64) if absent is None else np.ascontiguousarray(absent),
            (first, most),
            structure.expanded_share if allowed is None else 1.0,  # it was chosen where every film may come
            wanted,
            neighbors,
            similarities,
            counts,
        )
        with borrow_threads(n_threads, at_most=n_queries) as n_workers:
            _search_queries(n_workers, *given)
        if counts[2].min() == CHANGED:
            self.read_codes()  # it names the row
        if counts[2].min() < 0:
            left = np.flatnonzero(counts[2] < 0)
            scanned = self.exact.search(
                queries[left],
                k,
                allowed=allowed,
                forbidden=[forbidden[row] for row in left.tolist()],
                n_threads=n_threads,
            )
            neighbors[left], similarities[left] = scanned.neighbors, scanned.similarities
            counts[0, left] += n_allowed
            counts[2, left] = 0
        return NeighborTable(
            neighbors,
            similarities,
            method="approximate",
            recall=structure.recall,
            counts=SearchCounts(*counts),
        )
