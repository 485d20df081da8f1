"""The contextual ranking against a slow, literal version, its special cases, and what it refuses."""

import numpy as np
import pytest
import scipy.sparse

from graphret._errors import InvalidParameterError
from graphret.graph import Graph
from graphret.neighbors import ExactSearch
from graphret.retrieval import Archive, Contextual, QueryBatch, create_ranking, explain
from graphret.retrieval.density import density_ranks, local_density
from graphret.retrieval.whitening import Whitening


def unit(code):
    code = np.asarray(code, dtype=np.float64)
    return code / np.sqrt((code * code).sum())


def literal_density(archive, among):
    graph = archive.graph.to_scipy().toarray().astype(np.float64)
    density = []
    for row in graph:
        weights = sorted((float(weight) for weight in row if weight > 0), reverse=True)[:20]
        density.append((sum(weights) + (20 - len(weights)) * (archive.graph.threshold or 0.0)) / 20)
    ranks = []
    for film, value in enumerate(density):
        peers = [
            density[i]
            for i in range(len(density))
            if among == "archive" or archive.communities[i] == archive.communities[film]
        ]
        below = sum(other < value - 1e-12 for other in peers)
        equal = sum(abs(other - value) <= 1e-12 for other in peers)
        ranks.append(3**0.5 * (2 * (below + equal / 2) / len(peers) - 1))
    return ranks


def literal_metric(archive, strength):
    codes = np.stack([unit(code) for code in archive.codes])
    mean = codes.mean(axis=0)
    covariance = (codes - mean).T @ (codes - mean) / len(codes)
    ridge = np.trace(covariance) / len(mean)
    values, vectors = np.linalg.eigh(covariance)
    return mean, vectors @ np.diag((ridge / (values + ridge)) ** strength) @ vectors.T


def literal_contextual(archive, code, eligible, options):
    """Scores of the pool, as the docstring of `Contextual` defines them, film by film."""
    query = unit(code)
    cosine = {film: round(float(query @ unit(archive.codes[film])), 6) for film in eligible}
    pool = sorted(eligible, key=lambda film: (-cosine[film], film))[: options["pool"]]
    moved = query.copy()
    for film in pool[: options["n"]]:
        if cosine[film] > 0:
            moved += cosine[film] ** options["alpha"] * unit(archive.codes[film])
    own = {}
    for film in pool:
        if options["whitening"] is None:
            own[film] = float(unit(moved) @ unit(archive.codes[film]))
        else:
            mean, metric = literal_metric(archive, options["whitening"])
            one, other = unit(moved) - mean, unit(archive.codes[film]) - mean
            own[film] = float(one @ metric @ other / np.sqrt((one @ metric @ one) * (other @ metric @ other)))
    values = dict(own)
    graph = archive.graph.to_scipy().toarray()
    for _ in range(options["rounds"]):
        before = dict(values)
        for film in pool:
            linked = np.flatnonzero(graph[film])
            weighted = [float(graph[film, y]) * before.get(y, min(own.values())) for y in linked]
            values[film] = sum(weighted) / sum(float(graph[film, y]) for y in linked)
    mixed = {film: (1 - options["context"]) * own[film] + options["context"] * values[film] for film in pool}
    spread = np.std(list(mixed.values()))
    density = literal_density(archive, options["among"])
    return {film: mixed[film] + options["density"] * spread * density[film] for film in pool}


DEFAULTS = {"n": 0, "alpha": 1.0, "context": 0.0, "rounds": 1, "density": 0.0, "among": "archive", "whitening": None}


@pytest.mark.parametrize(
    "options",
    [
        {"pool": 40, "n": 5, "alpha": 2.0},
        {"pool": 40, "context": 0.5},
        {"pool": 25, "n": 3, "context": 0.9, "rounds": 3},
        {"pool": 40, "density": 1.5},
        {"pool": 40, "density": -1.0, "among": "community"},
        {"pool": 40, "whitening": 0.0},
        {"pool": 40, "whitening": 0.7, "n": 4},
        {"pool": 500, "n": 10, "context": 1.0, "rounds": 2, "density": 2.0, "among": "community", "whitening": 1.0},
    ],
    ids=str,
)
def test_it_is_the_literal_definition(archive, query_codes, options, restricted):
    options = DEFAULTS | options
    queries = restricted(archive, query_codes, seed=21)
    ranked = Contextual(archive, **options).rank(queries, 12)
    for row, code in enumerate(query_codes):
        eligible = np.setdiff1d(np.flatnonzero(queries.allowed), queries.forbidden[row]).tolist()
        expected = literal_contextual(archive, code, eligible, options)
        scores = ranked.scores[row]
        np.testing.assert_allclose(scores, [expected[film] for film in ranked.positions[row].tolist()], atol=5e-6)
        np.testing.assert_allclose(scores, sorted(expected.values(), reverse=True)[:12], atol=5e-6)
        np.testing.assert_allclose(sum(term[row] for term in ranked.terms.values()), scores, atol=1e-6)


