"""What holds for every registered ranking."""

from dataclasses import replace

import numpy as np
import pytest

from graphret._errors import CodesError, InvalidParameterError
from graphret.communities import louvain
from graphret.graph import similarity_graph
from graphret.neighbors import ExactSearch, nearest_neighbors
from graphret.retrieval import (
    DEFAULT_RANKING,
    SOURCES,
    Archive,
    Findings,
    LabelScatter,
    LearnedMetric,
    QueryBatch,
    create_ranking,
    list_rankings,
    uses_labels,
)
from graphret.retrieval.learned_metric import mean_direction

FIELDS = ("positions", "similarities", "scores", "sources", "gains")
N_FILMS, K_GRAPH = 90, 6


@pytest.fixture(scope="module", params=["cosine", "binary"])
def archive(request):
    rng = np.random.default_rng(11)
    centres = rng.normal(size=(4, 10))
    codes = (centres[rng.integers(0, 4, N_FILMS)] + 0.5 * rng.normal(size=(N_FILMS, 10))).astype(np.float32)
    codes[40] = codes[41] = codes[7]
    graph = similarity_graph(nearest_neighbors(codes, K_GRAPH), weights=request.param)
    findings = Findings(rng.choice([-1, 0, 1], (N_FILMS, 3), p=[0.1, 0.6, 0.3]), ("A", "B", "C"))
    scatter = LabelScatter.of(codes, rng.random((N_FILMS, 3)) < 0.4, mean_direction(codes))
    metric = LearnedMetric.fit(scatter, discriminant_share=0.5, ridge=0.1)
    return Archive(codes, graph, louvain(graph).labels, ExactSearch(codes), k=K_GRAPH, findings=findings, metric=metric)


@pytest.fixture(scope="module")
def codes():
    return np.random.default_rng(12).normal(size=(9, 10)).astype(np.float32)


MOST = {"n": 5, "context": 0.9, "rounds": 3, "density": 0.2, "among": "community", "whitening": 0.5, "pool": 30}
LEARNED = {"learned": True, "n": 3, "context": 0.5, "density": 0.2, "pool": 30}
VARIANTS = [
    *((name, {}) for name in list_rankings(with_labels=True)),
    ("contextual", MOST),
    ("contextual", LEARNED),
    ("hamming", {"center": "median", "ties": "cosine"}),
]


@pytest.fixture(scope="module", params=VARIANTS, ids=lambda variant: "-".join([variant[0], *variant[1]]))
def variant(request):
    return request.param


@pytest.fixture(scope="module")
def ranker(variant, archive):
    name, options = variant
    return create_ranking(name, archive, **options)


def check_lists(archive, ranked, n_queries, k, codes):
    dtypes = (np.int32, np.float32, np.float32, np.uint8, np.float64)
    for name, dtype in zip(FIELDS, dtypes, strict=True):
        assert getattr(ranked, name).shape == (n_queries, k), name
        assert getattr(ranked, name).dtype == dtype, name
    assert (len(ranked), ranked.k) == (n_queries, k)
    for row in range(n_queries):
        positions = ranked.positions[row]
        found = positions[positions >= 0]
        assert (positions[found.size :] == -1).all(), "padding only at the end"
        assert np.unique(found).size == found.size
        assert found.max(initial=-1) < archive.n_films
        assert (ranked.sources[row, : found.size] > 0).all()
        assert ranked.sources.max(initial=0) < len(SOURCES)
        for name in ("sources", "similarities", "scores"):
            assert (getattr(ranked, name)[row, found.size :] == 0).all()
        assert np.isnan(ranked.gains[row, found.size :]).all()
        assert (np.diff(ranked.scores[row, : found.size]) <= 0).all(), "sorted by its own score"
        query = codes[row].astype(float) / np.linalg.norm(codes[row].astype(float))
        films = archive.codes[found].astype(float)
        cosine = films @ query / np.linalg.norm(films, axis=1)
        np.testing.assert_allclose(ranked.similarities[row, : found.size], cosine, atol=1e-6)


def same(first, second):
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name), err_msg=name)


@pytest.mark.parametrize("fill", [True, False])
@pytest.mark.parametrize("k", [1, 7, N_FILMS + 5])
def test_shapes_padding_and_order(archive, ranker, codes, k, fill):
    ranked = ranker.rank(QueryBatch.of(archive, codes, k), k, fill=fill)
    check_lists(archive, ranked, len(codes), k, codes)
    if fill:
        assert ((ranked.positions >= 0).sum(axis=1) == min(k, N_FILMS)).all()


