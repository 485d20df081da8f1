"""Graphs of any size that behave like kNN graphs of films: planted communities, local neighbours, wrong neighbours.

Sizes of communities follow a power law. A film lies at a random place on a ring that its community forms. Of the
partners that it draws, most lie near it on the ring (offsets from a Laplace distribution: neighbours of neighbours are
neighbours, as in a kNN graph), some lie anywhere in one of the three communities on either side (similar findings),
a few lie anywhere at all. Weights look like cosines: near partners 0.9, falling with the distance on the ring; others
about 0.6. Rows are in random order, as films in an archive are, so that memory helps no method.
"""

from __future__ import annotations

import numpy as np

from graphret.graph import Graph

SMALLEST, EXPONENT = 200, 1.5
"""Communities have SMALLEST * (1 + Pareto(EXPONENT)) films, and at most an eighth of all."""
NEAR, SIMILAR = 0.50, 0.40
"""Shares of partners near on the ring and in similar communities; the rest lie anywhere."""
REACH = 25.0
"""Scale of the offsets on the ring, in films."""


def planted_graph(n: int, *, edges_per_node: float = 30.0, seed: int = 0) -> tuple[Graph, np.ndarray]:
    """Draw a graph of n nodes and about ``edges_per_node * n`` edges; return it and the planted communities int32 (n,).

    O(edges) memory, about 40 bytes an edge at its peak; the time goes to sorting.
    """
    generator = np.random.default_rng(seed)
    community, starts, sizes = _communities(n, generator)
    drawn = _pairs(community, starts, sizes, edges_per_node, generator)
    first, second = np.divmod(drawn, n)
    offset = np.abs(first - second)
    same = community[first] == community[second]
    size = sizes[community[first]]
    offset = np.where(same, np.minimum(offset, size - offset), 0)
    weights = np.where(same, 0.5 + 0.4 * np.exp(-offset / (2.0 * REACH)), 0.55)
    weights = np.clip(weights + 0.05 * generator.standard_normal(len(weights)), 0.3, 0.999).astype(np.float32)
    place = generator.permutation(n).astype(np.int32)
    planted = np.empty(n, dtype=np.int32)
    planted[place] = community
    return _symmetric(place[first], place[second], np.round(weights, 6), n), planted


def _communities(n: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Community of every film, in order; first film and size of every community."""
    largest = max(SMALLEST, n // 8)
    sizes = np.minimum(SMALLEST * (1.0 + generator.pareto(EXPONENT, size=n // SMALLEST + 1)), largest).astype(np.int64)
    sizes = sizes[: int(np.searchsorted(np.cumsum(sizes), n)) + 1]
    sizes[-1] -= sizes.sum() - n
    community = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
    return community, np.cumsum(sizes) - sizes, sizes


def _pairs(
    community: np.ndarray, starts: np.ndarray, sizes: np.ndarray, edges_per_node: float, generator: np.random.Generator
) -> np.ndarray:
    """Different unordered pairs (smaller * n + larger), ascending; more are drawn until there are enough."""
    n, wanted = len(community), int(edges_per_node * len(community))
    found = np.empty(0, np.int64)
    while len(found) < wanted:
        # Draws that repeat a pair are lost, so draw more than what is missing.
        film = generator.integers(n, size=int(1.2 * (wanted - len(found))) + n // 10 + 64)
        own = community[film]
        kind = generator.random(len(film))
        step = 1 + np.floor(np.abs(generator.laplace(scale=REACH, size=len(film)))).astype(np.int64)
        near = starts[own] + (film - starts[own] + np.where(kind < NEAR / 2, step, -step)) % sizes[own]
        other = (own + generator.choice([-3, -2, -1, 1, 2, 3], size=len(film))) % len(sizes)
        similar = starts[other] + np.floor(generator.random(len(film)) * sizes[other]).astype(np.int64)
        anywhere = generator.integers(n, size=len(film))
        partner = np.where(kind < NEAR, near, np.where(kind < NEAR + SIMILAR, similar, anywhere))
        pairs = np.minimum(film, partner) * n + np.maximum(film, partner)
        before = len(found)
        found = np.sort(np.concatenate([found, pairs[film != partner]]))  # np.unique hashes, ten times slower
        found = found[np.append(True, found[1:] != found[:-1])]
        if len(found) == before:
            raise SystemExit(f"{n} nodes can not have {wanted} such edges: fewer edges a node, or more nodes")
    return np.delete(found, generator.choice(len(found), size=len(found) - wanted, replace=False))


def _symmetric(first: np.ndarray, second: np.ndarray, weights: np.ndarray, n: int) -> Graph:
    """CSR of both directions of every edge, rows sorted; no checks, which would need the memory several times."""
    rows, columns = np.concatenate([first, second]), np.concatenate([second, first])
    order = np.argsort(rows.astype(np.int64) * n + columns)
    indptr = np.zeros(n + 1, dtype=np.int64)
    np.cumsum(np.bincount(rows, minlength=n), out=indptr[1:])
    return Graph(indptr, columns[order], np.concatenate([weights, weights])[order])
