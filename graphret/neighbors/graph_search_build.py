"""Make what graph search needs: short codes, entry points, further links, and a beam that was measured."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._checks import check_integer, check_number
from graphret._threads import one_blas_thread
from graphret.neighbors._link_kernels import _components, _count_links, _merge_links, _mirror_links, _reverse_links
from graphret.neighbors.beam_width import Beam, HeldOut, measure_beam, narrowest_beam
from graphret.neighbors.graph_search import HIGHEST_CODE, PLACE_COST, GraphSearch, GraphSearchStructure
from graphret.neighbors.rotation import Rotation

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from graphret._types import Float32Array, Int32Array, Int64Array
    from graphret.neighbors.exact_search import ExactSearch

__all__ = ["build_graph_search", "check_recall", "choose_entry_points", "components_of", "mutual_links"]

WIDTHS = (64, 128, 192)
"""Of short codes, in bytes: memory gives 64 at once."""
CHECKED = 1_000
"""Films that are asked for to choose the beam."""
COMPARED = 250
"""Of those, films that are asked for to choose the width."""
SHARES = (1.0, 0.5, 0.25, 0.125)
"""Of the candidates, whose links are expanded; a smaller one needs a wider beam."""
CHUNK = 8_192
ENTRIES_PER_ROOT = 4
"""Entry points in square roots of the number of films."""
CONFIDENCE = 1.96


def build_graph_search(
    exact: ExactSearch,
    neighbors: Int32Array,
    k: int,
    *,
    recall: float = 0.99,
    always: bool = False,
    seed: int = 0,
    n_threads: int | None = None,
) -> GraphSearchStructure | None:
    """Make the structure of graph search, and choose its width and its beam by measurement.

    Films of a seeded sample are asked for by their codes; the search meets each as little as if the archive did not
    have it, and what it finds is compared with an exhaustive search. Chosen are the width of the short codes and the
    share of the candidates to follow that make a query cheapest, then the narrowest beam whose recall is at least
    ``recall`` at the lower end of its 95 % interval.

    Parameters
    ----------
    exact
        Exact search over the n films.
    neighbors
        int32 (n, m), nearest films of every film, -1 pads: the links.
    k
        Neighbours that queries will be given.
    recall
        Share of them that graph search shall find, in (0, 1).
    always
        Make it also where an exact scan would be faster.
    seed
        Of the sample, and of the entry points.
    n_threads
        Of the measurement; the result does not depend on it.

    Returns
    -------
    GraphSearchStructure or None
        None where an exact scan is faster: few films, or neighbours that only a wide beam finds. Never with ``always``.

    Raises
    ------
    InvalidParameterError
        k < 1, or a recall outside (0, 1).

    Examples
    --------
    >>> import numpy as np
    >>> from graphret.neighbors import ExactSearch, nearest_neighbors
    >>> codes = np.random.default_rng(0).random((3000, 8), dtype=np.float32)
    >>> table = nearest_neighbors(codes, 10)
    >>> build_graph_search(ExactSearch(codes), table.neighbors, 10) is None
    True
    """
    n_films, n_dimensions = exact.codes.shape
    k = min(check_integer("k", k, 1), n_films)
    recall = check_recall("recall", recall)
    widest = n_films if always else min(n_films, n_films * n_dimensions // PLACE_COST)
    if k > widest:
        return None
    generator = np.random.default_rng([seed, n_films])
    indptr, indices = mutual_links(neighbors)
    components = components_of(indptr, indices)
    entry_points = choose_entry_points(components, generator)
    # a component that no link leads to is only explored where all candidates are expanded; one film has no links
    shares = SHARES if np.count_nonzero(np.bincount(components) > 1) == 1 else SHARES[:1]
    # without the only entry of a component, nobody could find the rest of it
    others = np.setdiff1d(np.arange(n_films), entry_points)
    pool = others if others.size else entry_points.astype(np.int64)
    rows = np.sort(generator.choice(pool, size=min(pool.size, CHECKED), replace=False))
    films = HeldOut.of(exact, rows, k, n_threads)
    some = films.every(max(1, len(rows) // COMPARED))
    widths = [width for width in WIDTHS if width < n_dimensions]
    widths += [n_dimensions] if n_dimensions <= WIDTHS[-1] else []
    short, directions = _quantised(exact, generator, widths[-1])
    search: GraphSearch | None = None
    beam: Beam | None = None
    for width in widths:
        narrow = np.ascontiguousarray(short[:, :width]), np.ascontiguousarray(directions[:, :width])
        made = GraphSearchStructure(narrow[0], narrow[1], entry_points, indptr, indices, beam=k, k=k, recall=0.0)
        tried, found = _cheapest_share(exact, made, shares, some, recall, widest, n_threads)
        if beam is not None and (found is None or found.cost >= beam.cost):
            break
        if found is not None or search is None:
            search, beam = tried, found
    if search is None or (beam is None and not always):
        return None
    beam = narrowest_beam(
        search,
        films,
        recall,
        most=widest,
        first=None if beam is None else beam.width,
        confidence=CONFIDENCE,
        n_threads=n_threads,
    )
    if beam is None:
        if not always:
            return None
        beam = measure_beam(search, films, widest, n_threads)
    return replace(search.structure, beam=beam.width, recall=beam.recall)


def _cheapest_share(
    exact: ExactSearch,
    made: GraphSearchStructure,
    shares: tuple[float, ...],
    films: HeldOut,
    recall: float,
    most: int,
    n_threads: int | None,
) -> tuple[GraphSearch, Beam | None]:
    """Choose the share of the candidates to follow that makes enough recall cheapest, and its beam."""
    best: tuple[GraphSearch, Beam | None] = GraphSearch(exact, made, always=True), None
    for share in shares:
        tried = GraphSearch(exact, replace(made, expanded_share=share), always=True)
        first = None if best[1] is None else best[1].width
        found = narrowest_beam(tried, films, recall, most=most, first=first, n_threads=n_threads)
        if found is None or (best[1] is not None and found.cost >= best[1].cost):
            break
        best = tried, found
    return best


def check_recall(name: str, recall: Any) -> float:
    """Return a recall as float, or say that it must lie between 0 and 1: it promises nothing about one film."""
    return check_number(name, recall, above=0, below=1, hint='search="exact" finds all')


def mutual_links(neighbors: Int32Array) -> tuple[Int64Array, Int32Array]:
    """Return the links of a table of neighbours, both ways, as a sorted CSR: indptr int64 (n + 1,), indices int32.

    Examples
    --------
    >>> import numpy as np
    >>> [part.tolist() for part in mutual_links(np.array([[1], [2], [1]], dtype=np.int32))]
    [[0, 1, 3, 4], [1, 0, 2, 1]]
    """
    n_films = neighbors.shape[0]
    starts = np.zeros(n_films + 1, np.int64)
    _count_links(neighbors, starts)
    reverse = np.empty(int(starts[-1]), np.int32)
    _reverse_links(neighbors, starts, reverse)
    # mirrored twice, the lists are sorted: in a fifth of the time that sorting each of them takes
    own_starts, own = np.zeros(n_films + 1, np.int64), np.empty_like(reverse)
    _mirror_links(starts, reverse, own_starts, own)
    indptr, indices = np.empty(n_films + 1, np.int64), np.empty(2 * len(reverse), np.int32)
    indices.resize(_merge_links(own_starts, own, starts, reverse, indptr, indices), refcheck=False)
    return indptr, indices


def components_of(indptr: Int64Array, indices: Int32Array) -> Int32Array:
    """Number of the component of the links that each film is in, int32 (n,), in the order of their smallest films.

    Examples
    --------
    >>> components_of(np.array([0, 1, 1, 2]), np.array([2, 0], dtype=np.int32)).tolist()
    [0, 1, 0]
    """
    numbers = np.empty(len(indptr) - 1, np.int32)
    _components(indptr, indices, numbers)
    return numbers


def choose_entry_points(components: Int32Array, generator: np.random.Generator) -> Int32Array:
    """Draw films at random, and add the first film of each component of the links that has none of them."""
    n_films = len(components)
    size = min(n_films, int(np.ceil(ENTRIES_PER_ROOT * np.sqrt(n_films))))
    drawn = generator.choice(n_films, size=size, replace=False)
    numbers, firsts = np.unique(components, return_index=True)
    return np.union1d(drawn, firsts[~np.isin(numbers, components[drawn])]).astype(np.int32)


def _quantised(exact: ExactSearch, generator: np.random.Generator, width: int) -> tuple[NDArray[np.int8], Float32Array]:
    """Unit codes in the leading directions, rounded to int8 in steps of each direction, and directions times steps."""
    with one_blas_thread():  # how a BLAS sums depends on its threads, and the files shall not
        rotation = Rotation.of(exact.codes, generator)
        leading = rotation.leading(exact.codes, exact.lengths, width)
    low, high = leading.min(axis=0), leading.max(axis=0)
    steps = np.maximum((high - low) / (2 * HIGHEST_CODE), np.finfo(np.float32).tiny)
    short = np.empty(leading.shape, dtype=np.int8)
    for first in range(0, len(leading), CHUNK):
        part = slice(first, first + CHUNK)
        # products with a query differ by the same for all films when the codes are moved: their ranking stays
        rounded = np.rint((leading[part] - (low + high) / 2) / steps)
        short[part] = np.clip(rounded, -HIGHEST_CODE, HIGHEST_CODE)
    return short, (rotation.basis[:, :width] * steps).astype(np.float32)
