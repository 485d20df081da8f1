"""Region growing equals Haq et al. 2021, Algorithm 2 written out literally: the same ids in the same order.

The literal version works from the definitions: sets of nodes, exact fractions, nothing kept between steps. Weights and
cosines are integers in units of 1 / ``unit``, so that its sums, gains and ties are exact.
"""

from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from graphret.graph import Graph
from graphret.neighbors import ExactSearch
from graphret.retrieval import Archive, QueryBatch, RegionGrowing, region_growing

QUERY = "query"


class Network:
    """Undirected edges ``{frozenset(ends): integer weight}``."""

    def __init__(self, edges, unit):
        self.edges = edges
        self.unit = unit

    def inside(self, nodes):
        """Weight of the edges with both ends among the nodes, each counted once: l."""
        return Fraction(sum(weight for ends, weight in self.edges.items() if ends <= nodes), self.unit)

    def degree(self, nodes):
        """Sum of the degrees of the nodes: d."""
        return Fraction(sum(weight * len(ends & nodes) for ends, weight in self.edges.items()), self.unit)

    def induced(self, nodes):
        return Network({ends: weight for ends, weight in self.edges.items() if ends <= nodes}, self.unit)


def term(inside, degree, size, total):
    """f = lambda q with the finer zeta (Eq. 4-6)."""
    strength = 1 + (2 * inside / (size * (size - 1)) if size >= 2 else 0)
    return strength * (inside / total - (degree / (2 * total)) ** 2)


def literal(edges, labels, query_edges, k, *, unit, eligible=None, cosines=None):
    """Ids in order of addition, and their gains; ``query_edges`` and ``cosines`` are ``{id: integer}``."""
    cosines = query_edges if cosines is None else cosines
    nodes = frozenset(range(len(labels)))
    eligible = nodes if eligible is None else frozenset(eligible)
    stored = Network(edges, unit)
    whole = Network({**edges, **{frozenset([QUERY, v]): weight for v, weight in query_edges.items()}}, unit)
    total = whole.inside(nodes | {QUERY})
    unused = {label: frozenset(v for v in nodes if labels[v] == label) for label in labels}
    region, added, gains = frozenset([QUERY]), [], []

    def closeness(members):
        return max((cosines[v] for v in members if v in cosines), default=-2 * unit)

    while len(added) < k and unused and total > 0:
        merged = {}
        l_region = whole.inside(region)
        d_region = whole.degree(frozenset([QUERY])) + stored.degree(region - {QUERY})
        for label, members in unused.items():
            l_members, d_members = stored.inside(members), stored.degree(members)
            between = whole.inside(region | members) - l_region - l_members
            merged[label] = (
                term(l_region + l_members + between, d_region + d_members, len(region) + len(members), total)
                - term(l_region, d_region, len(region), total)
                - term(l_members, d_members, len(members), total)
            )
        best = max(merged.values())
        if best <= 0:
            break
        chosen = min((c for c in unused if merged[c] == best), key=lambda c: (-closeness(unused[c]), c))
        members = unused.pop(chosen)
        subgraph = whole.induced(region | members)
        size = subgraph.inside(region | members)
        while len(added) < k and size > 0:
            before = term(subgraph.inside(region), subgraph.degree(region), len(region), size)
            joined = {
                v: term(subgraph.inside(region | {v}), subgraph.degree(region | {v}), len(region) + 1, size)
                - before
                - term(Fraction(0), subgraph.degree(frozenset([v])), 1, size)
                for v in (members & eligible) - region
            }
            if not joined:
                break
            best = max(joined.values())
            node = min((v for v in joined if joined[v] == best), key=lambda v: (-closeness([v]), v))
            region |= {node}
            added.append(node)
            gains.append(float(best))
    return added, gains


@st.composite
def networks(draw, units):
    """A graph with communities that are its own or have nothing to do with it, connected or not, with ties or few."""
    unit, heaviest = draw(st.sampled_from(units))
    n_nodes = draw(st.integers(1, 14))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    labels = rng.integers(0, draw(st.integers(1, 5)), n_nodes).tolist()
    groups = labels if draw(st.booleans()) else rng.integers(0, 3, n_nodes).tolist()
    within, across = draw(st.sampled_from([(0.3, 0.3), (0.7, 0.1), (0.5, 0.0), (0.9, 0.7), (0.15, 0.15), (0.0, 0.0)]))
    values = rng.integers(1, heaviest + 1, draw(st.sampled_from([1, 2, 1000])))
    edges = {
        frozenset([i, j]): int(rng.choice(values))
        for i in range(n_nodes)
        for j in range(i)
        if rng.random() < (within if groups[i] == groups[j] else across)
    }
    return rng, unit, labels, edges


def graph_of(edges, n_nodes, unit):
    matrix = np.zeros((n_nodes, n_nodes))
    for ends, weight in edges.items():
        i, j = ends
        matrix[i, j] = matrix[j, i] = weight / unit
    return Graph.from_scipy(scipy.sparse.csr_array(matrix))


def draw_edges(draw, rng, unit, candidates):
    """Edges of a query, best first as a search gives them: few, many or none; distinct or tied."""
    size = draw(st.integers(0, len(candidates)))
    values = rng.integers(1, unit + 1, draw(st.sampled_from([1, 3, 1000])))
    cosines = np.sort(rng.choice(values, size))[::-1]
    return dict(zip(rng.permutation(candidates)[:size].tolist(), cosines.tolist(), strict=True))


