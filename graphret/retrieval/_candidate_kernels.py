"""Kernels of region growing: the nodes that may come next, in blocks with a bound, so that few gains are worked out.

A gain (Haq et al. 2021, Eq. 14) rises with the weight of a node's edges to the region, and falls with its degree. So no
node of a block gains more than one with the largest weight of the block and its smallest degree would. A block whose
bound is lower than a gain that was found is left out: what is chosen, and every tie, is that of all nodes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from graphret._numba import jit
from graphret.retrieval._numbering import _place_of, _set_number

__all__ = [
    "CLOSED",
    "TOLERANCE",
    "_add_candidate",
    "_add_weight",
    "_best_gain",
    "_candidates",
    "_drop_candidate",
    "_merge_gain",
    "_nearest_of_the_best",
    "_node_gains",
    "_set_degrees",
]

BLOCK = 32
"""Candidates that share a bound."""
CLOSED = np.int64(0x7FFFFFFF)
"""The number, in the table, of a node that may not come, or came already."""
TOLERANCE = 1e-12
"""Gains closer than this share of the terms they are the difference of are equal; a gain below it is none."""


@jit()
def _merge_gain(
    inside: Any, degree: Any, size: Any, other_inside: Any, other_degree: Any, other_size: Any, between: Any, total: Any
) -> Any:
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
def _node_gains(
    weights: Any, node_degrees: Any, inside: Any, degree: Any, size: Any, total: Any, out_gains: Any
) -> Any:
    """`_merge_gain` of a region with each node, to the bit; returns the largest gain.

    The loop has no branch and its arrays lie in order: the processor takes several nodes at a time.
    """
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
    best = -np.inf
    for number in range(weights.shape[0]):
        best = max(best, out_gains[number])
    return best


@jit()
def _candidates(capacity: Any) -> Any:
    """Memory for at most ``capacity`` candidates: what `_add_candidate` writes."""
    n_blocks = capacity // BLOCK + 1
    return (
        np.empty(capacity, np.int32),  # nodes
        np.empty(capacity, np.float64),  # cosines to the query
        np.empty(capacity, np.float64),  # weights of the edges to the region
        np.empty(capacity, np.float64),  # degrees in the subgraph of region and community
        np.empty(capacity, np.float64),  # gains
        np.empty(n_blocks, np.float64),  # heaviest: the largest weight of each block
        np.empty(n_blocks, np.float64),  # smallest: the smallest degree of each block
        np.empty(n_blocks, np.float64),  # bounds: no gain of the block is larger
        np.empty(1, np.float64),  # largest: the largest degree of all, or more
    )


@jit()
def _add_candidate(
    place: Any, node: Any, cosine: Any, weight: Any, degree: Any, table: Any, candidates: Any, n_candidates: Any
) -> Any:
    """Let a node take part in the choice of the next one, with its place in the table; returns how many do then."""
    nodes, cosines, weights, degrees, _, heaviest, smallest, _, largest = candidates
    block, within = n_candidates // BLOCK, n_candidates % BLOCK
    _set_number(place, node, n_candidates, table)
    nodes[n_candidates] = node
    cosines[n_candidates] = cosine
    weights[n_candidates] = weight
    degrees[n_candidates] = degree
    heaviest[block] = weight if within == 0 else max(heaviest[block], weight)
    smallest[block] = degree if within == 0 else min(smallest[block], degree)
    largest[0] = degree if n_candidates == 0 else max(largest[0], degree)
    return n_candidates + 1


@jit()
def _add_weight(number: Any, weight: Any, candidates: Any) -> None:
    """Count one more edge of a candidate to the region."""
    weights, heaviest = candidates[2], candidates[5]
    weights[number] += weight
    heaviest[number // BLOCK] = max(heaviest[number // BLOCK], weights[number])


@jit()
def _set_degrees(inside: Any, candidates: Any, n_candidates: Any) -> None:
    """Give the first candidates of a community their degrees: the edges inside it, and those to the region."""
    nodes, _, weights, degrees, _, _, smallest, _, largest = candidates
    for number in range(n_candidates):
        degrees[number] = inside[nodes[number]] + weights[number]
        block = number // BLOCK
        smallest[block] = degrees[number] if number % BLOCK == 0 else min(smallest[block], degrees[number])
        largest[0] = max(largest[0], degrees[number])


@jit()
def _drop_candidate(number: Any, table: Any, candidates: Any, n_candidates: Any) -> Any:
    """Take a node out of the choice, the last one takes its number; returns how many are left."""
    nodes, cosines, weights, degrees, _, heaviest, smallest, _, _ = candidates
    last = n_candidates - 1
    _set_number(_place_of(nodes[number], table), nodes[number], CLOSED, table)
    if number < last:
        _set_number(_place_of(nodes[last], table), nodes[last], number, table)
        nodes[number] = nodes[last]
        cosines[number] = cosines[last]
        weights[number] = weights[last]
        degrees[number] = degrees[last]
    block = number // BLOCK
    heaviest[block] = 0.0
    smallest[block] = np.inf
    for other in range(block * BLOCK, min(last, (block + 1) * BLOCK)):
        heaviest[block] = max(heaviest[block], weights[other])
        smallest[block] = min(smallest[block], degrees[other])
    return last


@jit()
def _best_gain(candidates: Any, n_candidates: Any, inside: Any, degree: Any, size: Any, total: Any) -> Any:
    """Largest gain of a candidate, and the size of its terms; -inf, 0 where there is none.

    Written are the gains of the blocks that may hold it, or what counts as equal to it. The bound of such a block
    becomes its largest gain, that of any other -inf.
    """
    _, _, weights, degrees, gains, heaviest, smallest, bounds, largest = candidates
    if n_candidates == 0:
        return -np.inf, 0.0
    n_blocks = (n_candidates + BLOCK - 1) // BLOCK
    bound = _node_gains(heaviest[:n_blocks], smallest[:n_blocks], inside, degree, size, total, bounds)
    # The derivative of a gain by the weight, times the pairs, is smallest for no weight and the largest degree. Where
    # that is not positive (a small region of many edges), no bound holds, and all gains are worked out.
    ends = degree + largest[0]
    pairs = np.float64(size + 1) * np.float64(size)
    rises = pairs + 4.0 * inside - ends * ends / (2.0 * total) > 0.0
    heaviest_of_all = 0.0
    first = 0
    for block in range(n_blocks):
        heaviest_of_all = max(heaviest_of_all, heaviest[block])
        if bounds[block] == bound:
            first = block
    _, magnitude = _merge_gain(inside, degree, size, 0.0, largest[0], 1, heaviest_of_all, total)
    allowance = 2.0 * TOLERANCE * magnitude  # for what counts as equal, and for rounding, which is far less
    best = -np.inf
    leading = first
    for turn in range(n_blocks + 1):  # the block with the highest bound first
        block = first if turn == 0 else turn - 1
        if turn > 0 and block == first:
            continue
        if turn > 0 and rises and bounds[block] < best - allowance:
            bounds[block] = -np.inf
            continue
        low = block * BLOCK
        high = min(n_candidates, low + BLOCK)
        gain = _node_gains(weights[low:high], degrees[low:high], inside, degree, size, total, gains[low:high])
        bounds[block] = gain
        if gain > best:
            best = gain
            leading = block
    leader = leading * BLOCK
    while gains[leader] != best:
        leader += 1
    _, magnitude = _merge_gain(inside, degree, size, 0.0, degrees[leader], 1, weights[leader], total)
    return best, magnitude


@jit()
def _nearest_of_the_best(least: Any, candidates: Any, n_candidates: Any) -> Any:
    """Of the candidates that gain ``least`` or more the one with the highest cosine, then the smaller id; -1: none."""
    nodes, cosines, _, _, gains, _, _, bounds, _ = candidates
    chosen = -1
    for block in range((n_candidates + BLOCK - 1) // BLOCK):
        if bounds[block] < least:
            continue
        for number in range(block * BLOCK, min(n_candidates, (block + 1) * BLOCK)):
            if gains[number] >= least and (
                chosen < 0
                or cosines[number] > cosines[chosen]
                or (cosines[number] == cosines[chosen] and nodes[number] < nodes[chosen])
            ):
                chosen = number
    return chosen
