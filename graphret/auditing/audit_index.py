"""Audit an index by the nearest neighbours of its films."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._checks import check_integer, check_number
from graphret._errors import InvalidParameterError
from graphret.auditing.duplicates import Pairs, choose_threshold, groups_of, near_pairs
from graphret.auditing.labels import doubtful_labels
from graphret.auditing.report import Audit, DoubtfulLabel, Group, Pair
from graphret.data.splits import shared_patients
from graphret.index import as_index
from graphret.neighbors import nearest_neighbors

if TYPE_CHECKING:
    from os import PathLike

    from graphret._types import Progress
    from graphret.data import ImageTable
    from graphret.index import Index

__all__ = ["audit"]


def audit(
    index: Index | str | PathLike[str],
    *,
    k: int = 10,
    threshold: float | str = "auto",
    seed: int = 0,
    n_threads: int | None = None,
    progress: Progress | None = None,
) -> Audit:
    """Look for near duplicates, leaks between splits and patients, and labels that neighbours deny.

    All of it comes from the k nearest neighbours of every film. What is found is a suspicion, not a verdict: films that
    an encoder cannot tell apart need not be copies, and neighbours may be wrong together.

    Parameters
    ----------
    index
        The archive, or its folder; of a whole data set with its test films, where leaks between splits are looked for.
    k
        Neighbours of each film, >= 2.
    threshold
        Cosine in (0, 1] from which two films are near duplicates. "auto" chooses it from the archive, so that chance
        gives about one pair (`graphret.auditing.duplicates.choose_threshold`).
    seed
        Of `nearest_neighbors`, where these are approximate.
    n_threads
        ``None`` for all processors; the result does not depend on it.
    progress
        Called as ``progress("neighbors", rows done, n)``.

    Returns
    -------
    Audit
        Pairs by similarity, groups by size, labels by suspicion; ties by the order of the archive.

    Raises
    ------
    InvalidParameterError
        k or threshold is not allowed.

    Notes
    -----
    Beside the neighbours O(n k L) for L labels, in blocks: memory is O(n (k + L)) and what is found.

    Examples
    --------
    >>> import graphret, numpy as np, tempfile
    >>> codes = np.random.default_rng(0).normal(size=(200, 16)).astype(np.float32)
    >>> codes[7] = codes[3]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     found = audit(graphret.build(codes, out=f"{folder}/index", k=10))
    >>> [(pair.first, pair.second, pair.same_patient) for pair in found.pairs]
    [('3', '7', False)]
    """
    check_integer("k", k, 2, "a threshold is chosen from the distances to several neighbours")
    if threshold != "auto":
        if isinstance(threshold, str):
            raise InvalidParameterError("threshold", threshold, "auto, or a cosine in (0, 1]")
        check_number("threshold", threshold, above=0, at_most=1)
    index = as_index(index)
    films = index.films
    table = nearest_neighbors(index.codes, k, seed=seed, n_threads=n_threads, progress=progress)
    cosine = choose_threshold(table) if isinstance(threshold, str) else float(threshold)
    pairs = near_pairs(table, cosine)
    near = (table.similarities >= cosine) & (table.neighbors >= 0)
    doubts = doubtful_labels(table.neighbors, films.labels, films.patients)
    return Audit(
        n_films=len(films),
        k=table.k,
        threshold=cosine,
        threshold_from="data" if isinstance(threshold, str) else "caller",
        pairs=tuple(_pairs(films, pairs)),
        groups=tuple(_group(films, rows) for rows in groups_of(pairs, len(films))),
        n_full=int(near.all(axis=1).sum()) if table.k else 0,
        patients_in_several_splits=_patients_in_several_splits(films),
        doubtful_labels=tuple(
            DoubtfulLabel(
                id=str(films.ids[row]),
                label=films.label_names[label],
                given=bool(films.labels[row, label] == 1),
                agree=agree,
                asked=asked,
                suspicion=suspicion,
            )
            for row, label, agree, asked, suspicion in zip(*(part.tolist() for part in doubts[:5]), strict=True)
        ),
        n_without_neighbors=doubts.n_skipped if films.label_names else 0,
    )


def _pairs(films: ImageTable, pairs: Pairs) -> list[Pair]:
    found = []
    for first, second, similarity in zip(*(part.tolist() for part in pairs), strict=True):
        differ = films.labels[first].astype(np.int16) * films.labels[second]
        opposite = (differ == 0) & (films.labels[first] + films.labels[second] == 1)
        found.append(
            Pair(
                first=str(films.ids[first]),
                second=str(films.ids[second]),
                similarity=float(f"{similarity:.6f}"),
                same_patient=bool(films.patients[first] == films.patients[second]),
                splits=(str(films.splits[first]), str(films.splits[second])),
                labels_differ=tuple(name for name, is_so in zip(films.label_names, opposite, strict=True) if is_so),
            )
        )
    return found


def _group(films: ImageTable, rows: Any) -> Group:
    return Group(
        ids=tuple(films.ids[rows].tolist()),
        n_patients=len(np.unique(films.patients[rows])),
        splits=tuple(np.unique(films.splits[rows]).tolist()),
    )


def _patients_in_several_splits(films: ImageTable) -> dict[str, tuple[str, ...]]:
    shared = shared_patients(films.patients, films.splits)
    rows = np.flatnonzero(np.isin(films.patients, shared))
    splits: dict[str, set[str]] = {name: set() for name in shared}
    for name, split in zip(films.patients[rows].tolist(), films.splits[rows].tolist(), strict=True):
        splits[name].add(split)
    return {name: tuple(sorted(found)) for name, found in splits.items()}
