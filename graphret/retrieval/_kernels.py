"""Kernels of region growing: community totals, the gain of a merger, one region per query.

The nodes of the community that is being added are numbered as a query touches them (`_numbering`). Edges that lead to
other communities are kept in a list, and read when the next community is chosen. The scratch of a thread is doubled
where a query touches more, and the query begins again: memory is what queries touch, and an entry for each community.
"""

from __future__ import annotations

import numpy as np

from graphret._numba import jit, prange, prefetch
from graphret.retrieval._candidate_kernels import (
    CLOSED,
    TOLERANCE,
    _add_candidate,
    _add_weight,
    _best_gain,
    _candidates,
    _drop_candidate,
    _merge_gain,
    _nearest_of_the_best,
    _set_degrees,
)
from graphret.retrieval._numbering import FREE_PLACE, _number_at, _number_of, _number_table, _place_of, _set_number

__all__ = ["_community_totals", "_grow_regions"]

NO_COSINE = -2.0
"""Cosine to the query of what has no edge to it: lower than any."""
FIRST_CAPACITY = 2_048
"""Nodes of one community that a scratch has room for at first, if the mean degree for each hit is not more."""
LINE = 16
"""Numbers of 4 bytes that memory gives at once."""
OUTSIDE = 4
"""Edges to other communities that it has room for, for each of those nodes."""


@jit()
def _community_totals(
    indptr, indices, weights, labels, out_degrees, out_inside, out_community_inside, out_community_degrees
):
    """Degree of every node, in all and inside its community; l and d of every community (outputs start at 0)."""
    for node in range(labels.shape[0]):
        community = labels[node]
        degree = 0.0
        inside = 0.0
        for position in range(indptr[node], indptr[node + 1]):
            degree += weights[position]
            if labels[indices[position]] == community:
                inside += weights[position]
        out_degrees[node] = degree
        out_inside[node] = inside
        out_community_degrees[community] += degree
        out_community_inside[community] += inside
    out_community_inside *= 0.5  # every edge was met from both ends


@jit()
def _choose_community(stored, communities, inside, degree, size, total):
    """Unused community with the largest positive gain (Eq. 10-13), or -1."""
    to_community, best_cosines, used, _, _, community_gains = communities
    _, _, _, _, starts, community_inside, community_degrees, _ = stored
    best = -np.inf
    allowance = 0.0
    for community in range(used.shape[0]):
        if not used[community]:
            members = starts[community + 1] - starts[community]
            gain, magnitude = _merge_gain(
                inside,
                degree,
                size,
                community_inside[community],
                community_degrees[community],
                members,
                to_community[community],
                total,
            )
            community_gains[community] = gain
            if gain > best:
                best = gain
                allowance = TOLERANCE * magnitude
    chosen = -1
    if best > allowance:
        for community in range(used.shape[0]):
            if not used[community] and community_gains[community] >= best - allowance:
                if chosen < 0 or best_cosines[community] > best_cosines[chosen]:
                    chosen = community
    return chosen


@jit()
def _add_edges(node, community, graph, labels, inside, allowed, scratch, n_candidates, n_outside):
    """Count the edges of a node that joined the region; returns the new numbers of candidates and of outside edges.

    Edges that lead out of the community are only kept: nobody needs them before it is used up.
    """
    indptr, indices, weights = graph
    table, outside, row, candidates = scratch
    outside_nodes, outside_weights, _ = outside
    row_nodes, row_weights = row
    n_row = 0
    for position in range(indptr[node], indptr[node + 1], LINE):  # memory is what this takes its time for
        prefetch(indices, position)
        prefetch(weights, position)
    for position in range(indptr[node], indptr[node + 1]):
        # written to both and counted for one: no processor foresees which
        other, weight = indices[position], np.float64(weights[position])
        row_nodes[n_row] = outside_nodes[n_outside] = other
        row_weights[n_row] = outside_weights[n_outside] = weight
        prefetch(inside, other)
        is_inside = int(labels[other] == community)
        n_row += is_inside
        n_outside += 1 - is_inside
    for number in range(n_row):
        other = row_nodes[number]
        place = _place_of(other, table)
        if table[place] >= 0:
            if _number_at(place, table) != CLOSED:
                _add_weight(_number_at(place, table), row_weights[number], candidates)
        elif allowed.shape[0] == 0 or allowed[other]:
            # the node had no edge to the region when the subgraph was made
            n_candidates = _add_candidate(
                place, other, NO_COSINE, row_weights[number], inside[other], table, candidates, n_candidates
            )
    return n_candidates, n_outside


@jit()
def _count_outside(first, n_outside, labels, scratch, communities):
    """Count the outside edges from ``first`` on for their communities, and chain those to the same one."""
    outside_nodes, outside_weights, next_edges = scratch[1]
    to_community, _, _, first_edges, last_edges, _ = communities
    for edge in range(first, n_outside):
        community = labels[outside_nodes[edge]]
        to_community[community] += outside_weights[edge]
        next_edges[edge] = -1
        if first_edges[community] < 0:
            first_edges[community] = edge
        else:
            next_edges[last_edges[community]] = edge
        last_edges[community] = edge


