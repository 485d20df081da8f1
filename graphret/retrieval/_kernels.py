"""Kernels of region growing: community totals, the gain of a merger, one region per query.

What a query touches is numbered as it comes (`_numbering`), and everything that is known of a node lies at its number.
The scratch of a thread is doubled where a query touches more, and the query begins again: memory is what queries touch,
and an entry for each community.
"""

from __future__ import annotations

import numpy as np

from graphret._numba import jit, prange
from graphret.retrieval._numbering import _add_number, _number_of, _number_table

__all__ = ["_community_totals", "_grow_regions"]

FREE, INELIGIBLE, IN_REGION = np.uint8(0), np.uint8(1), np.uint8(2)
NO_COSINE = -2.0
"""Cosine to the query of what has no edge to it: lower than any."""
FIRST_CAPACITY = 2_048
"""Nodes that the scratch of a thread has room for at first, if four times the mean degree for each hit is not more."""
TOLERANCE = 1e-12
"""Gains closer than this share of the terms they are the difference of are equal; a gain below it is none."""


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
def _merge_gain(inside, degree, size, other_inside, other_degree, other_size, between, total):
    """f(a + b) - f(a) - f(b), f = lambda q with the finer zeta, times the total weight; and the size of its terms."""
    gain = 0.0
    magnitude = 0.0
    for part in range(3):
        if part == 0:
            weight, ends, nodes, sign = inside + other_inside + between, degree + other_degree, size + other_size, 1.0
        elif part == 1:
            weight, ends, nodes, sign = inside, degree, size, -1.0
        else:
            weight, ends, nodes, sign = other_inside, other_degree, other_size, -1.0
        strength = 1.0
        if nodes > 1:
            strength += 2.0 * weight / (np.float64(nodes) * (nodes - 1.0))
        expected = ends * ends / (4.0 * total)
        gain += sign * strength * (weight - expected)
        magnitude += strength * (weight + expected)
    return gain, magnitude


@jit()
def _node_gains(weights, node_degrees, inside, degree, size, total, out_gains):
    """`_merge_gain` of a region with each node, to the bit; returns the largest gain and the size of its terms.

    The loop has no branch and its arrays lie in order: the processor takes several nodes at a time.
    """
    best = -np.inf
    if weights.shape[0] == 0:
        return best, 0.0
    strength = 1.0
    if size > 1:
        strength += 2.0 * inside / (np.float64(size) * (size - 1.0))
    before = strength * (inside - degree * degree / (4.0 * total))
    pairs = np.float64(size + 1) * np.float64(size)
    for number in range(weights.shape[0]):
        weight = inside + weights[number]
        ends = degree + node_degrees[number]
        joined = (1.0 + 2.0 * weight / pairs) * (weight - ends * ends / (4.0 * total))
        out_gains[number] = joined - before + node_degrees[number] * node_degrees[number] / (4.0 * total)
    first = 0
    for number in range(weights.shape[0]):
        if out_gains[number] > best:
            best = out_gains[number]
            first = number
    _, magnitude = _merge_gain(inside, degree, size, 0.0, node_degrees[first], 1, weights[first], total)
    return best, magnitude


@jit()
def _choose_community(stored, to_community, best_cosines, used, community_gains, inside, degree, size, total):
    """Unused community with the largest positive gain (Eq. 10-13), or -1."""
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
def _add_edges(node, community, graph, labels, inside, allowed, scratch, to_community, n_touched, n_candidates):
    """Count the edges of a node that joined the region; returns the new sizes of the sparse set and the candidates."""
    indptr, indices, weights = graph
    table, touched, to_region, cosines, state, number_in, _, to_candidate, _, _ = scratch
    for position in range(indptr[node], indptr[node + 1]):
        other = indices[position]
        place = _number_of(other, table, touched)
        if place < 0:
            place = n_touched
            n_touched = _add_number(other, table, touched, n_touched)
            to_region[place] = 0.0
            cosines[place] = NO_COSINE
            state[place] = FREE
            number_in[place] = -1
            if allowed.shape[0] > 0 and not allowed[other]:
                state[place] = INELIGIBLE
            elif labels[other] == community:
                # the node had no edge to the region when the subgraph was made
                n_candidates = _add_candidate(place, inside[other], scratch, n_candidates)
        to_region[place] += weights[position]
        if number_in[place] >= 0:
            to_candidate[number_in[place]] = to_region[place]
        to_community[labels[other]] += weights[position]
    return n_touched, n_candidates


