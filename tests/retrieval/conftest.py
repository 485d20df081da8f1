"""Small archives for the tests of rankings."""

import numpy as np
import pytest

from graphret.communities import louvain
from graphret.graph import similarity_graph
from graphret.neighbors import ExactSearch, nearest_neighbors
from graphret.retrieval import Archive, QueryBatch


@pytest.fixture(scope="session")
def make_archive():
    """Archive of n films in a few clusters of directions; a few films are exact duplicates."""

    def make(n=120, k=8, d=12, n_clusters=5, seed=0, weights="cosine", threshold="auto"):
        rng = np.random.default_rng(seed)
        centres = rng.normal(size=(n_clusters, d))
        codes = (centres[rng.integers(0, n_clusters, n)] + 0.6 * rng.normal(size=(n, d))).astype(np.float32)
        codes[n // 2] = codes[n // 3]
        codes[n // 2 + 1] = codes[n // 3]
        graph = similarity_graph(nearest_neighbors(codes, k), threshold=threshold, weights=weights)
        return Archive(codes, graph, louvain(graph).labels, ExactSearch(codes), k=k)

    return make


@pytest.fixture(scope="session")
def archive(make_archive):
    return make_archive()


@pytest.fixture(scope="session")
def query_codes(archive):
    """Codes beside films of the archive, and one film of it."""
    rng = np.random.default_rng(1)
    codes = archive.codes[::13] + 0.3 * rng.normal(size=archive.codes[::13].shape).astype(np.float32)
    codes[0] = archive.codes[0]
    return codes


@pytest.fixture
def restricted():
    """Queries for which a fifth of the films may not come, and some films not for one of them."""

    def make(archive, codes, seed, k=12):
        rng = np.random.default_rng(seed)
        allowed = rng.random(archive.n_films) < 0.8
        forbidden = [rng.choice(archive.n_films, 6, replace=False).astype(np.int32) for _ in codes]
        return QueryBatch.of(archive, codes, k, allowed=allowed, forbidden=forbidden)

    return make