@jit()
def _close(forbidden, table):
    """Empty the table but for the nodes that may not come."""
    table[:] = FREE_PLACE
    for node in forbidden:
        _set_number(_place_of(node, table), node, CLOSED, table)


@jit()
def _first_candidates(community, query_cosines, inside, allowed, room, scratch, communities):
    """Let the nodes of a community that have an edge to the region take part in the choice; returns how many do.

    The first outside edges are those of the query. -1: there are more nodes than ``room``.
    """
    table, outside, _, candidates = scratch
    nodes, weights, next_edges = outside
    n_candidates = 0
    edge = communities[3][community]
    while edge >= 0:
        node = nodes[edge]
        place = _place_of(node, table)
        if table[place] >= 0:
            if _number_at(place, table) != CLOSED:
                _add_weight(_number_at(place, table), weights[edge], candidates)
        elif allowed.shape[0] == 0 or allowed[node]:
            if n_candidates == room:
                return -1
            cosine = query_cosines[edge] if edge < query_cosines.shape[0] else NO_COSINE
            n_candidates = _add_candidate(place, node, cosine, weights[edge], 0.0, table, candidates, n_candidates)
        edge = next_edges[edge]
    _set_degrees(inside, candidates, n_candidates)
    return n_candidates


@jit()
def _first_stranger(members, cursor, is_any, allowed, table):
    """Where the first member without an edge to the region stands, from ``cursor`` on; the number of members: nowhere.

    Members are sorted by their degree. ``is_any``: of all of them the one with the smallest id.
    """
    found = members.shape[0]
    for place in range(cursor, members.shape[0]):
        node = members[place]
        if found < members.shape[0] and node > members[found]:
            continue
        if (allowed.shape[0] == 0 or allowed[node]) and _number_of(node, table) < 0:
            found = place
            if not is_any:
                break
    return found


@jit()
def _scratch(capacity):
    """Memory for at most ``capacity`` nodes of one community that may not come, came, or may come next."""
    outside = (
        np.empty(OUTSIDE * capacity, np.int32),  # nodes
        np.empty(OUTSIDE * capacity, np.float64),  # weights
        np.empty(OUTSIDE * capacity, np.int32),  # the next edge to the same community, or -1
    )
    row = (np.empty(capacity, np.int32), np.empty(capacity, np.float64))  # edges of one node: nodes, weights
    return _number_table(capacity), outside, row, _candidates(capacity)


@jit()
def _community_scratch(n_communities):
    """Memory for what is known of every community."""
    return (
        np.empty(n_communities, np.float64),  # to_community: weight of its edges to the region
        np.empty(n_communities, np.float64),  # best_cosines of its nodes to the query
        np.empty(n_communities, np.bool_),  # used
        np.empty(n_communities, np.int32),  # first_edges of its chain of outside edges, or -1
        np.empty(n_communities, np.int32),  # last_edges
        np.empty(n_communities, np.float64),  # community_gains
    )


@jit()
def _add_query(edges, labels, allowed, forbidden, scratch, communities, query_cosines):
    """Count the edges of the query; returns how many it has, and the sum of their weights."""
    edge_nodes, edge_weights, edge_cosines = edges
    table, outside, _, _ = scratch
    to_community, best_cosines, used, first_edges, _, _ = communities
    to_community[:] = 0.0
    best_cosines[:] = NO_COSINE
    used[:] = False
    first_edges[:] = -1
    _close(forbidden, table)
    n_edges = 0
    query_degree = 0.0
    for edge in range(edge_nodes.shape[0]):
        node = edge_nodes[edge]
        if node < 0 or edge_weights[edge] <= 0.0 or (allowed.shape[0] > 0 and not allowed[node]):
            continue
        if _number_of(node, table) >= 0:
            continue
        outside[0][n_edges] = node
        outside[1][n_edges] = edge_weights[edge]
        query_cosines[n_edges] = edge_cosines[edge]
        query_degree += edge_weights[edge]
        best_cosines[labels[node]] = max(best_cosines[labels[node]], edge_cosines[edge])
        n_edges += 1
    return n_edges, query_degree