@jit()
def _add_candidate(place, degree, scratch, n_candidates):
    """Let a node take part in the choice of the next one; returns how many do then."""
    _, _, to_region, _, _, number_in, candidates, to_candidate, candidate_degrees, _ = scratch
    number_in[place] = n_candidates
    candidates[n_candidates] = place
    to_candidate[n_candidates] = to_region[place]
    candidate_degrees[n_candidates] = degree
    return n_candidates + 1


@jit()
def _drop_candidate(number, scratch, n_candidates):
    """Take a node out of the choice, the last one takes its number; returns how many are left."""
    _, _, _, _, _, number_in, candidates, to_candidate, candidate_degrees, _ = scratch
    last = n_candidates - 1
    number_in[candidates[number]] = -1
    if number < last:
        number_in[candidates[last]] = number
        candidates[number] = candidates[last]
        to_candidate[number] = to_candidate[last]
        candidate_degrees[number] = candidate_degrees[last]
    return last


@jit()
def _scratch(capacity):
    """Memory for at most ``capacity`` nodes."""
    return (
        _number_table(capacity),
        np.empty(capacity, np.int32),  # touched
        np.empty(capacity, np.float64),  # to_region
        np.empty(capacity, np.float64),  # cosines
        np.empty(capacity, np.uint8),  # state
        np.empty(capacity, np.int32),  # number_in: among the candidates, or -1
        np.empty(capacity, np.int32),  # candidates
        np.empty(capacity, np.float64),  # to_candidate: weight of its edges to the region
        np.empty(capacity, np.float64),  # candidate_degrees: in the subgraph of region and community
        np.empty(capacity, np.float64),  # node_gains
    )


