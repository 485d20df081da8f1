"""A fixed part of a data set: which films it is depends on their ids alone."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from graphret._types import BoolArray, Int64Array
    from graphret.data.cards import CardSample
    from graphret.data.table import ImageTable

__all__ = ["sample_films"]


def sample_films(table: ImageTable, sample: CardSample) -> ImageTable:
    """Keep of every label, then of every split, no more films than a dataset spec says: those with the smallest hashes.

    A film's hash is ``blake2b(seed, id)``, so the choice does not depend on the order of the rows, and a copy of the
    data set with fewer films chooses the same ones among those that it has. "train" counts the films of "valid"
    too, which are taken from it.

    Examples
    --------
    >>> from graphret.data import ImageTable
    >>> from graphret.data.cards import CardSample
    >>> table = ImageTable(ids=["a", "b", "c"], paths=[], labels=[[1], [1], [1]], label_names=("Edema",))
    >>> len(sample_films(table, CardSample(per_split={"train": 2})))
    2
    """
    kept = np.ones(len(table), dtype=np.bool_)
    if not (sample.per_label or sample.per_split):
        return table
    ranks = _ranks(table.ids.tolist(), sample.seed)
    for label, number in sample.per_label.items():
        _keep_first(kept, table.labels[:, table.label_names.index(label)] == 1, ranks, number)
    for split, number in sample.per_split.items():
        counted = ["train", "valid"] if split == "train" else [split]
        _keep_first(kept, np.isin(table.splits, counted), ranks, number)
    return table.select(kept)


def _ranks(ids: list[str], seed: int) -> Int64Array:
    digests = [hashlib.blake2b(f"{seed}:{name}".encode(), digest_size=8).digest() for name in ids]
    ranks = np.empty(len(ids), dtype=np.int64)
    ranks[np.argsort(np.array([int.from_bytes(digest, "big") for digest in digests], dtype=np.uint64))] = np.arange(
        len(ids)
    )
    return ranks


def _keep_first(kept: BoolArray, among: BoolArray, ranks: Int64Array, number: int) -> None:
    rows = np.flatnonzero(kept & among)
    kept[rows[np.argsort(ranks[rows])[number:]]] = False
