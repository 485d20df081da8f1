"""Shards searched one by one give what one search over all codes gives, to the bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphret._errors import CodesError, InvalidParameterError
from graphret.neighbors import ExactSearch
from graphret.neighbors.sharded_search import ShardedSearch


@st.composite
def archives(draw):
    """Codes with many ties, in shards of any size, and what of them may come."""
    n = draw(st.integers(1, 30))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    codes = rng.integers(-1, 2, (n, 3)).astype(np.float32)
    codes[~codes.any(axis=1)] = 1
    cuts = sorted(draw(st.sets(st.integers(1, n - 1), max_size=4))) if n > 1 else []
    allowed = draw(st.none() | st.just(rng.random(n) < 0.4))
    forbidden = draw(st.booleans())
    lists = [rng.choice(n, rng.integers(0, n + 1), replace=False).astype(np.int32) for _ in range(3)]
    return codes, cuts, allowed, lists if forbidden else None, draw(st.integers(1, 40)), rng


@given(archives())
@settings(deadline=None, max_examples=60)
def test_lists_are_those_of_one_search(case):
    codes, cuts, allowed, forbidden, k, rng = case
    queries = rng.integers(-1, 2, (3, 3)).astype(np.float32)
    queries[~queries.any(axis=1)] = 1
    whole = ExactSearch(codes)
    shards = ShardedSearch([ExactSearch(part) for part in np.split(codes, cuts)])
    expected = whole.search(queries, k, allowed=allowed, forbidden=forbidden)
    found = shards.search(queries, k, allowed=allowed, forbidden=forbidden)
    np.testing.assert_array_equal(found.neighbors, expected.neighbors)
    np.testing.assert_array_equal(found.similarities, expected.similarities)
    np.testing.assert_array_equal(found.counts.compared, expected.counts.compared)
    assert (found.method, found.recall) == ("exact", 1.0)
    np.testing.assert_array_equal(
        shards.similarities(queries, expected.neighbors), whole.similarities(queries, expected.neighbors)
    )
    rows = rng.integers(0, len(codes), 5)
    np.testing.assert_array_equal(shards.read_codes(rows), codes[rows])
    np.testing.assert_array_equal(shards.read_codes(), codes)
    np.testing.assert_array_equal(shards.lengths, whole.lengths)
    assert shards.codes.shape == codes.shape


def test_what_does_not_fit_together_is_refused():
    with pytest.raises(InvalidParameterError, match="at least one"):
        ShardedSearch([])
    with pytest.raises(CodesError, match=r"\[2, 3\] dimensions"):
        ShardedSearch([ExactSearch(np.eye(2, dtype=np.float32)), ExactSearch(np.eye(3, dtype=np.float32))])
    search = ShardedSearch([ExactSearch(np.eye(2, dtype=np.float32))] * 2)
    with pytest.raises(CodesError, match=r"give bool \(4,\)"):
        search.search(np.eye(2, dtype=np.float32), 1, allowed=np.ones(2, dtype=bool))
