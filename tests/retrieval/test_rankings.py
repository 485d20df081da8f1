"""The rankings that region growing is compared with, each against a naive version."""

import numpy as np
import pytest
import scipy.sparse

from graphret._errors import InvalidParameterError
from graphret.graph import Graph
from graphret.neighbors import ExactSearch
from graphret.retrieval import (
    SOURCES,
    AlphaQueryExpansion,
    Archive,
    Diffusion,
    Nearest,
    QueryBatch,
    create_ranking,
    list_rankings,
    ranking_options,
)

SEARCH, FILL = SOURCES.index("search"), SOURCES.index("fill")


def cosines(first, second):
    first, second = first.astype(np.float64), second.astype(np.float64)
    products = first @ second.T
    return np.round(products / np.outer(np.linalg.norm(first, axis=1), np.linalg.norm(second, axis=1)), 6)


def restrictions(archive, n_queries):
    rng = np.random.default_rng(5)
    allowed = rng.random(archive.n_films) < 0.7
    forbidden = [rng.choice(archive.n_films, 10, replace=False).astype(np.int32) for _ in range(n_queries)]
    mask = np.tile(allowed, (n_queries, 1))
    for row, films in enumerate(forbidden):
        mask[row, films] = False
    return allowed, forbidden, mask


def test_nearest_is_brute_force(archive, query_codes):
    allowed, forbidden, mask = restrictions(archive, len(query_codes))
    queries = QueryBatch.of(archive, query_codes, 12, allowed=allowed, forbidden=forbidden)
    ranked = Nearest(archive).rank(queries, 12)
    expected = np.where(mask, cosines(query_codes, archive.codes), -2)
    order = np.argsort(-expected, axis=1, kind="stable")[:, :12]
    np.testing.assert_array_equal(ranked.positions, order)
    np.testing.assert_allclose(ranked.similarities, np.take_along_axis(expected, order, axis=1), atol=1.01e-6)
    np.testing.assert_array_equal(ranked.scores, ranked.similarities)
    assert (ranked.sources == SEARCH).all()
    assert np.isnan(ranked.gains).all()


def naive_expansion(archive, code, mask, n, alpha):
    unit = [film.astype(float) / np.linalg.norm(film.astype(float)) for film in archive.codes]
    query = code.astype(float) / np.linalg.norm(code.astype(float))
    similarity = [round(float(query @ film), 6) for film in unit]
    nearest = sorted((i for i in range(len(unit)) if mask[i]), key=lambda i: (-similarity[i], i))[:n]
    expanded = query.copy()
    for i in nearest:
        if similarity[i] > 0:
            expanded += similarity[i] ** alpha * unit[i]
    return expanded


@pytest.mark.parametrize(("n", "alpha"), [(1, 3.0), (10, 3.0), (4, 0.0), (200, 1.5)])
def test_alpha_query_expansion_is_the_naive_loop(archive, query_codes, n, alpha):
    allowed, forbidden, mask = restrictions(archive, len(query_codes))
    queries = QueryBatch.of(archive, query_codes, 12, allowed=allowed, forbidden=forbidden)
    ranked = AlphaQueryExpansion(archive, n=n, alpha=alpha).rank(queries, 12)
    for row, code in enumerate(query_codes):
        expanded = naive_expansion(archive, code, mask[row], n, alpha)
        expected = np.where(mask[row], cosines(expanded[None], archive.codes)[0], -2)
        np.testing.assert_allclose(ranked.scores[row], np.sort(expected)[::-1][:12], atol=3e-6)
        np.testing.assert_allclose(ranked.scores[row], expected[ranked.positions[row]], atol=3e-6)
    to_query = np.take_along_axis(cosines(query_codes, archive.codes), ranked.positions.astype(int), axis=1)
    np.testing.assert_allclose(ranked.similarities, to_query, atol=1.01e-6)
    assert (ranked.sources == SEARCH).all()


def dense_diffusion(archive, queries, alpha, gamma, edges):
    weights = archive.graph.to_scipy().toarray().astype(np.float64)
    weights = np.where(weights > 0, weights**gamma, 0)
    degrees = weights.sum(axis=1)
    scales = np.divide(1, np.sqrt(degrees), out=np.zeros_like(degrees), where=degrees > 0)
    system = np.eye(archive.n_films) - alpha * weights * np.outer(scales, scales)
    source = np.zeros((len(queries), archive.n_films))
    for row in range(len(queries)):
        for film, cosine in zip(queries.neighbors[row, :edges], queries.similarities[row, :edges], strict=True):
            if film >= 0 and cosine > 0:
                source[row, film] = float(cosine) ** gamma
    return (1 - alpha) * np.linalg.solve(system, source.T).T


@pytest.mark.parametrize(("alpha", "gamma", "edges"), [(0.9, 3.0, 8), (0.5, 1.0, 3), (0.99, 0.0, 20)])
def test_diffusion_is_the_dense_closed_form(make_archive, query_codes, alpha, gamma, edges):
    archive = make_archive(threshold=None)
    allowed, forbidden, mask = restrictions(archive, len(query_codes))
    queries = QueryBatch.of(archive, query_codes, 30, allowed=allowed, forbidden=forbidden)
    exact = dense_diffusion(archive, queries, alpha, gamma, edges)
    ranker = Diffusion(archive, alpha=alpha, gamma=gamma, edges=edges, n_iterations=500)
    ranked = ranker.rank(queries, 30, fill=False)
    for row in range(len(queries)):
        films = ranked.positions[row][ranked.positions[row] >= 0]
        assert mask[row, films].all()
        reached = np.where(mask[row], exact[row], 0)
        assert films.size == min(30, (reached > 1e-9 * exact[row].max()).sum())
        close = {"rtol": 1e-5, "atol": 1e-9 * exact[row].max()}  # the grid of the scores
        np.testing.assert_allclose(ranked.scores[row, : films.size], reached[films], **close)
        np.testing.assert_allclose(ranked.scores[row, : films.size], np.sort(reached)[::-1][: films.size], **close)