def test_only_eligible_films_come(archive, ranker, codes):
    rng = np.random.default_rng(13)
    allowed = rng.random(N_FILMS) < 0.5
    forbidden = [rng.choice(N_FILMS, size, replace=False).astype(np.int32) for size in range(0, 27, 3)]
    ranked = ranker.rank(QueryBatch.of(archive, codes, 60, allowed=allowed, forbidden=forbidden), 60)
    check_lists(archive, ranked, len(codes), 60, codes)
    for row, banned in enumerate(forbidden):
        eligible = np.setdiff1d(np.flatnonzero(allowed), banned)
        assert sorted(ranked.positions[row][ranked.positions[row] >= 0].tolist()) == eligible.tolist()


def test_nobody_allowed_gives_padding(archive, ranker, codes):
    ranked = ranker.rank(QueryBatch.of(archive, codes, 4, allowed=np.zeros(N_FILMS, bool)), 4)
    check_lists(archive, ranked, len(codes), 4, codes)
    assert (ranked.positions == -1).all()


def test_deterministic_with_any_threads_alone_and_in_a_batch(archive, variant, ranker, codes):
    queries = QueryBatch.of(archive, codes, 20)
    ranked = ranker.rank(queries, 20, n_threads=1)
    same(ranked, ranker.rank(queries, 20, n_threads=1))
    same(ranked, ranker.rank(queries, 20, n_threads=2))
    same(ranked, create_ranking(variant[0], archive, **variant[1]).rank(queries, 20))
    for row in range(len(codes)):
        alone = ranker.rank(QueryBatch.of(archive, codes[row : row + 1], 20), 20)
        for name in FIELDS:
            np.testing.assert_array_equal(getattr(alone, name)[0], getattr(ranked, name)[row], err_msg=name)


def test_the_scale_of_the_codes_does_not_matter(archive, ranker, codes):
    plain = ranker.rank(QueryBatch.of(archive, codes, 20), 20)
    same(plain, ranker.rank(QueryBatch.of(archive, codes * np.float32(8.0), 20), 20))


def test_the_queries_are_left_as_they_were(archive, ranker, codes):
    queries = QueryBatch.of(archive, codes, 20)
    before = (queries.codes.copy(), queries.neighbors.copy(), queries.similarities.copy())
    ranker.rank(queries, 20)
    for array, copy in zip((queries.codes, queries.neighbors, queries.similarities), before, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_a_film_of_the_archive_finds_itself(archive, variant, ranker):
    if variant[1] or uses_labels(variant[0]):
        pytest.skip("context, density and findings put other films first on purpose")
    films = np.arange(0, N_FILMS, 10)
    ranked = ranker.rank(QueryBatch.of(archive, archive.codes[films], 5), 5)
    assert (ranked.positions == films[:, None]).any(axis=1).mean() > 0.7


def test_wrong_calls_are_refused(archive, ranker, codes):
    with pytest.raises(CodesError, match="NaN"):
        ranker.rank(QueryBatch.of(archive, np.full((1, 10), np.nan, np.float32), 3), 3)
    queries = QueryBatch.of(archive, codes, 3)
    for wrong in (0, -1, 2.5, True):
        with pytest.raises(InvalidParameterError, match=f"k={wrong}"):
            ranker.rank(queries, wrong)
    with pytest.raises(InvalidParameterError, match="n_threads=0"):
        ranker.rank(queries, N_FILMS, n_threads=0)


def test_labels_are_read_by_those_only_that_say_so(archive, variant, codes):
    without = replace(archive, findings=None)
    queries = QueryBatch.of(archive, codes, 20)
    if uses_labels(variant[0]):
        with pytest.raises(InvalidParameterError, match="build the index from films with labels"):
            create_ranking(variant[0], without, **variant[1])
        return
    same(
        create_ranking(variant[0], without, **variant[1]).rank(queries, 20),
        create_ranking(variant[0], archive, **variant[1]).rank(queries, 20),
    )


def test_the_default_is_registered_and_reads_no_labels():
    assert DEFAULT_RANKING in list_rankings()
    assert not uses_labels(DEFAULT_RANKING)
