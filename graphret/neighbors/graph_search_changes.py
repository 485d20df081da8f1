"""Graph search follows an archive that changes: short codes of new films, links of all, a way into every component."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from graphret.neighbors.csr_changes import new_numbers, rows_without
from graphret.neighbors.graph_search import HIGHEST_CODE, GraphSearchStructure
from graphret.neighbors.graph_search_build import components_of, mutual_links

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from graphret._types import Float64Array, Int32Array, Int64Array
    from graphret.neighbors.exact_search import ExactSearch

__all__ = ["changed_graph_search"]

SAMPLE = 2_000
"""Films from whose short codes the middle of each direction's range is read back."""
_FLAT = 1e-30
"""A direction with steps below this holds the same value for all films."""


def changed_graph_search(
    structure: GraphSearchStructure,
    search: Callable[[], ExactSearch],
    kept: Int64Array,
    neighbors: Int32Array,
    *,
    only_removed: bool = False,
) -> GraphSearchStructure:
    """Return the structure of graph search for an archive that has lost and won films.

    Directions, width and beam stay as they were measured, and so does the recall that is stated: it is of the archive
    that they were measured on. What a new film has beyond the range of a direction is cut off.

    Parameters
    ----------
    structure
        Of the archive before.
    search
        Makes the search over the codes of the n films now: first those that were kept, in their order, then the new
        ones. It is called only where there are new ones.
    kept
        int64, ascending: positions before of the films that were kept.
    neighbors
        int32 (n, k), the kNN table now, -1 pads.
    only_removed
        Whether the table has only lost rows: then its links are those that were there, without them.

    Returns
    -------
    GraphSearchStructure
        O(n k) time, and O(m d w) for m new films.
    """
    n_films = neighbors.shape[0]
    short = structure.short[kept]
    if len(kept) < n_films:
        new = np.arange(len(kept), n_films)
        short = np.concatenate([short, _quantised(structure, search(), short, new)])
    entry_points = new_numbers(len(structure.short), kept)[structure.entry_points]
    entry_points = entry_points[entry_points >= 0]
    left = rows_without(structure.indptr, structure.indices, kept) if only_removed else None
    indptr, indices = mutual_links(neighbors) if left is None else left[:2]
    components = components_of(indptr, indices)
    numbers, firsts = np.unique(components, return_index=True)
    entry_points = np.union1d(entry_points, firsts[~np.isin(numbers, components[entry_points])])
    # a component that no link leads to is only explored where all candidates are expanded
    alone = np.count_nonzero(np.bincount(components) > 1) > 1
    return replace(
        structure,
        short=short,
        entry_points=entry_points.astype(np.int32),
        indptr=indptr,
        indices=indices,
        expanded_share=1.0 if alone else structure.expanded_share,
    )


def _quantised(
    structure: GraphSearchStructure, search: ExactSearch, short: NDArray[np.int8], new: Int64Array
) -> NDArray[np.int8]:
    """Short codes of new films, in the steps and about the middle of those that are there."""
    if not len(short):
        return np.zeros((len(new), structure.short.shape[1]), np.int8)
    rows = np.linspace(0, len(short) - 1, min(SAMPLE, len(short))).astype(np.int64)
    exact = _in_steps(structure, search, rows) - short[rows]
    # each film says that the middle lies within half a step of what was rounded away; ends of the range say less
    inside = np.abs(short[rows].astype(np.int64)) < HIGHEST_CODE
    low = np.where(inside, exact - 0.5, -np.inf).max(axis=0)
    high = np.where(inside, exact + 0.5, np.inf).min(axis=0)
    middle = np.where(np.isfinite(low + high), (low + high) / 2, exact.mean(axis=0))
    rounded = np.rint(_in_steps(structure, search, new) - middle)
    made: NDArray[np.int8] = np.clip(rounded, -HIGHEST_CODE, HIGHEST_CODE).astype(np.int8)
    return made


def _in_steps(structure: GraphSearchStructure, search: ExactSearch, rows: Int64Array) -> Float64Array:
    """Unit codes along the directions, in steps of each."""
    directions = structure.directions.astype(np.float64)
    squares = np.einsum("ij,ij->j", directions, directions)  # directions have the length of their steps
    scale = np.where(squares > _FLAT**2, 1.0 / np.where(squares > _FLAT**2, squares, 1.0), 0.0)
    products: Float64Array = search.codes[rows].astype(np.float64) @ (directions * scale)
    return products / search.lengths[rows, None]
