"""What a query and a film cost: milliseconds and bytes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from graphret.hashing import HammingSearch, pack_bits
from graphret.retrieval import QueryBatch

if TYPE_CHECKING:
    from collections.abc import Callable

    from graphret._types import Codes
    from graphret.index import Index
    from graphret.retrieval import RankingChoice

__all__ = ["HITS", "bytes_per_film", "median_milliseconds", "query_milliseconds"]

HITS = 10
"""Hits of a timed query."""
_WARM_UP = 3
_WITHOUT_GRAPH = ("alpha_qe", "hamming", "nearest")


def query_milliseconds(index: Index, codes: Codes, choice: RankingChoice, n_bits: int | None) -> float:
    """Median time of single queries for ten hits on one thread, from the code of the query to the list.

    Decoding and encoding are not in it (they are the same for every ranking), nor are filters and ids. A ranking by
    Hamming distance searches packed bits, with nothing else of the archive.

    Parameters
    ----------
    index
        The archive.
    codes
        float32 (q, d), queries.
    choice, n_bits
        What is timed.
    """
    if choice.name == "hamming" and n_bits is not None:
        asked, search = pack_bits(codes), HammingSearch(pack_bits(np.asarray(index.codes)))
        return median_milliseconds(lambda row: search.search(asked[row, None], HITS, n_threads=1), len(codes))
    archive = index.archive
    ranker = choice.ranker(archive)

    def ask(row: int) -> None:
        batch = QueryBatch.of(archive, codes[row : row + 1], HITS, n_threads=1)
        ranker.rank(batch, HITS, n_threads=1)

    return median_milliseconds(ask, len(codes))


def median_milliseconds(ask: Callable[[int], object], n: int) -> float:
    """Median over n calls, after a few that nobody times (kernels are compiled, and tables prepared, in the first).

    Examples
    --------
    >>> median_milliseconds(lambda row: None, 5) < 1000
    True
    """
    for row in range(min(_WARM_UP, n)):
        ask(row)
    seconds = []
    for row in range(n):
        began = time.perf_counter()
        ask(row)
        seconds.append(time.perf_counter() - began)
    return 1000 * float(np.median(seconds))


def bytes_per_film(index: Index, ranking: str, n_bits: int | None) -> float:
    """Bytes that a ranking reads of every film: packed bits, or codes, with graph and community if it uses them.

    Caches, search structures and tables that a ranking prepares are not counted.
    """
    if ranking == "hamming" and n_bits is not None:
        return float(-(-n_bits // 8))
    n_films, width = index.codes.shape
    size = float(4 * width)
    if ranking not in _WITHOUT_GRAPH:
        graph = index.graph
        of_graph = graph.indptr.nbytes + graph.indices.nbytes + graph.weights.nbytes + index.communities.nbytes
        size += of_graph / n_films
    return size
