"""The join: what it proves holds for every pair, and its table is the one of brute force."""

import heapq
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphret._errors import InvalidParameterError
from graphret.neighbors import ExactSearch, nearest_neighbors
from graphret.neighbors import backends as backends_module
from graphret.neighbors import block_join as block_join_module
from graphret.neighbors import join_plan as join_module
from graphret.neighbors import knn as knn_module
from graphret.neighbors import rotation as rotation_module
from graphret.neighbors._tile_kernels import _promising_share, _replace_root, _survivors, _tighten
from graphret.neighbors.block_join import best_of_block
from graphret.neighbors.exact_search import row_lengths
from graphret.neighbors.filling_table import FillingTable
from graphret.neighbors.join_plan import JoinPlan
from graphret.neighbors.rotation import Rotation, plan_join
from graphret.neighbors.tiles import principal_order, rounds_of_pairs


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    """Many tiles and blocks although the codes are few, and no flat search instead of the join."""
    monkeypatch.setattr(backends_module, "JOIN_LIMIT", 0)
    monkeypatch.setattr(join_module, "TILE", 48)
    monkeypatch.setattr(rotation_module, "BLOCK_WIDTH", 16)
    monkeypatch.setattr(rotation_module, "LEADING_SIZES", (4, 8, 16, 32))


def codes_near_a_subspace(seed, n=700, d=60, *, rank=6, noise=0.2, n_duplicates=0):
    """Codes as encoders make them: a few directions hold most of them, and none is negative."""
    generator = np.random.default_rng(seed)
    latent = generator.standard_normal((n, rank)) @ generator.standard_normal((rank, d))
    codes = np.maximum(latent + noise * generator.standard_normal((n, d)) + 0.5, 0.0).astype(np.float32)
    codes[~codes.any(axis=1), 0] = 1.0
    if n_duplicates:
        codes[n - n_duplicates :] = codes[0]
    return codes


def truth(codes, k):
    """The table of the exact search, which another test holds against brute force in float64."""
    forbidden = list(np.arange(codes.shape[0], dtype=np.int32)[:, None])
    return ExactSearch(codes).search(codes, k, forbidden=forbidden)


def assert_same_table(table, expected):
    np.testing.assert_array_equal(table.neighbors, expected.neighbors)
    np.testing.assert_array_equal(table.similarities, expected.similarities)


@pytest.mark.parametrize("k", [1, 7, 50, 699])
def test_exact_table_is_the_one_of_an_exhaustive_search(k):
    codes = codes_near_a_subspace(0)
    table = nearest_neighbors(codes, k, method="exact")
    assert_same_table(table, truth(codes, k))
    assert (table.method, table.recall) == ("exact", 1.0)
    assert table.n_proven + table.n_scanned == 700


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 200), st.integers(1, 30), st.integers(1, 40), st.floats(0.0, 1.0))
def test_any_shape(seed, n, k, d, noise):
    codes = codes_near_a_subspace(seed, n, d, rank=min(4, d), noise=noise)
    assert_same_table(nearest_neighbors(codes, k, method="exact"), truth(codes, min(k, n - 1)))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 120), st.integers(1, 40), st.integers(1, 6))
def test_ties_everywhere_are_scanned_and_go_to_the_smaller_id(seed, n, k, d):
    codes = np.random.default_rng(seed).integers(1, 4, (n, d)).astype(np.float32)
    assert_same_table(nearest_neighbors(codes, k, method="exact"), truth(codes, min(k, n - 1)))


def test_more_duplicates_than_the_margin_holds():
    codes = codes_near_a_subspace(1, n_duplicates=90)
    table = nearest_neighbors(codes, 5, method="exact")
    assert_same_table(table, truth(codes, 5))
    assert 90 <= table.n_scanned < 300


def test_copies_of_one_film_only():
    table = nearest_neighbors(np.tile(np.float32([3, 4]), (400, 1)), 5, method="exact")
    np.testing.assert_array_equal(table.neighbors[:2], [[1, 2, 3, 4, 5], [0, 2, 3, 4, 5]])
    assert (table.similarities == 1.0).all()


def test_same_bits_with_one_thread_and_two_and_another_seed():
    codes = codes_near_a_subspace(2)
    first = nearest_neighbors(codes, 20, method="exact", n_threads=1)
    assert_same_table(nearest_neighbors(codes, 20, method="exact", n_threads=2), first)
    assert_same_table(nearest_neighbors(codes, 20, method="exact", seed=7), first)
    one, two = (nearest_neighbors(codes, 20, method="approximate", recall=0.8, n_threads=n) for n in (1, 2))
    assert_same_table(one, two)