@jit()
def _grow_region(graph, stored, edges, allowed, forbidden, scratch, community_scratch, out_nodes, out_gains):
    """Grow the region of one query (Haq et al. 2021, Algorithm 2, Eq. 9-15); False: scratch too small."""
    indptr = graph[0]
    labels, degrees, inside, members, starts, community_inside, _, total = stored
    edge_nodes, edge_weights, edge_cosines = edges
    table, touched, to_region, cosines, state, number_in, candidates, to_candidate, candidate_degrees, node_gains = (
        scratch
    )
    to_community, best_cosines, community_gains, used = community_scratch
    capacity = touched.shape[0]
    if forbidden.shape[0] + edge_nodes.shape[0] > capacity:
        return False
    out_nodes[:] = -1
    out_gains[:] = np.nan
    table[:] = -1
    to_community[:] = 0.0
    best_cosines[:] = NO_COSINE
    used[:] = False
    n_touched = 0
    for node in forbidden:
        if _number_of(node, table, touched) < 0:
            to_region[n_touched] = 0.0
            state[n_touched] = INELIGIBLE
            number_in[n_touched] = -1
            n_touched = _add_number(node, table, touched, n_touched)
    query_degree = 0.0
    for edge in range(edge_nodes.shape[0]):
        node = edge_nodes[edge]
        if node < 0 or edge_weights[edge] <= 0.0 or (allowed.shape[0] > 0 and not allowed[node]):
            continue
        if _number_of(node, table, touched) >= 0:
            continue
        to_region[n_touched] = edge_weights[edge]
        cosines[n_touched] = edge_cosines[edge]
        state[n_touched] = FREE
        number_in[n_touched] = -1
        n_touched = _add_number(node, table, touched, n_touched)
        query_degree += edge_weights[edge]
        to_community[labels[node]] += edge_weights[edge]
        best_cosines[labels[node]] = max(best_cosines[labels[node]], edge_cosines[edge])
    total += query_degree
    if total <= 0.0:
        return True
    size = 1  # of the region, the query among its nodes
    region_inside = 0.0
    region_degree = query_degree
    while size <= out_nodes.shape[0]:
        community = _choose_community(
            stored, to_community, best_cosines, used, community_gains, region_inside, region_degree, size, total
        )
        if community < 0:
            return True
        used[community] = True
        # the subgraph of the region and this community: it stays while the region grows in it
        local_total = region_inside + community_inside[community] + to_community[community]
        local_region_degree = 2.0 * region_inside + to_community[community]
        n_candidates = 0
        for place in range(n_touched):
            node = touched[place]
            number_in[place] = -1
            if state[place] == FREE and labels[node] == community:
                n_candidates = _add_candidate(place, inside[node] + to_region[place], scratch, n_candidates)
        cursor = starts[community]
        while size <= out_nodes.shape[0] and local_total > 0.0:
            best, magnitude = _node_gains(
                to_candidate[:n_candidates],
                candidate_degrees[:n_candidates],
                region_inside,
                local_region_degree,
                size,
                local_total,
                node_gains,
            )
            allowance = TOLERANCE * magnitude
            # Without an edge to the region the gain falls with the degree: only the smallest degree can be the best.
            stranger = -1
            stranger_gain = -np.inf
            while cursor < starts[community + 1]:
                node = members[cursor]
                if _number_of(node, table, touched) < 0 and (allowed.shape[0] == 0 or allowed[node]):
                    stranger = node
                    break
                cursor += 1
            if local_region_degree == 0.0:  # then every node gains 0, whatever its degree
                for member in range(cursor, starts[community + 1]):
                    node = members[member]
                    if node < stranger and _number_of(node, table, touched) < 0:
                        if allowed.shape[0] == 0 or allowed[node]:
                            stranger = node
            if stranger >= 0:
                stranger_gain, magnitude = _merge_gain(
                    region_inside, local_region_degree, size, 0.0, inside[stranger], 1, 0.0, local_total
                )
                if stranger_gain > best:
                    best = stranger_gain
                    allowance = TOLERANCE * magnitude
            if best == -np.inf:
                break  # the community is used up
            chosen = -1
            for number in range(n_candidates):
                if node_gains[number] >= best - allowance:
                    if chosen < 0:
                        chosen = number
                        continue
                    place, leader = candidates[number], candidates[chosen]
                    if cosines[place] > cosines[leader] or (
                        cosines[place] == cosines[leader] and touched[place] < touched[leader]
                    ):
                        chosen = number
            if n_touched == capacity:
                return False
            if stranger_gain >= best - allowance and (
                chosen < 0 or (cosines[candidates[chosen]] == NO_COSINE and stranger < touched[candidates[chosen]])
            ):
                node, gain = stranger, stranger_gain
                place = n_touched
                n_touched = _add_number(stranger, table, touched, n_touched)
                to_region[place] = 0.0
                number_in[place] = -1
                degree = inside[stranger]
            else:
                place, gain, degree = candidates[chosen], node_gains[chosen], candidate_degrees[chosen]
                node = touched[place]
                n_candidates = _drop_candidate(chosen, scratch, n_candidates)
            if n_touched + indptr[node + 1] - indptr[node] > capacity:
                return False
            state[place] = IN_REGION
            out_nodes[size - 1] = node
            out_gains[size - 1] = gain / local_total
            region_inside += to_region[place]
            region_degree += degrees[node]
            local_region_degree += degree
            size += 1
            n_touched, n_candidates = _add_edges(
                node, community, graph, labels, inside, allowed, scratch, to_community, n_touched, n_candidates
            )
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
    expected = min(n_nodes, edge_nodes.shape[1] + 4 * out_nodes.shape[1] * mean_degree)
    for worker in prange(n_workers):
        scratch = _scratch(max(FIRST_CAPACITY, expected))
        community_scratch = (
            np.empty(n_communities, np.float64),  # to_community
            np.empty(n_communities, np.float64),  # best_cosines
            np.empty(n_communities, np.float64),  # community_gains
            np.empty(n_communities, np.bool_),  # used
        )
        for query in range(worker, edge_nodes.shape[0], n_workers):
            edges = (edge_nodes[query], edge_weights[query], edge_cosines[query])
            banned = forbidden[forbidden_starts[query] : forbidden_starts[query + 1]]
            outputs = (out_nodes[query], out_gains[query])
            while not _grow_region(graph, stored, edges, allowed, banned, scratch, community_scratch, *outputs):
                scratch = _scratch(2 * scratch[1].shape[0])
