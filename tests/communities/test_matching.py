"""New communities continue old ones under their numbers; splits and merges are said."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphret._errors import InvalidParameterError
from graphret.communities.matching import match_communities


def slow_matching(old, new, next_number):
    """Pairs by overlap, largest first, ties by the smaller old and then the smaller new number."""
    pairs = sorted({*zip(old, new, strict=True)}, key=lambda pair: (-overlap(old, new, pair), *pair))
    names = {}
    for before, after in pairs:
        if after not in names and before not in names.values():
            names[after] = before
    for after in sorted(set(new) - set(names), key=lambda after: (-new.count(after), after)):
        names[after] = next_number
        next_number += 1
    return [names[after] for after in new], next_number


def overlap(old, new, pair):
    return sum(found == pair for found in zip(old, new, strict=True))


@settings(max_examples=150, deadline=None)
@given(pairs=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 6)), min_size=1, max_size=40))
def test_numbers_are_those_of_the_largest_overlaps(pairs):
    old, new = ([pair[side] for pair in pairs] for side in (0, 1))
    found = match_communities(np.array(old), np.array(new), 9)
    labels, next_number = slow_matching(old, new, 9)
    assert found.labels.tolist() == labels
    assert found.next_number == next_number
    assert found.n_kept == sum(a == b for a, b in zip(old, labels, strict=True))
    groups = {}
    for number, after in zip(labels, new, strict=True):
        assert groups.setdefault(after, number) == number


def test_the_same_partition_keeps_all_numbers():
    labels = np.array([4, 4, 1, 1, 8])
    found = match_communities(labels, np.array([2, 2, 0, 0, 1]), 9)
    assert found.labels.tolist() == labels.tolist()
    assert (found.splits, found.merges, found.n_kept, found.next_number) == ({}, {}, 5, 9)


def test_splits_and_merges():
    old = np.repeat([0, 1, 2], [10, 10, 30])
    new = np.repeat([0, 1, 2, 3], [25, 5, 18, 2])  # 0 and 1 and 5 of 2; then 2 in three parts
    found = match_communities(old, new, 3)
    assert found.labels[[0, 25, 30, 48]].tolist() == [0, 3, 2, 4]
    assert found.splits == {2: [0, 2, 3]}  # 4 has less than a tenth of it
    assert found.merges == {0: [0, 1, 2]}


@pytest.mark.parametrize(("new", "number"), [([0], 5), ([0, 0], 1)])
def test_what_cannot_be_matched_is_refused(new, number):
    with pytest.raises(InvalidParameterError):
        match_communities(np.array([0, 1]), np.array(new), number)