def test_rows_whose_guess_is_too_large_are_scanned(monkeypatch):
    codes = codes_near_a_subspace(3)
    expected = nearest_neighbors(codes, 9, method="exact")
    monkeypatch.setattr(join_module, "guess_rank", lambda k, share: 1)  # the best of the sample, itself among it
    table = nearest_neighbors(codes, 9, method="exact")
    assert_same_table(table, expected)
    assert table.n_scanned > expected.n_scanned
    assert table.n_scanned > 50


def test_guess_rank_is_surpassed_as_often_as_it_says():
    generator = np.random.default_rng(0)
    for k in (1, 10, 50, 400):
        share = join_module.GUESS_SHARE
        in_sample = generator.binomial(k, share, 200_000)
        # the row itself may be in the sample too, so that one rank more is needed
        assert (in_sample >= join_module.guess_rank(k, share) - 1).mean() <= 2 * join_module.GUESS_ERROR


def test_memory_is_bounded_and_nothing_else_changes(tmp_path, monkeypatch):
    monkeypatch.setattr(block_join_module, "SCORED", 300)
    for name in ("BASIS_ROWS", "PLAN_ROWS", "PLAN_COLUMNS", "PLAN_PAIRS", "CHUNK"):
        monkeypatch.setattr(rotation_module, name, 300)
    monkeypatch.setattr(knn_module, "BLOCK", 300)
    codes = codes_near_a_subspace(4, n=4000, d=256)
    np.save(tmp_path / "codes.npy", codes)
    mapped = np.load(tmp_path / "codes.npy", mmap_mode="r")
    peaks, tables = [], []
    for given_codes, limit in ((codes, None), (mapped, 800_000)):
        nearest_neighbors(given_codes[:100], 5, method="exact")  # compiles
        tracemalloc.start()
        tables.append(nearest_neighbors(given_codes, 5, method="exact", max_memory=limit))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert_same_table(*tables)
    assert peaks[0] - peaks[1] > codes.nbytes / 2


@pytest.mark.parametrize(("limit", "message"), [(1000, "at least"), (0, ">= 1"), (2.5, ">= 1")])
def test_a_limit_that_holds_no_tile(limit, message):
    with pytest.raises(InvalidParameterError, match=message):
        nearest_neighbors(codes_near_a_subspace(0), 3, method="exact", max_memory=limit)


@pytest.mark.parametrize("recall", [0.0, 1.0, -1, 1.5])
def test_bad_recall(recall):
    with pytest.raises(InvalidParameterError, match="> 0 and < 1"):
        nearest_neighbors(codes_near_a_subspace(0), 3, method="approximate", recall=recall)


@pytest.mark.parametrize("recall", [0.6, 0.9, 0.99])
def test_approximate_reaches_the_recall_and_reports_what_it_measured(recall):
    codes = codes_near_a_subspace(5, n=1500, d=60, noise=0.6)
    table = nearest_neighbors(codes, 10, method="approximate", recall=recall)
    exact = truth(codes, 10)
    shared = [np.intersect1d(found, true).size for found, true in zip(table.neighbors, exact.neighbors, strict=True)]
    assert table.recall >= recall
    assert abs(np.sum(shared) / exact.neighbors.size - table.recall) < 0.01
    assert table.method == "approximate"
    assert table.n_proven == 0


def test_less_recall_asked_is_less_found():
    codes = codes_near_a_subspace(5, n=1500, d=60, noise=0.6)
    found = [nearest_neighbors(codes, 10, method="approximate", recall=recall).recall for recall in (0.3, 0.999)]
    assert found[0] < found[1]


def test_approximate_falls_back_to_the_proof_when_nothing_less_reaches_the_recall(monkeypatch):
    monkeypatch.setattr(FillingTable, "measured_recall", lambda *_: 0.5)
    table = nearest_neighbors(codes_near_a_subspace(6), 5, method="approximate")
    assert (table.method, table.recall) == ("exact", 1.0)
    assert_same_table(table, truth(codes_near_a_subspace(6), 5))


