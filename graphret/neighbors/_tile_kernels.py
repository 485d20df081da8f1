"""Kernels of the join: which pairs of rows can still be neighbours, tile against tile. They write to their arguments.

The codes lie rotated and split, so that a pair costs little until it has shown promise: ``leading`` (n, m + 1) holds
the leading directions and, as a last column, what the bound allows for all that it leaves out; ``rest`` (blocks, n,
width) holds the other directions, padded with zeros; ``beyond`` (blocks + 1, n) the lengths of what lies beyond the
leading ones and beyond every block. The similarity of two rows is the product of their leading parts and of their
blocks, and what lies beyond adds at most the product of its lengths.
"""

from __future__ import annotations

import numpy as np

from graphret._numba import jit, prange

__all__ = ["_colour_pairs", "_join_tiles"]

CHUNK = 32
"""Bounds that are tested together: so few survive that most chunks hold none."""
STRETCH = 128
"""Bounds that are tested against one state of the k-th similarities: what a row finds spares it later pairs."""
ROW_BLOCK = 128
"""Rows of a tile whose bounds are formed together: they stay in the cache of a core until they are tested."""


DENSE = 0.08
"""Share of promising pairs above which the next block is multiplied for all pairs: a product of matrices forms a
pair some twenty times faster than a loop over scattered pairs."""


@jit(reassociate=True)
def _block_product(left_rest, right_rest, block, i, j):
    total = np.float32(0.0)
    for t in range(left_rest.shape[2]):
        total += left_rest[block, i, t] * right_rest[block, j, t]
    return total


@jit()
def _replace_root(scores, ids, score, node):
    """Put a better candidate in the place of the worst of a min-heap."""
    size = scores.shape[0]
    place = 0
    while True:
        child = 2 * place + 1
        if child >= size:
            break
        if child + 1 < size and scores[child + 1] < scores[child]:
            child += 1
        if scores[child] >= score:
            break
        scores[place] = scores[child]
        ids[place] = ids[child]
        place = child
    scores[place] = score
    ids[place] = node


@jit(reassociate=True)
def _survivors(bounds, kth_similarities, own_kth_similarity, first, out):
    """Write ``first`` + the columns whose bound exceeds the kth_similarity of either row; returns their number."""
    filled = 0
    for start in range(0, bounds.shape[0], CHUNK):
        # slices have no negative indices, so that the test of a chunk becomes a few vector instructions
        some = bounds[start : start + CHUNK]
        some_similarities = kth_similarities[start : start + CHUNK]
        n_promising = np.int32(0)
        for column in range(some.shape[0]):
            n_promising += np.int32((some[column] > own_kth_similarity) | (some[column] > some_similarities[column]))
        if n_promising > 0:
            for column in range(some.shape[0]):
                out[filled] = first + start + column
                filled += int((some[column] > own_kth_similarity) | (some[column] > some_similarities[column]))
    return filled


@jit(reassociate=True)
def _promising_share(bounds, left_kth_similarities, right_kth_similarities):
    """Share of the bounds that exceed the kth_similarity of either row, seen on every eighth row."""
    total = 0
    n_seen = 0
    for row in range(0, bounds.shape[0], 8):
        row_bounds = bounds[row]
        kth_similarity = left_kth_similarities[row]
        n_row = np.int32(0)
        for column in range(row_bounds.shape[0]):
            n_row += np.int32(
                (row_bounds[column] > kth_similarity) | (row_bounds[column] > right_kth_similarities[column])
            )
        total += int(n_row)
        n_seen += row_bounds.shape[0]
    return total / n_seen


@jit()
def _tighten(bounds, products, left_before, left_after, right_before, right_after, slack_factor):
    """Add the products of one more block to the bounds of a tile, and let go of what was allowed for it."""
    for row in range(bounds.shape[0]):
        row_bounds = bounds[row]
        row_products = products[row]
        before = slack_factor * left_before[row]
        after = slack_factor * left_after[row]
        for column in range(row_bounds.shape[0]):
            allowed = after * right_after[column] - before * right_before[column]
            row_bounds[column] += row_products[column] + allowed