@jit()
def _grow_region(graph, stored, edges, allowed, forbidden, scratch, communities, out_nodes, out_gains):
    """Grow the region of one query (Haq et al. 2021, Algorithm 2, Eq. 9-15); False: scratch too small."""
    indptr = graph[0]
    labels, degrees, inside, members, starts, community_inside, _, total = stored
    table, outside, _, candidates = scratch
    nodes, cosines, candidate_weights, candidate_degrees, node_gains, _, _, _, _ = candidates
    to_community, used = communities[0], communities[2]
    capacity, room_outside = nodes.shape[0], outside[0].shape[0]
    if forbidden.shape[0] > capacity or edges[0].shape[0] > capacity:
        return False
    out_nodes[:] = -1
    out_gains[:] = np.nan
    query_cosines = np.empty(edges[0].shape[0], np.float64)
    n_outside, query_degree = _add_query(edges, labels, allowed, forbidden, scratch, communities, query_cosines)
    query_cosines = query_cosines[:n_outside]
    n_counted = 0  # outside edges that their communities know of
    total += query_degree
    if total <= 0.0:
        return True
    size = 1  # of the region, the query among its nodes
    region_inside = 0.0
    region_degree = query_degree
    while size <= out_nodes.shape[0]:
        _count_outside(n_counted, n_outside, labels, scratch, communities)
        n_counted = n_outside
        community = _choose_community(stored, communities, region_inside, region_degree, size, total)
        if community < 0:
            return True
        used[community] = True
        # the subgraph of the region and this community: it stays while the region grows in it
        local_total = region_inside + community_inside[community] + to_community[community]
        local_region_degree = 2.0 * region_inside + to_community[community]
        _close(forbidden, table)
        n_known = forbidden.shape[0]
        n_candidates = _first_candidates(
            community, query_cosines, inside, allowed, capacity - n_known, scratch, communities
        )
        if n_candidates < 0:
            return False
        n_known += n_candidates
        strangers = members[starts[community] : starts[community + 1]]
        cursor = 0
        while size <= out_nodes.shape[0] and local_total > 0.0:
            best, magnitude = _best_gain(
                candidates, n_candidates, region_inside, local_region_degree, size, local_total
            )
            allowance = TOLERANCE * magnitude
            # Without an edge to the region the gain falls with the degree: only the smallest degree can be the best.
            # Where the region has no degree in the subgraph, every node gains 0, whatever its own.
            stranger = -1
            stranger_gain = -np.inf
            place = _first_stranger(strangers, cursor, local_region_degree == 0.0, allowed, table)
            if local_region_degree > 0.0:
                cursor = place
            if place < strangers.shape[0]:
                stranger = strangers[place]
                stranger_gain, magnitude = _merge_gain(
                    region_inside, local_region_degree, size, 0.0, inside[stranger], 1, 0.0, local_total
                )
                if stranger_gain > best:
                    best = stranger_gain
                    allowance = TOLERANCE * magnitude
            if best == -np.inf:
                break  # the community is used up
            chosen = _nearest_of_the_best(best - allowance, candidates, n_candidates)
            if n_known == capacity:
                return False
            if stranger_gain >= best - allowance and (
                chosen < 0 or (cosines[chosen] == NO_COSINE and stranger < nodes[chosen])
            ):
                node, gain, weight, degree = stranger, stranger_gain, 0.0, inside[stranger]
                _set_number(_place_of(stranger, table), stranger, CLOSED, table)
                n_known += 1
            else:
                node, gain = nodes[chosen], node_gains[chosen]
                weight, degree = candidate_weights[chosen], candidate_degrees[chosen]
                n_candidates = _drop_candidate(chosen, table, candidates, n_candidates)
            n_edges = indptr[node + 1] - indptr[node]
            if n_known + n_edges > capacity or n_outside + n_edges > room_outside:
                return False
            out_nodes[size - 1] = node
            out_gains[size - 1] = gain / local_total
            region_inside += weight
            region_degree += degrees[node]
            local_region_degree += degree
            size += 1
            n_before = n_candidates
            n_candidates, n_outside = _add_edges(
                node, community, graph, labels, inside, allowed, scratch, n_candidates, n_outside
            )
            n_known += n_candidates - n_before
    return True


@jit(parallel=True)
def _grow_regions(
    indptr,
    indices,
    weights,
    labels,
    degrees,
    inside,
    members,
    starts,
    community_inside,
    community_degrees,
    total,
    edge_nodes,
    edge_weights,
    edge_cosines,
    allowed,
    forbidden_starts,
    forbidden,
    n_workers,
    out_nodes,
    out_gains,
):
    """Grow the region of every query; each of ``n_workers`` threads keeps one scratch for its queries."""
    n_communities = community_inside.shape[0]
    graph = (indptr, indices, weights)
    stored = (labels, degrees, inside, members, starts, community_inside, community_degrees, total)
    n_nodes = labels.shape[0]
    mean_degree = indices.shape[0] // max(1, n_nodes)
    expected = min(n_nodes, edge_nodes.shape[1] + out_nodes.shape[1] * mean_degree)
    for worker in prange(n_workers):
        scratch = _scratch(max(FIRST_CAPACITY, expected))
        communities = _community_scratch(n_communities)
        for query in range(worker, edge_nodes.shape[0], n_workers):
            edges = (edge_nodes[query], edge_weights[query], edge_cosines[query])
            banned = forbidden[forbidden_starts[query] : forbidden_starts[query + 1]]
            outputs = (out_nodes[query], out_gains[query])
            while not _grow_region(graph, stored, edges, allowed, banned, scratch, communities, *outputs):
                scratch = _scratch(2 * scratch[3][0].shape[0])
