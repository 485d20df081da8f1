"""Rows that are compared with all: what one pass of float32 products finds is what every pair by itself says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphret.neighbors import ExactSearch, row_checksums, rows_to_all
from graphret.neighbors.checksums import RowChecksums
from graphret.neighbors.exact_search import ROUNDING
from graphret.neighbors.rows_to_all import compare_with_all


def every_cosine(codes, rows):
    """Each pair by itself, in float64, rounded as everywhere."""
    out = np.empty((len(rows), len(codes)), np.float32)
    for place, row in enumerate(rows):
        for other, code in enumerate(codes):
            one, two = codes[row].astype(np.float64), code.astype(np.float64)
            lengths = np.sqrt(np.einsum("j,j->", one, one)) * np.sqrt(np.einsum("j,j->", two, two))
            out[place, other] = np.floor(min(max((one * two).sum() / lengths, -1), 1) * 1e6 + 0.5) / 1e6
    return out


def made_codes(n, seed, coarse):
    rng = np.random.default_rng(seed)
    if coarse:  # many equal cosines
        codes = rng.integers(0, 3, (n, 4)).astype(np.float32)
        codes[:, 0] += 1
        return codes
    return rng.standard_normal((n, 6)).astype(np.float32) * rng.uniform(0.1, 9, (n, 1)).astype(np.float32)


@settings(max_examples=50, deadline=None)
@given(n=st.integers(2, 60), k=st.integers(1, 12), seed=st.integers(0, 999), coarse=st.booleans(), data=st.data())
def test_lists_and_pairs_are_those_of_every_pair_by_itself(n, k, seed, coarse, data):
    codes, k = made_codes(n, seed, coarse), min(k, n - 1)
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.choice(n, data.draw(st.integers(1, n)), replace=False))
    least = rng.choice(np.array([-np.inf, 0.3, 0.9, np.inf], np.float32), n)
    sizes = data.draw(st.tuples(st.integers(1, 9), st.integers(1, 40), st.integers(1, 4)))
    with pytest.MonkeyPatch.context() as patch:
        for name, size in zip(("BLOCK", "TILE", "FEWEST"), sizes, strict=True):
            patch.setattr(rows_to_all, name, size)
        found = compare_with_all(ExactSearch(codes), rows, least - np.float32(ROUNDING), k, n_threads=2)
    cosines = every_cosine(codes, rows)
    pairs = set(zip(*found[2].tolist(), strict=True))
    assert len(pairs) == found[2].shape[1], "no pair comes twice"
    for place, row in enumerate(rows.tolist()):
        order = [other for other in np.lexsort((np.arange(n), -cosines[place])) if other != row][:k]
        assert found[0][place].tolist() == order
        assert found[1][place].tolist() == cosines[place, order].tolist()
        reaching = {(row, other) for other in np.flatnonzero(cosines[place] >= least).tolist()}
        near = {(row, other) for other in np.flatnonzero(cosines[place] >= least - 2 * ROUNDING - 1e-6).tolist()}
        own = {pair for pair in pairs if pair[0] == row}
        assert reaching <= own <= near


def test_a_row_whose_candidates_leave_a_doubt_is_searched_again(monkeypatch):
    """Sixty codes whose cosines to the row all round to .9, and grow with their positions: the smallest must win."""
    cosines = 0.9 - np.linspace(4e-7, 1e-7, 60)
    codes = np.stack([cosines, np.sqrt(1 - cosines**2)], axis=1).astype(np.float32)
    codes = np.concatenate([codes, np.array([[1, 0]], np.float32)])
    asked = []
    monkeypatch.setattr(
        ExactSearch, "search", lambda *given, real=ExactSearch.search, **more: asked.append(1) or real(*given, **more)
    )
    neighbors, similarities, _ = compare_with_all(ExactSearch(codes), np.array([60]), np.full(61, np.inf, "f4"), 5)
    assert neighbors.tolist() == [list(range(5))]
    assert (similarities == np.float32(0.9)).all()
    assert asked


@pytest.mark.parametrize(("rows", "threads"), [(1, 1), (5, 8), (100, 2), (1000, 2), (1000, 3), (513, 1)])
def test_blocks_hold_every_row_once_and_share_the_work(rows, threads):
    blocks = rows_to_all._blocks(rows, threads)
    assert [row for block in blocks for row in range(block.start, block.stop)] == list(range(rows))
    sizes = [block.stop - block.start for block in blocks]
    assert max(sizes) <= rows_to_all.BLOCK
    assert max(sizes) - min(sizes) <= 1
    if rows >= threads * rows_to_all.FEWEST:
        assert len(blocks) % threads == 0


def test_codes_are_compared_with_their_checksums():
    codes = np.random.default_rng(0).random((20, 4), dtype=np.float32)
    sums = row_checksums(codes)
    codes[7, 2] = 1e30
    search = ExactSearch(codes, checksums=RowChecksums(codes, sums, lambda row: ValueError(f"row {row}")))
    with pytest.raises(ValueError, match="row 7"):
        compare_with_all(search, np.array([3]), np.full(20, np.inf, np.float32), 2)
