"""Rows and columns that go from a sparse matrix, beside scipy's."""

import numpy as np
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from graphret.neighbors import nearest_neighbors
from graphret.neighbors.changed_rows import with_rows_removed
from graphret.neighbors.csr_changes import rows_without
from graphret.neighbors.graph_search_build import mutual_links


@settings(max_examples=50, deadline=None)
@given(n=st.integers(1, 30), seed=st.integers(0, 999), share=st.floats(0, 1), weighted=st.booleans())
def test_it_is_the_matrix_of_those_that_are_kept(n, seed, share, weighted):
    rng = np.random.default_rng(seed)
    dense = (rng.random((n, n)) * (rng.random((n, n)) < 0.3)).astype(np.float32)
    matrix = scipy.sparse.csr_array(dense)
    kept = np.sort(rng.choice(n, int(share * n), replace=False))
    indptr, indices = matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32)
    found = rows_without(indptr, indices, kept, matrix.data if weighted else None)
    left = scipy.sparse.csr_array(dense[np.ix_(kept, kept)])
    assert [part.tolist() for part in found[:2]] == [left.indptr.tolist(), left.indices.tolist()]
    assert found[2].tolist() == (left.data.tolist() if weighted else [])


@settings(max_examples=30, deadline=None)
@given(n=st.integers(2, 40), k=st.integers(1, 8), seed=st.integers(0, 999), share=st.floats(0.1, 1))
def test_links_are_those_of_the_table_that_is_left(n, k, seed, share):
    rng = np.random.default_rng(seed)
    table = nearest_neighbors(rng.standard_normal((n, 3)).astype(np.float32), k, n_threads=1)
    kept = np.sort(rng.choice(n, max(1, int(share * n)), replace=False))
    made = mutual_links(with_rows_removed(table, kept).neighbors)
    found = rows_without(*mutual_links(table.neighbors), kept)
    assert [part.tolist() for part in found[:2]] == [part.tolist() for part in made]


def test_an_index_that_is_no_node():
    indptr = np.array([0, 1, 2])
    for wrong in (-1, 2, 2**31 - 1):
        assert rows_without(indptr, np.array([1, wrong], dtype=np.int32), np.array([0, 1])) is None