def test_parts_add_up_to_the_cosines_and_bounds_hold_for_every_pair():
    codes = codes_near_a_subspace(7, n=200)
    lengths = row_lengths(codes)
    rotation = Rotation.of(codes, np.random.default_rng(0))
    leading, rest, beyond = rotation.parts(codes, lengths, np.arange(200), 8, 1.0)
    unit = codes / lengths[:, None]
    cosines = unit @ unit.T
    so_far = leading[:, :-1] @ leading[:, :-1].T
    np.testing.assert_allclose(leading @ leading.T, so_far + np.outer(beyond[0], beyond[0]), atol=1e-5)
    for block in range(rest.shape[0] + 1):
        assert (cosines <= so_far + np.outer(beyond[block], beyond[block]) + 5e-6).all()
        if block < rest.shape[0]:
            so_far = so_far + rest[block] @ rest[block].T
    np.testing.assert_allclose(so_far, cosines, atol=5e-6)
    np.testing.assert_array_equal(beyond[-1], 0)


def test_leading_directions_come_first():
    codes = codes_near_a_subspace(8, noise=0.0)
    lengths = row_lengths(codes)
    rotation = Rotation.of(codes, np.random.default_rng(0))
    np.testing.assert_allclose(rotation.basis.T @ rotation.basis, np.eye(60), atol=1e-5)
    energy = (rotation.leading(codes, lengths, 60) ** 2).mean(axis=0)
    assert (np.diff(energy) < 1e-3).all()
    assert energy[:12].sum() > 0.9


def test_plan_of_a_proof_has_the_whole_spread_and_less_recall_is_cheaper():
    codes = codes_near_a_subspace(9, n=2000, noise=0.4)
    rotation = Rotation.of(codes, np.random.default_rng(0))
    proof, most, some = (
        plan_join(codes, rotation, 10, recall, np.random.default_rng(0)) for recall in (1.0, 0.99, 0.5)
    )
    assert proof.slack_factor == proof.recall == 1.0
    assert most.recall >= 0.99
    assert some.recall >= 0.5
    assert (
        (some.n_leading, some.slack_factor)
        < (most.n_leading, most.slack_factor)
        <= (proof.n_leading, proof.slack_factor)
    )


def test_progress_counts_up_to_the_rows():
    seen = []
    nearest_neighbors(codes_near_a_subspace(0), 3, method="exact", progress=lambda *step: seen.append(step))
    assert seen[-1] == ("neighbors", 700, 700)
    assert [step[1] for step in seen] == sorted({step[1] for step in seen} | {step[1] for step in seen})
    assert len(seen) > 10


def test_candidates_hold_every_neighbour():
    codes = codes_near_a_subspace(10)
    lengths = row_lengths(codes)
    plan = JoinPlan.of(codes, lengths, 6, 1.0, np.random.default_rng(0))
    order = plan.tiles.order
    _, hopeful = best_of_block(
        plan, 0, plan.rotation.parts(codes, lengths, order, plan.plan.n_leading, plan.plan.slack_factor)
    )
    expected = truth(codes, 6).neighbors
    for place, row in enumerate(order):
        above = expected[row][truth_scores(codes, row)[expected[row]] > hopeful.kth_similarities[place] + 1e-5]
        assert np.isin(above, order[hopeful.columns[place][hopeful.columns[place] >= 0]]).all()


@pytest.mark.parametrize("method", ["exact", "approximate"])
def test_order_of_the_pairs_threads_and_memory_change_nothing(method, monkeypatch):
    """Pairs of blocks start from what the blocks found in themselves: any machine may join them, at any time."""
    monkeypatch.setattr(join_module, "BLOCK_ROWS", 96)
    codes = codes_near_a_subspace(11, n=1200, noise=0.6)
    options = {"method": method, "recall": None if method == "exact" else 0.8}
    whole = nearest_neighbors(codes, 9, n_threads=1, **options)
    if method == "exact":
        assert_same_table(whole, truth(codes, 9))
    else:
        assert whole.recall >= 0.8
        assert not np.array_equal(whole.neighbors, truth(codes, 9).neighbors)  # there is something to differ in
    blocks = JoinPlan.of(codes, row_lengths(codes), 9, 1.0, np.random.default_rng(0)).blocks
    assert len(blocks) == 13
    pairs_of = JoinPlan.pairs
    monkeypatch.setattr(JoinPlan, "pairs", lambda plan: pairs_of(plan)[::-1])
    assert_same_table(nearest_neighbors(codes, 9, n_threads=2, **options), whole)


