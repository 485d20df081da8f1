"""Several starts: the best of them and of what they agree on, the same with any number of threads."""

import numpy as np
import pytest
import scipy.sparse

from graphret._errors import InvalidParameterError
from graphret.communities import louvain, modularity, partition
from graphret.communities._kernels import _community_totals, _move_nodes_finer
from graphret.communities.climbing import Level, Objective
from graphret.communities.louvain import N_STARTS, _Search
from graphret.communities.modularity import OBJECTIVES
from graphret.graph import Graph, similarity_graph
from graphret.neighbors import nearest_neighbors

RING = Graph.from_scipy(
    scipy.sparse.csr_array(np.array([[0, 1, 0, 1], [1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 1, 0]]) * 1.0)
)


@pytest.fixture(scope="module")
def noise():
    """A graph without structure: every start ends elsewhere."""
    codes = np.random.default_rng(3).standard_normal((1500, 8)).astype(np.float32)
    return similarity_graph(nearest_neighbors(codes, 8))


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_start_does_not_depend_on_how_many_there_are(noise, objective):
    few, many = (louvain(noise, objective=objective, n_starts=n) for n in (2, 6))
    assert many.start_qualities[:2] == few.start_qualities
    assert few.start_qualities[0] == louvain(noise, objective=objective, n_starts=1).quality
    assert len(set(many.start_qualities)) == 6


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_what_starts_agree_on_scores_more_than_the_best_of_them(noise, objective):
    found = louvain(noise, objective=objective)
    assert len(found.start_qualities) == N_STARTS
    assert found.quality > max(found.start_qualities)
    assert found.quality == modularity(noise, found.labels, objective=objective)


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("n_threads", [2, 3, None])
def test_threads_change_nothing(noise, objective, n_threads):
    one, more = (louvain(noise, objective=objective, n_starts=5, seed=7, n_threads=n) for n in (1, n_threads))
    assert one.start_qualities == more.start_qualities
    np.testing.assert_array_equal(one.labels, more.labels)


def test_starts_differ_on_graphs_of_one_block():
    codes = np.random.default_rng(3).standard_normal((200, 8)).astype(np.float32)
    assert len(set(louvain(similarity_graph(nearest_neighbors(codes, 8))).start_qualities)) > 1


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_of_equal_starts_the_first_is_kept(objective):
    """A ring of four has two best partitions: starts find both, none is better."""
    search = _Search(RING, Level.of(RING), Objective(objective, RING.total_weight, 1.0), 0)
    starts = [search.start(np.arange(4, dtype=np.uint32), number, alone=True).labels.tolist() for number in range(8)]
    found = louvain(RING, objective=objective, n_starts=8)
    assert set(found.start_qualities) == {found.quality}
    assert [0, 1, 1, 0] in starts
    assert found.labels.tolist() == starts[0] == [0, 0, 1, 1]


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_starts_from_given_communities_never_lose_quality(noise, objective):
    initial = np.random.default_rng(0).integers(-1, 30, noise.n_nodes)
    start = np.where(initial == -1, 30 + np.arange(noise.n_nodes), initial)
    found = louvain(noise, objective=objective, initial=initial, n_starts=3)
    assert min(found.start_qualities) >= modularity(noise, start, objective=objective)


def test_graphs_without_edges_have_equal_starts():
    found = louvain(Graph.from_scipy(scipy.sparse.csr_array((3, 3))), n_starts=2)
    assert (found.labels.tolist(), found.start_qualities) == ([0, 1, 2], (0.0, 0.0))


def test_other_methods_start_once():
    pytest.importorskip("igraph")
    found = partition(RING, method="igraph", n_starts=5)
    assert found.start_qualities == (found.quality,)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n_starts": 0}, "n_starts=0"),
        ({"n_starts": 2.5}, "n_starts=2.5: an integer >= 1"),
        ({"n_starts": True}, "n_starts=True"),
        ({"seed": -1}, "seed=-1"),
        ({"n_threads": 0}, "n_threads=0"),
    ],
    ids=str,
)
def test_bad_starts(wrong, message):
    with pytest.raises(InvalidParameterError) as error:
        louvain(RING, **wrong)
    assert message.split(":")[0] in str(error.value)


def test_a_node_becomes_alone_again_where_that_gains_most():
    """Film 8 was given to a clique of four, to which it has one weak edge."""
    dense = np.zeros((9, 9))
    dense[:4, :4] = dense[4:8, 4:8] = 1 - np.eye(4)
    dense[0, 8] = dense[8, 0] = 0.01
    graph, initial = Graph.from_scipy(scipy.sparse.csr_array(dense)), np.array([0, 0, 0, 0, 1, 1, 1, 1, 0])
    found = louvain(graph, objective="weighted_modularity", initial=initial)
    assert found.labels.tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 2]
    assert found.quality > modularity(graph, initial, objective="weighted_modularity")


def test_what_is_kept_of_communities_stays_exact_where_they_become_empty():
    """Sums are carried from move to move: as if they were counted anew, and exactly zero for an empty community."""
    dense = np.triu(
        np.random.default_rng(1).random((300, 300)) * (np.random.default_rng(2).random((300, 300)) < 0.1), 1
    )
    graph, n_nodes = Graph.from_scipy(scipy.sparse.csr_array(dense + dense.T)), 300  # float64, whose sums are rounded
    level = Level.of(graph)
    nodes = (level.indptr, level.indices, level.weights, level.degrees)
    labels = np.random.default_rng(0).integers(0, 60, n_nodes).astype(np.uint32)
    kept, counted = np.zeros((n_nodes, 4)), np.zeros((n_nodes, 4))
    _community_totals(*nodes, level.loops, level.sizes, labels, kept)
    longest = level.longest_row + 1
    scratch = (np.empty(longest, np.uint32), np.empty(longest, np.uint32), np.empty(longest, level.weights.dtype))
    state = (labels, kept, np.arange(2, dtype=np.uint32), 256, np.ones(n_nodes, np.bool_))
    _move_nodes_finer(*nodes, level.inner, level.loops, level.sizes, *state, *scratch, graph.total_weight, 1.0)
    _community_totals(*nodes, level.loops, level.sizes, labels, counted)
    np.testing.assert_allclose(kept, counted, atol=1e-9)
    empty = np.bincount(labels, minlength=n_nodes) == 0
    assert empty.any()
    assert (kept[empty] == 0).all()