@settings(max_examples=300, deadline=None, derandomize=True)
@given(data=st.data())
def test_same_ids_in_the_same_order(data):
    rng, unit, labels, edges = data.draw(networks([(1, 1), (4, 30), (64, 64), (10**6, 10**6)]))
    n_nodes = len(labels)
    query = draw_edges(data.draw, rng, unit, np.arange(n_nodes))
    k = data.draw(st.integers(1, n_nodes + 1))
    graph = graph_of(edges, n_nodes, unit)
    neighbors, cosines = list(query), np.array(list(query.values())) / unit
    expected, _ = literal(edges, labels, query, k, unit=unit)
    found = region_growing(graph, labels, neighbors, cosines, k)
    assert found.dtype == np.int32
    assert found.tolist() == expected
    turned = rng.permutation(len(neighbors))
    assert region_growing(graph, labels, np.array(neighbors)[turned], cosines[turned], k).tolist() == expected
    longer = region_growing(graph, labels, neighbors, cosines, n_nodes + 1).tolist()
    assert longer[:k] == expected, "the list for a smaller k begins the list for a larger one"


@settings(max_examples=200, deadline=None, derandomize=True)
@given(data=st.data())
def test_batch_with_films_that_are_not_allowed(data):
    rng, unit, labels, edges = data.draw(networks([(1, 1), (4, 30), (2**20, 2**20)]))
    n_nodes = len(labels)
    graph = graph_of(edges, n_nodes, unit)
    codes = rng.normal(size=(n_nodes, 3)).astype(np.float32)
    archive = Archive(codes, graph, np.array(labels, np.int32), ExactSearch(codes), k=n_nodes)
    allowed = rng.random(n_nodes) < data.draw(st.sampled_from([0.5, 0.9])) if data.draw(st.booleans()) else None
    n_queries = data.draw(st.integers(1, 3))
    forbidden = [np.flatnonzero(rng.random(n_nodes) < 0.3).astype(np.int32) for _ in range(n_queries)]
    neighbors = np.full((n_queries, n_nodes), -1, np.int32)
    similarities = np.zeros((n_queries, n_nodes), np.float32)
    eligible, queries = [], []
    for row in range(n_queries):
        mask = np.ones(n_nodes, bool) if allowed is None else allowed.copy()
        mask[forbidden[row]] = False
        eligible.append(set(np.flatnonzero(mask).tolist()))
        queries.append(draw_edges(data.draw, rng, unit, np.flatnonzero(mask)))
        neighbors[row, : len(queries[row])] = list(queries[row])
        similarities[row, : len(queries[row])] = np.array(list(queries[row].values())) / unit
    k = data.draw(st.integers(1, n_nodes + 1))
    batch = QueryBatch(codes[rng.integers(0, n_nodes, n_queries)], neighbors, similarities, allowed, forbidden)
    ranker = RegionGrowing(archive)
    ranked = ranker.rank(batch, k, fill=False, n_threads=1)
    for row in range(n_queries):
        weights = dict.fromkeys(queries[row], unit) if archive.is_binary else queries[row]
        expected, gains = literal(edges, labels, weights, k, unit=unit, eligible=eligible[row], cosines=queries[row])
        assert ranked.positions[row].tolist() == expected + [-1] * (k - len(expected))
        np.testing.assert_allclose(ranked.gains[row, : len(gains)], gains, rtol=1e-9, atol=1e-12)
        assert np.isnan(ranked.gains[row, len(gains) :]).all()


def test_larger_graphs_with_planted_communities():
    rng = np.random.default_rng(3)
    for n_groups, k in [(3, 60), (6, 25), (12, 60)]:
        labels = rng.integers(0, n_groups, 60).tolist()
        edges = {
            frozenset([i, j]): int(rng.integers(1, 10**6))
            for i in range(60)
            for j in range(i)
            if rng.random() < (0.6 if labels[i] == labels[j] else 0.08)
        }
        query = {int(v): int(w) for v, w in zip(rng.permutation(60)[:10], rng.integers(1, 10**6, 10), strict=True)}
        expected, _ = literal(edges, labels, query, k, unit=10**6)
        found = region_growing(graph_of(edges, 60, 10**6), labels, list(query), np.array([*query.values()]) / 1e6, k)
        assert found.tolist() == expected
        assert len(expected) > 3


@pytest.mark.parametrize("unit", [4, 2**20])
def test_nodes_without_an_edge_to_the_region_come_before_linked_ones_where_they_gain_more(unit):
    # The region holds more degree than its inner weight pays for; merging it with nothing dilutes lambda and gains.
    edges = {frozenset(ends): weight * unit // 4 for ends, weight in [((2, 4), 16), ((2, 5), 16), ((4, 5), 21)]}
    query = {2: 24 * unit // 4, 4: 13 * unit // 4}
    expected, _ = literal(edges, [0] * 6, query, 6, unit=unit)
    assert expected == [2, 0, 1, 3, 4, 5]
    assert region_growing(graph_of(edges, 6, unit), [0] * 6, [2, 4], [6.0, 3.25], 6).tolist() == expected


def test_a_community_is_used_up_although_its_nodes_no_longer_gain():
    """Haq et al.'s lines 16-22 take the largest gain and ask nothing else (once: above 0)."""
    unit = 8
    edges = {frozenset([i, i + 1]): unit for i in range(7)}
    expected, gains = literal(edges, [0] * 8, {0: unit}, 8, unit=unit)
    assert expected == [0, 1, 2, 3, 4, 5, 6, 7]
    assert max(gains[3:7]) < 0, "the fourth to the seventh film of this path lower the modularity of the region"
    assert region_growing(graph_of(edges, 8, unit), [0] * 8, [0], [1.0], 8).tolist() == expected