def test_blocks_follow_from_the_number_of_rows():
    codes = codes_near_a_subspace(12, n=3000)
    of = JoinPlan.of(codes, row_lengths(codes), 5, 1.0, np.random.default_rng(0))
    assert of.blocks == (range(of.tiles.n_tiles),)
    assert of.pairs() == []


def truth_scores(codes, row):
    unit = codes / np.linalg.norm(codes, axis=1, keepdims=True)
    return unit @ unit[row]


@given(st.integers(1, 300), st.integers(1, 40), st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_tiles_hold_every_row_once_and_are_equal(n, tile, seed):
    points = np.random.default_rng(seed).standard_normal((n, 3)).astype(np.float32)
    tiles = principal_order(points, tile)
    np.testing.assert_array_equal(np.sort(tiles.order), np.arange(n))
    sizes = np.diff(tiles.starts)
    assert sizes.sum() == n
    assert (sizes[:-1] == tile).all()
    assert 1 <= sizes[-1] <= tile
    for number in range(tiles.n_tiles):
        rows = tiles.order[tiles.starts[number] : tiles.starts[number + 1]]
        assert (np.diff(rows) > 0).all()
        np.testing.assert_allclose(tiles.centres[number], points[rows].mean(axis=0), atol=1e-4)


def test_rows_of_a_tile_are_similar():
    points = np.random.default_rng(0).standard_normal((2000, 2)).astype(np.float32)
    tiles = principal_order(points, 50)
    inside = [points[tiles.order[a:b]].var(axis=0).sum() for a, b in zip(tiles.starts, tiles.starts[1:], strict=False)]
    assert np.mean(inside) < 0.1 * points.var(axis=0).sum()


@given(st.integers(1, 30), st.integers(0, 30), st.booleans())
@settings(max_examples=40, deadline=None)
def test_rounds_hold_every_pair_once_and_no_tile_twice(n_tiles, cut, apart):
    points = np.random.default_rng(n_tiles).standard_normal((n_tiles, 2)).astype(np.float32)
    tiles = principal_order(points, 1)
    cut = min(cut, n_tiles)
    left, right = (range(cut), range(cut, n_tiles)) if apart else (range(n_tiles), range(n_tiles))
    if not (left and right):
        return
    rounds = rounds_of_pairs(tiles, left, right)
    pairs = [tuple(pair) for some in rounds for pair in some.tolist()]
    assert sorted(pairs) == [(i, j) for i in left for j in right if apart or i <= j]
    for some in rounds:
        used = [tile for i, j in some.tolist() for tile in {i, j}]
        assert len(used) == len(set(used))


def test_heap_keeps_the_best():
    values = np.random.default_rng(0).integers(0, 50, 400).astype(np.float32)
    scores, ids = np.full(15, -np.inf, np.float32), np.full(15, -1, np.int32)
    for node, value in enumerate(values):
        if value > scores[0]:
            _replace_root(scores, ids, value, node)
    assert sorted(scores) == sorted(heapq.nlargest(15, values))
    np.testing.assert_array_equal(values[ids], scores)
    assert scores[0] == scores.min()


@given(st.integers(1, 130), st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_kernels_equal_their_numpy_forms(n_columns, seed):
    generator = np.random.default_rng(seed)
    bounds = generator.standard_normal((5, n_columns)).astype(np.float32)
    left, right = (generator.standard_normal(size).astype(np.float32) for size in (5, n_columns))
    out = np.full(n_columns, -1)
    n_found = _survivors(bounds[0], right, left[0], 7, out)
    expected = np.flatnonzero((bounds[0] > left[0]) | (bounds[0] > right))
    np.testing.assert_array_equal(out[:n_found], 7 + expected)
    share = _promising_share(bounds, left, right)  # of every eighth row, here of the first
    assert share == expected.size / n_columns
    products = generator.standard_normal(bounds.shape).astype(np.float32)
    before, after = (np.abs(generator.standard_normal((2, n_columns + 5))).astype(np.float32) for _ in range(2))
    expected_bounds = bounds + products
    expected_bounds += 0.5 * (np.outer(after[0, :5], after[1, 5:]) - np.outer(before[0, :5], before[1, 5:]))
    _tighten(bounds, products, before[0, :5], after[0, :5], before[1, 5:], after[1, 5:], np.float32(0.5))
    np.testing.assert_allclose(bounds, expected_bounds, atol=1e-5)