@jit(parallel=True, writes=("left_best", "right_best", "scratch"))
def _join_tiles(
    left, right, left_best, right_best, pairs, left_starts, right_starts, firsts, mirror, slack_factor, scratch
):
    """Join pairs of tiles: every row of the left tile with every row of the right one, each product formed once.

    ``left`` and ``right`` are (leading, rest, beyond); ``left_best`` and ``right_best`` are (heap of scores, heap of
    ids, kth_similarities): what a row has found, and what a score must exceed to be worth keeping. A right
    kth_similarity of infinity makes the join one-sided. With ``mirror`` left and right are the same rows, and a tile
    meets itself above the diagonal only. No two pairs of one call may write to the same tile. ``slack_factor`` in (0,
    1]: what lies beyond the directions seen so far of two rows is taken to have at most that cosine; with 1 no
    neighbour is lost, up to rounding. ``firsts`` are added to the numbers of left and right rows where they are written
    down.
    """
    left_head, left_rest, left_beyond = left
    right_head, right_rest, right_beyond = right
    left_scores, left_ids, left_kth_similarities = left_best
    right_scores, right_ids, right_kth_similarities = right_best
    n_blocks = left_rest.shape[0]
    n_workers = scratch[0].shape[0]
    for worker in prange(n_workers):
        products = scratch[0][worker]
        columns = scratch[1][worker]
        scores = scratch[2][worker]
        for pair in range(worker, pairs.shape[0], n_workers):
            i_stop = left_starts[pairs[pair, 0] + 1]
            j_first = right_starts[pairs[pair, 1]]
            j_stop = right_starts[pairs[pair, 1] + 1]
            diagonal = mirror and left_starts[pairs[pair, 0]] == j_first
            for i_first in range(left_starts[pairs[pair, 0]], i_stop, ROW_BLOCK):
                i_last = min(i_first + ROW_BLOCK, i_stop)
                shape = (i_last - i_first, j_stop - j_first)
                bounds = products[0, : shape[0] * shape[1]].reshape(shape)
                np.dot(left_head[i_first:i_last], right_head[j_first:j_stop].T, bounds)
                seen = 0
                while seen < n_blocks:
                    if (
                        _promising_share(
                            bounds, left_kth_similarities[i_first:i_last], right_kth_similarities[j_first:j_stop]
                        )
                        < DENSE
                    ):
                        break
                    block_products = products[1, : shape[0] * shape[1]].reshape(shape)
                    np.dot(left_rest[seen, i_first:i_last], right_rest[seen, j_first:j_stop].T, block_products)
                    before = (left_beyond[seen, i_first:i_last], right_beyond[seen, j_first:j_stop])
                    seen += 1
                    after = (left_beyond[seen, i_first:i_last], right_beyond[seen, j_first:j_stop])
                    _tighten(bounds, block_products, before[0], after[0], before[1], after[1], slack_factor)
                for i in range(i_first, i_last):
                    row_bounds = bounds[i - i_first]
                    for start in range(i - j_first + 1 if diagonal else 0, shape[1], STRETCH):
                        stop = min(start + STRETCH, shape[1])
                        kth_similarities = right_kth_similarities[j_first + start : j_first + stop]
                        n_columns = _survivors(
                            row_bounds[start:stop], kth_similarities, left_kth_similarities[i], start, columns
                        )
                        for place in range(n_columns):
                            j = j_first + columns[place]
                            scores[place] = (
                                row_bounds[columns[place]] - slack_factor * left_beyond[seen, i] * right_beyond[seen, j]
                            )
                        # block by block for all of them: without a branch on what is read, reads overlap
                        for block in range(seen, n_blocks):
                            n_left = 0
                            own_beyond = slack_factor * left_beyond[block + 1, i]
                            for place in range(n_columns):
                                column = columns[place]
                                j = j_first + column
                                score = scores[place] + _block_product(left_rest, right_rest, block, i, j)
                                bound = score + own_beyond * right_beyond[block + 1, j]
                                columns[n_left] = column
                                scores[n_left] = score
                                n_left += int((bound > left_kth_similarities[i]) | (bound > right_kth_similarities[j]))
                            n_columns = n_left
                        for place in range(n_columns):
                            j = j_first + columns[place]
                            if scores[place] > left_kth_similarities[i]:
                                _replace_root(left_scores[i], left_ids[i], scores[place], firsts[1] + j)
                                left_kth_similarities[i] = max(left_kth_similarities[i], left_scores[i, 0])
                            if scores[place] > right_kth_similarities[j]:
                                _replace_root(right_scores[j], right_ids[j], scores[place], firsts[0] + i)
                                right_kth_similarities[j] = max(right_kth_similarities[j], right_scores[j, 0])


@jit()
def _colour_pairs(pairs, rounds_of_tile, out):
    """Give every pair, in order, the first round in which both of its tiles are free; returns the number of rounds.

    ``rounds_of_tile`` is a table of bits (n_tiles, words), zeros: the rounds in which a tile is taken.
    """
    n_rounds = 0
    for pair in range(pairs.shape[0]):
        left = pairs[pair, 0]
        right = pairs[pair, 1]
        word = 0
        while (rounds_of_tile[left, word] | rounds_of_tile[right, word]) == np.uint64(0xFFFFFFFFFFFFFFFF):
            word += 1
        taken = rounds_of_tile[left, word] | rounds_of_tile[right, word]
        bit = np.uint64(0)
        while (taken >> bit) & np.uint64(1):
            bit += np.uint64(1)
        rounds_of_tile[left, word] |= np.uint64(1) << bit
        rounds_of_tile[right, word] |= np.uint64(1) << bit
        out[pair] = word * 64 + np.int64(bit)
        n_rounds = max(n_rounds, out[pair] + 1)
    return n_rounds