def test_without_its_parts_it_is_nearest(archive, query_codes):
    queries = QueryBatch.of(archive, query_codes, 15)
    plain = Contextual(archive, n=0, context=0.0, density=0.0).rank(queries, 15)
    np.testing.assert_array_equal(plain.positions, create_ranking("nearest", archive).rank(queries, 15).positions)


def test_with_expansion_only_and_a_pool_of_all_films_it_is_alpha_qe(archive, query_codes):
    queries = QueryBatch.of(archive, query_codes, 15)
    ours = Contextual(archive, pool=archive.n_films, n=6, alpha=3.0, context=0.0).rank(queries, 15)
    theirs = create_ranking("alpha_qe", archive, n=6, alpha=3.0).rank(queries, 15)
    np.testing.assert_array_equal(ours.positions, theirs.positions)


def test_a_hit_is_explained_by_the_terms_of_its_score(archive, query_codes):
    queries = QueryBatch.of(archive, query_codes, 5)
    ranked = Contextual(archive, density=1.0).rank(queries, 5)
    for place, reason in enumerate(explain(archive, queries, ranked, 2)):
        assert list(reason.terms) == ["similarity", "context", "density"]
        assert sum(reason.terms.values()) == pytest.approx(ranked.scores[2, place], abs=1e-6)
    nearest = create_ranking("nearest", archive).rank(queries, 5)
    assert dict(explain(archive, queries, nearest, 2)[0].terms) == {}


def test_a_dense_film_comes_before_an_equally_similar_one_that_stands_apart():
    # Films 1, 2 and 3 are near each other, film 0 stands on the other side of the query, as far from it as film 1.
    angles = np.array([-0.3, 0.3, 0.31, 0.32])
    codes = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    weights = np.zeros((4, 4))
    weights[1, 2] = weights[1, 3] = weights[2, 3] = 0.99
    weights[0, 1] = 0.5
    graph = Graph.from_scipy(scipy.sparse.csr_array(weights + weights.T))
    archive = Archive(codes, graph, np.zeros(4, np.int32), ExactSearch(codes), k=2)
    query = QueryBatch.of(archive, np.array([1, 0], np.float32), 4)
    first = {density: Contextual(archive, n=0, context=0.0, density=density).rank(query, 4).positions[0, 0]
             for density in (-1.0, 0.0, 1.0)}  # fmt: skip
    assert first == {-1.0: 0, 0.0: 0, 1.0: 1}


def test_a_query_at_the_centre_of_the_archive_has_no_direction(archive):
    centre = np.mean([unit(code) for code in archive.codes], axis=0)
    metric = Whitening.fit(archive.search, 1.0)
    films = np.array([[0, 5, -1]], np.int32)
    found = metric.cosines(archive.search, (centre / np.linalg.norm(centre)).astype(np.float32)[None], films)
    assert np.isfinite(found).all()
    assert found[0, 2] == 0


def test_density_counts_missing_edges_as_the_threshold():
    path = scipy.sparse.csr_array(np.array([[0, 0.8, 0], [0.8, 0, 0.6], [0, 0.6, 0]]))
    graph = Graph.from_scipy(path)
    np.testing.assert_allclose(local_density(graph, 2), [0.4, 0.7, 0.3], atol=1e-7)
    with_threshold = Graph(graph.indptr, graph.indices, graph.weights, threshold=0.5)
    np.testing.assert_allclose(local_density(with_threshold, 2), [0.65, 0.7, 0.55], atol=1e-7)
    np.testing.assert_allclose(local_density(graph, 1), [0.8, 0.8, 0.6], atol=1e-7)


def test_density_ranks_have_mean_0_and_variance_about_1():
    ranks = density_ranks(np.random.default_rng(3).random(500))
    assert abs(ranks.mean()) < 1e-12
    assert abs(ranks.std() - 1) < 1e-4
    assert density_ranks(np.empty(0)).shape == (0,)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pool": 0}, "pool=0"),
        ({"n": -1}, "n=-1"),
        ({"alpha": -0.5}, "alpha=-0.5"),
        ({"context": 1.5}, "context=1.5 .* >= 0 and <= 1"),
        ({"rounds": 0}, "rounds=0"),
        ({"density": np.inf}, "density=inf"),
        ({"among": "films"}, "among='films' .* archive, community"),
        ({"whitening": -0.1}, "whitening=-0.1 .* >= 0 and <= 1 .None"),
    ],
)
def test_values_out_of_range_are_refused(archive, options, message):
    with pytest.raises(InvalidParameterError, match=message):
        Contextual(archive, **options)