def test_diffusion_ties_go_to_the_smaller_position():
    # A star: all leaves have the same score, whatever the order of the sums.
    star = np.zeros((6, 6))
    star[5, :5] = star[:5, 5] = 0.7
    codes = np.eye(6, dtype=np.float32)
    graph = Graph.from_scipy(scipy.sparse.csr_array(star))
    archive = Archive(codes, graph, np.zeros(6, np.int32), ExactSearch(codes), k=1)
    ranked = Diffusion(archive).rank(QueryBatch.of(archive, codes[5], 6), 6)
    assert ranked.positions[0].tolist() == [5, 0, 1, 2, 3, 4]
    assert (ranked.scores[0, 1:] == ranked.scores[0, 1]).all()


def test_diffusion_stays_in_the_neighbourhood_and_is_filled(archive, query_codes):
    queries = QueryBatch.of(archive, query_codes, 20)
    bare = Diffusion(archive, n_local=10).rank(queries, 20, fill=False)
    assert ((bare.positions >= 0).sum(axis=1) <= 10).all()
    # the first hop is the query's own edges, so that a neighbourhood of their number holds nothing else
    seeds = Diffusion(archive, n_local=archive.k).rank(queries, 20, fill=False)
    for row in range(len(queries)):
        linked = queries.similarities[row, : archive.k] >= np.float32(archive.graph.threshold)
        if linked.all():
            found = seeds.positions[row][seeds.positions[row] >= 0]
            assert sorted(found.tolist()) == sorted(queries.neighbors[row, : archive.k].tolist())
    filled = Diffusion(archive, n_local=10).rank(queries, 20)
    assert (filled.positions >= 0).all()
    assert (filled.sources[bare.positions < 0] == FILL).all()
    assert (filled.sources[bare.positions >= 0] == SEARCH).all()


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("alpha_qe", {"n": 3, "alpha": 20.0}),
        ("diffusion", {"alpha": 0.2, "gamma": 0.0, "n_iterations": 1, "n_local": 20, "edges": 2}),
        ("hamming", {"center": "median", "ties": "cosine"}),
        ("region_growing", {"edges": 2}),
        ("nearest", {}),
        (
            "contextual",
            {"pool": 45, "n": 3, "alpha": 20.0, "context": 0.1, "rounds": 3, "density": 1.0, "whitening": 0.5},
        ),
    ],
)
def test_every_option_changes_the_scores(archive, query_codes, name, changes):
    assert set(ranking_options(name)) - {"among", "learned"} == set(changes), (
        "they need more: see test_contextual, test_learned_metric"
    )
    queries = QueryBatch.of(archive, query_codes, 40)
    plain = create_ranking(name, archive).rank(queries, 40)
    for option, value in changes.items():
        changed = create_ranking(name, archive, **{option: value}).rank(queries, 40)
        assert (changed.positions != plain.positions).any() or (changed.scores != plain.scores).any(), option


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "nearst",
            {},
            "ranking='nearst' .* one of alpha_qe, .*diffusion, hamming, label_aware, nearest, region_.*'nearest'",
        ),
        ("diffusion", {"alfa": 1}, "'alfa' is not allowed: give one of alpha, edges, gamma, n_iterations, n_local"),
        ("nearest", {"n": 1}, "the ranking 'nearest' has none"),
        ("diffusion", {"alpha": 1.0}, "alpha=1.0 .* > 0 and < 1"),
        ("diffusion", {"alpha": 0}, "alpha=0 "),
        ("diffusion", {"gamma": -1}, "gamma=-1"),
        ("diffusion", {"gamma": np.nan}, "gamma=nan"),
        ("diffusion", {"n_iterations": 0}, "n_iterations=0"),
        ("diffusion", {"n_local": 0}, "n_local=0"),
        ("diffusion", {"edges": 0}, "edges=0"),
        ("alpha_qe", {"n": 0}, "n=0"),
        ("alpha_qe", {"alpha": "3"}, "alpha='3'"),
        ("alpha_qe", {"alpha": np.inf}, "alpha=inf"),
    ],
)
def test_unknown_names_and_values_are_refused(archive, name, options, message):
    with pytest.raises(InvalidParameterError, match=message):
        create_ranking(name, archive, **options)


def test_options_are_listed_for_every_ranking():
    assert {name: sorted(ranking_options(name)) for name in list_rankings()} == {
        "alpha_qe": ["alpha", "n"],
        "contextual": ["alpha", "among", "context", "density", "learned", "n", "pool", "rounds", "whitening"],
        "diffusion": ["alpha", "edges", "gamma", "n_iterations", "n_local"],
        "hamming": ["center", "ties"],
        "nearest": [],
        "region_growing": ["edges"],
    }
