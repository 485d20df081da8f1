"""The hash table of nodes: numbers in the order of their coming, whatever the nodes are."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from graphret.retrieval._numbering import _add_number, _number_of, _number_table

IDS = st.integers(0, 2**31 - 1)


@settings(deadline=None)  # the first example compiles
@given(st.lists(IDS, unique=True, min_size=1, max_size=60), st.lists(IDS, max_size=20))
def test_nodes_are_numbered_as_they_come_and_no_other_has_a_number(nodes, others):
    table, known = _number_table(len(nodes)), np.empty(len(nodes), np.int32)
    for number, node in enumerate(nodes):
        assert _number_of(node, table) == -1
        assert _add_number(node, table, known, number) == number + 1
    assert [_number_of(node, table) for node in nodes] == list(range(len(nodes)))
    assert known.tolist() == nodes
    assert all(_number_of(node, table) == -1 for node in set(others) - set(nodes))


def test_nodes_that_share_a_place_are_told_apart():
    # multiples of 2^15 times the table's size fall on the same place when the product is shifted
    nodes = [number << 20 for number in range(40)]
    table, known = _number_table(len(nodes)), np.empty(len(nodes), np.int32)
    for number, node in enumerate(nodes):
        _add_number(node, table, known, number)
    assert [_number_of(node, table) for node in nodes] == list(range(40))


@settings(deadline=None)  # the first example compiles
@given(st.integers(1, 3000))
def test_a_table_is_a_power_of_two_and_at_most_half_full(capacity):
    size = _number_table(capacity).shape[0]
    assert size & (size - 1) == 0
    assert 2 * capacity <= size < 4 * capacity + 2
