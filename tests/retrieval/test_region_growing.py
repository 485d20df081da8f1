"""Region growing as a ranking: tie rules, fill, eligibility, threads, errors."""

import numpy as np
import pytest
import scipy.sparse

from graphret._errors import CodesError, InvalidParameterError
from graphret.graph import Graph
from graphret.neighbors import ExactSearch
from graphret.retrieval import SOURCES, Archive, QueryBatch, RegionGrowing, region_growing

EXPANSION, FILL = SOURCES.index("expansion"), SOURCES.index("fill")


def cliques(n_cliques, size=3, weight=1.0):
    return Graph.from_scipy(scipy.sparse.block_diag([weight * (np.ones((size, size)) - np.eye(size))] * n_cliques))


def same(first, second):
    for name in ("positions", "similarities", "scores", "sources", "gains"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


def row_of(ranked, row):
    arrays = {name: values for name in ranked.__dataclass_fields__ if (values := getattr(ranked, name)) is not None}
    del arrays["terms"]
    return type(ranked)(**{name: values[row : row + 1] for name, values in arrays.items()})


def test_equal_communities_go_to_the_most_similar_neighbour_then_to_the_smaller_label():
    # Both triangles get the weight 1.0 from the query; the second holds its best neighbour.
    graph, labels = cliques(2, weight=0.125), [0, 0, 0, 1, 1, 1]
    assert region_growing(graph, labels, [0, 1, 3, 4], [0.5, 0.5, 0.75, 0.25], 1).tolist() == [3]
    assert region_growing(graph, labels, [0, 1, 3, 4], [0.75, 0.25, 0.5, 0.5], 1).tolist() == [0]
    assert region_growing(graph, labels, [0, 3], [0.5, 0.5], 1).tolist() == [0]
    assert region_growing(graph, [1, 1, 1, 0, 0, 0], [0, 3], [0.5, 0.5], 1).tolist() == [3]


def test_equal_nodes_go_to_the_higher_cosine_then_to_the_smaller_id():
    sparse = cliques(1, 4, weight=0.125)
    assert region_growing(sparse, [0] * 4, [1, 3], [0.5, 0.5], 4).tolist()[:2] == [1, 3]
    # a ring whose even nodes have an edge to the query: of two that are equal by symmetry, the more similar comes first
    ring = np.roll(np.eye(8), 1, axis=0)
    angles = np.array([0.4, 3, 0.3, 3, 0.2, 3, 0.1, 3])
    codes = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    graph = Graph.from_scipy(scipy.sparse.csr_array(ring + ring.T))
    archive = Archive(codes, graph, np.zeros(8, np.int32), ExactSearch(codes), k=4)
    query = QueryBatch.of(archive, np.array([[1, 0]], np.float32), 8)
    assert archive.is_binary, "the query's edges all weigh 1, so that cosine alone decides"
    grown = RegionGrowing(archive).rank(query, 8, fill=False).positions[0]
    assert grown[:3].tolist() == [6, 5, 4], "5 and 7 are no neighbours of the query: the smaller id"


def test_gains_that_only_rounding_tells_apart_are_ties():
    # 0.1 + 0.2 and 0.3 differ in float64: both nodes have the same edges but in another order of summation.
    weights = [0.1, 0.2, 0.3, 0.4, 0.7]
    matrix = np.zeros((7, 7))
    matrix[0, 2:], matrix[1, 2:] = weights, weights[::-1]
    matrix += matrix.T
    found = region_growing(Graph.from_scipy(scipy.sparse.csr_array(matrix)), [0] * 7, [0, 1], [0.9, 0.9], 1)
    assert found.tolist() == [0]


def test_a_query_without_edges_grows_nothing_and_is_filled(archive, query_codes):
    assert region_growing(cliques(2), [0, 0, 0, 1, 1, 1], [], [], 3).tolist() == []
    assert region_growing(cliques(2), [0, 0, 0, 1, 1, 1], [-1, 2], [0.9, -0.5], 3).tolist() == []
    lonely = QueryBatch.of(archive, -archive.codes[:1], 5)
    lonely.similarities[:] = -0.1
    ranked = RegionGrowing(archive).rank(lonely, 5)
    assert (ranked.sources == FILL).all()
    np.testing.assert_array_equal(ranked.positions, lonely.neighbors[:, :5])


def test_a_graph_without_edges_gives_the_neighbours_alone():
    empty = Graph.from_scipy(scipy.sparse.csr_array((3, 3)))
    assert region_growing(empty, [0, 1, 2], [], [], 2).tolist() == []
    # l_c = 0: every neighbour is a community of its own and joining it gains its edge
    assert region_growing(empty, [0, 1, 2], [2, 1], [0.9, 0.8], 3).tolist() == [2, 1]


def test_labels_may_be_any_integers(archive):
    graph, neighbors = archive.graph, np.arange(0, 40, 4)
    cosines = np.linspace(0.9, 0.5, 10)
    plain = region_growing(graph, archive.communities, neighbors, cosines, 20)
    np.testing.assert_array_equal(region_growing(graph, archive.communities * 7 - 3, neighbors, cosines, 20), plain)
    assert plain.size > 5


def test_expansion_comes_first_and_fill_completes_it_by_cosine(archive, query_codes):
    queries = QueryBatch.of(archive, query_codes, 60)
    ranked = RegionGrowing(archive).rank(queries, 60)
    bare = RegionGrowing(archive).rank(queries, 60, fill=False)
    assert (ranked.sources == FILL).any()
    assert (ranked.sources == EXPANSION).any()
    for row in range(len(queries)):
        sources = ranked.sources[row]
        n_grown = int((sources == EXPANSION).sum())
        assert (sources[:n_grown] == EXPANSION).all()
        assert (sources[n_grown:] == FILL).all()
        grown = ranked.positions[row, :n_grown]
        assert bare.positions[row].tolist() == grown.tolist() + [-1] * (60 - n_grown)
        assert (bare.sources[row, n_grown:] == 0).all()
        rest = [film for film in queries.neighbors[row].tolist() if film not in grown][: 60 - n_grown]
        assert ranked.positions[row, n_grown:].tolist() == rest
        assert np.isfinite(ranked.gains[row, :n_grown]).all()
        assert np.isnan(ranked.gains[row, n_grown:]).all()


def test_one_query_alone_with_any_threads_and_any_length_gives_the_same(archive, query_codes):
    ranker = RegionGrowing(archive)
    queries = QueryBatch.of(archive, query_codes, 30)
    ranked = ranker.rank(queries, 30, n_threads=2)
    same(ranked, ranker.rank(queries, 30, n_threads=1))
    for row in range(len(queries)):
        same(row_of(ranked, row), ranker.rank(QueryBatch.of(archive, query_codes[row], 30), 30))
    short = ranker.rank(QueryBatch.of(archive, query_codes, 7), 7)
    np.testing.assert_array_equal(short.positions, ranked.positions[:, :7])
    # a batch that was made for fewer films is completed by a second search
    same(ranked, ranker.rank(QueryBatch.of(archive, query_codes, 1), 30))


def test_the_threshold_of_the_graph_chooses_the_edges_of_a_query(make_archive):
    archive = make_archive(threshold=0.95)
    codes = archive.codes[:1] + np.float32(0.1)
    queries = QueryBatch.of(archive, codes, 8)
    passing = queries.similarities[0] >= np.float32(0.95)
    assert 0 < passing.sum() < 8
    by_hand = region_growing(
        archive.graph,
        archive.communities,
        queries.neighbors[0, :8][passing[:8]],
        queries.similarities[0, :8][passing[:8]],
        8,
    )
    grown = RegionGrowing(archive).rank(queries, 8, fill=False).positions[0]
    assert grown[grown >= 0].tolist() == by_hand.tolist()
    # a query that is similar to no film keeps its best neighbour, as nodes of the graph do
    far = QueryBatch.of(archive, np.roll(codes, 3, axis=1), 8)
    assert far.similarities.max() < 0.95
    best = region_growing(archive.graph, archive.communities, far.neighbors[0, :1], far.similarities[0, :1], 8)
    grown = RegionGrowing(archive).rank(far, 8, fill=False).positions[0]
    assert grown[grown >= 0].tolist() == best.tolist()
    assert best.size


def test_the_number_of_edges_matters(archive, query_codes):
    queries = QueryBatch.of(archive, query_codes, 20)
    few = RegionGrowing(archive, edges=2).rank(queries, 20)
    many = RegionGrowing(archive, edges=30).rank(queries, 20)
    assert (few.positions != many.positions).any()
    same(RegionGrowing(archive).rank(queries, 20), RegionGrowing(archive, edges=archive.k).rank(queries, 20))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"k": 0}, "k=0 is not allowed"),
        ({"labels": [0, 0, 0]}, "labels="),
        ({"labels": np.zeros(6)}, "labels="),
        ({"neighbors": [1, 1]}, "neighbors=1 is not allowed: give each id once"),
        ({"neighbors": [1, 6]}, "ids from 0 to 5"),
        ({"neighbors": [1, -2]}, "ids from 0 to 5"),
        ({"neighbors": [0.5, 1.5]}, "integer ids"),
        ({"similarities": [0.5]}, "2, one per neighbour"),
        ({"similarities": [0.5, np.nan]}, "finite cosines"),
    ],
)
def test_wrong_input_is_refused(change, message):
    call = {"labels": [0] * 6, "neighbors": [0, 1], "similarities": [0.5, 0.5], "k": 2, **change}
    with pytest.raises(InvalidParameterError, match=message):
        region_growing(cliques(2), **call)


def test_wrong_batches_are_refused(archive, query_codes):
    queries = QueryBatch.of(archive, query_codes, 5)
    ranker = RegionGrowing(archive)
    with pytest.raises(CodesError, match="allowed has shape"):
        ranker.rank(QueryBatch(queries.codes, queries.neighbors, queries.similarities, np.ones(3, bool)), 5)
    wrong = [np.array([archive.n_films], np.int32)] * len(queries)
    with pytest.raises(InvalidParameterError, match="positions from 0 to 119"):
        ranker.rank(QueryBatch(queries.codes, queries.neighbors, queries.similarities, None, wrong), 5)
    with pytest.raises(InvalidParameterError, match="edges=0"):
        RegionGrowing(archive, edges=0)
