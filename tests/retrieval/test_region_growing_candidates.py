"""Candidates of region growing lie in blocks with a bound: chosen is what all gains, worked out, would choose."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphret.retrieval._candidate_kernels import (
    BLOCK,
    CLOSED,
    TOLERANCE,
    _add_candidate,
    _add_weight,
    _best_gain,
    _candidates,
    _drop_candidate,
    _merge_gain,
    _nearest_of_the_best,
    _node_gains,
)
from graphret.retrieval._numbering import _number_of, _number_table, _place_of

MOST = 5 * BLOCK + 3


class Pool:
    """The kernels' candidates beside a plain list of [node, cosine, weight, degree]."""

    def __init__(self):
        self.table, self.memory, self.plain = _number_table(MOST), _candidates(MOST), []

    def add(self, node, cosine, weight, degree):
        place = _place_of(node, self.table)
        n = _add_candidate(place, node, cosine, weight, degree, self.table, self.memory, len(self.plain))
        self.plain.append([node, cosine, weight, degree])
        assert n == len(self.plain)

    def raise_weight(self, number, weight):
        _add_weight(number, weight, self.memory)
        self.plain[number][2] += weight

    def drop(self, number):
        node = self.plain[number][0]
        left = _drop_candidate(number, self.table, self.memory, len(self.plain))
        self.plain[number] = self.plain[-1]
        self.plain.pop()
        assert left == len(self.plain)
        assert _number_of(node, self.table) == CLOSED

    def gains(self, *region):
        inside, degree, size, total = region
        found = [_merge_gain(inside, degree, size, 0.0, d, 1, w, total) for _, _, w, d in self.plain]
        return np.array([gain for gain, _ in found]), [magnitude for _, magnitude in found]

    def check(self, *region):
        """The best gain, and every candidate that counts as equal to it, are those of all candidates."""
        for number, (node, *_) in enumerate(self.plain):
            assert _number_of(node, self.table) == number
        gains, magnitudes = self.gains(*region)
        best, magnitude = _best_gain(self.memory, len(self.plain), *region)
        assert best == gains.max(initial=-np.inf)
        if not self.plain:
            return
        assert magnitude in [magnitudes[number] for number in np.flatnonzero(gains == best)]
        for least in (best, best - TOLERANCE * magnitude):
            equal = np.flatnonzero(gains >= least).tolist()
            chosen = _nearest_of_the_best(least, self.memory, len(self.plain))
            assert chosen == min(equal, key=lambda number: (-self.plain[number][1], self.plain[number][0]))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data())
def test_what_is_chosen_is_what_all_gains_would_choose(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    # few values make ties; large totals let the weight decide, small ones the degree
    weights = rng.random(data.draw(st.sampled_from([2, 500]))) * 3
    degrees = 1 + rng.random(data.draw(st.sampled_from([1, 500]))) * data.draw(st.sampled_from([2, 200]))
    total = data.draw(st.sampled_from([40.0, 3000.0, 1e6]))
    pool, nodes = Pool(), rng.permutation(10**6)[:MOST]
    region = (0.0, 2.5, 1, total)
    pool.check(*region)
    for step in range(40):
        for node in nodes[8 * step : min(8 * step + 8, MOST)].tolist():
            pool.add(node, rng.choice([-2.0, 0.5, 0.75]), rng.choice(weights), rng.choice(degrees))
        for number in rng.integers(0, len(pool.plain), 5).tolist():
            pool.raise_weight(number, rng.choice(weights))
        region = (region[0] + rng.random() * 3, region[1] + rng.random() * 60, region[2] + 1, total)
        pool.check(*region)
        pool.drop(int(rng.integers(len(pool.plain))))
    while pool.plain:
        pool.drop(int(rng.integers(len(pool.plain))))
        if len(pool.plain) % 7 == 0:
            pool.check(*region)


def test_few_gains_are_worked_out_where_the_weight_decides():
    pool = Pool()
    for node in range(MOST):
        pool.add(node, -2.0, 5.0 if node == BLOCK + 1 else 1.0, 3.0)
    pool.memory[4][:] = np.nan
    pool.check(4.0, 20.0, 5, 1e5)
    worked_out = np.flatnonzero(~np.isnan(pool.memory[4][:MOST]))
    assert worked_out.tolist() == list(range(BLOCK, 2 * BLOCK))


def test_no_bound_is_used_where_a_gain_may_fall_with_the_weight():
    """A small region with a degree that its subgraph does not explain: more weight there means a lower gain."""
    region = (0.0, 3000.0, 2, 3000.0)
    pool = Pool()
    for node in range(2 * BLOCK):
        pool.add(node, -2.0, 0.5 if node == 3 else 5.0, 10.0)
    gains, _ = pool.gains(*region)
    assert gains.argmax() == 3, "the candidate with the least weight gains most"
    pool.check(*region)


@pytest.mark.parametrize("size", [1, 2, 7])
def test_the_gains_of_many_nodes_are_those_of_one_to_the_bit(size):
    rng = np.random.default_rng(size)
    weights, degrees = rng.random(37) * 3, 1 + rng.random(37) * 50
    inside, degree, total = (0.0, 2.5, 400.0) if size == 1 else (3.7, 21.3, 400.0)
    gains = np.empty(50)
    best = _node_gains(weights, degrees, inside, degree, size, total, gains)
    literal = [
        _merge_gain(inside, degree, size, 0.0, node_degree, 1, weight, total)[0]
        for weight, node_degree in zip(weights, degrees, strict=True)
    ]
    assert gains[:37].tolist() == literal
    assert best == max(literal)
