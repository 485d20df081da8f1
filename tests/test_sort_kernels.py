"""The two sorts of the kernels beside numpy's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphret._sort_kernels import RUN, _best_first, _kth_largest, _smallest_few, _sort_ascending

LENGTHS = [0, 1, 2, RUN - 1, RUN, RUN + 1, 2 * RUN, 5 * RUN + 3, 1000]


@pytest.mark.parametrize("dtype", [np.int64, np.int32])
@pytest.mark.parametrize("n", LENGTHS)
@pytest.mark.parametrize("n_values", [2, 10**9])
def test_ascending(n, n_values, dtype):
    keys = np.random.default_rng(n).integers(-n_values, n_values, n).astype(dtype)
    expected = np.sort(keys)
    _sort_ascending(keys)
    np.testing.assert_array_equal(keys, expected)


@given(st.lists(st.integers(-5, 5), max_size=60))
@settings(max_examples=200, deadline=None)
def test_any_list_ascends(numbers):
    keys = np.array(numbers, np.int64)
    _sort_ascending(keys)
    assert keys.tolist() == sorted(numbers)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", LENGTHS)
@pytest.mark.parametrize("n_values", [1, 3, 10**6])
def test_best_first_is_a_sort_by_two_keys(n, n_values, dtype):
    random = np.random.default_rng(n + n_values)
    ids = random.permutation(n).astype(np.int32)
    values = random.integers(0, n_values, n).astype(dtype)
    np.testing.assert_array_equal(_best_first(ids, values), np.lexsort((ids, -values)))


@given(st.lists(st.tuples(st.integers(-1, 4), st.sampled_from([-2.0, 0.0, 0.5, np.inf])), max_size=60))
@settings(max_examples=200, deadline=None)
def test_equal_entries_keep_their_order(entries):
    ids = np.array([number for number, _ in entries], np.int32)
    values = np.array([value for _, value in entries], np.float32)
    expected = sorted(range(len(entries)), key=lambda place: (-values[place], ids[place]))
    assert _best_first(ids, values).tolist() == expected


@given(st.lists(st.integers(-9, 9), min_size=1, max_size=60), st.data())
@settings(max_examples=200, deadline=None)
def test_the_smallest_few_come_to_the_front_in_order(numbers, data):
    keys = np.array(numbers, np.int64)
    k = data.draw(st.integers(1, len(numbers)))
    _smallest_few(keys, k)
    assert keys[:k].tolist() == sorted(numbers)[:k]
    assert sorted(keys.tolist()) == sorted(numbers)


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=60), st.data())
@settings(deadline=None)
def test_the_kth_largest_is_that_of_all_sorted(values, data):
    k = data.draw(st.integers(1, len(values)))
    numbers = np.array(values, np.int32)
    assert _kth_largest(numbers, k) == sorted(values, reverse=True)[k - 1]
    assert numbers.tolist() == values  # they stay as they were
