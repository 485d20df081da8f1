"""Labels that a film's nearest films of other patients deny."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from graphret._types import Float64Array, Int32Array, Int64Array

__all__ = ["MINIMUM_NEIGHBORS", "SUSPICIOUS", "Doubts", "doubtful_labels"]

MINIMUM_NEIGHBORS = 3
"""Fewer neighbours of other patients say nothing about a film."""
_BLOCK = 4096
SUSPICIOUS = 0.75
"""Neighbours like these are three times as frequent among films that are labelled the other way."""


class Doubts(NamedTuple):
    """Labels of films that are likelier to be the other way round, the most suspicious first.

    Parameters
    ----------
    rows, labels
        int64 (d,), the film and the label.
    agree, asked
        int64 (d,), neighbours that say the same, of so many that say anything.
    suspicion
        float64 (d,), in (0.75, 1), see `doubtful_labels`.
    n_skipped
        Films with fewer than `MINIMUM_NEIGHBORS` neighbours of other patients.
    """

    rows: Int64Array
    labels: Int64Array
    agree: Int64Array
    asked: Int64Array
    suspicion: Float64Array
    n_skipped: int


def doubtful_labels(neighbors: Int32Array, labels: NDArray[np.int8], patients: NDArray[Any]) -> Doubts:
    """Find labels that are improbable by those of the nearest films.

    A film with a label is doubtful where few of its neighbours have it, as is frequent among films without the label
    and rare among films with it; a film without the label, where many of its neighbours have it. With ``p`` the share
    of the films labelled the other way that have so few (so many) such neighbours, and ``q`` that of the films labelled
    alike, the suspicion is ``p / (p + q)``. A rare finding that neighbours never share is therefore no doubt where that
    is so of most films with it. Listed are labels that most neighbours deny, with a suspicion above 0.75.

    Parameters
    ----------
    neighbors
        int32 (n, k), -1 pads. Films of the own patient are passed over.
    labels
        int8 (n, L), 1, 0 or -1 (not known: neither asked for nor counted).
    patients
        (n,), of every film.

    Returns
    -------
    Doubts
        Ranked by suspicion, then by the share of neighbours that disagree, then by row and label. O(n k L), in blocks.

    Examples
    --------
    >>> ring = (np.arange(100)[:, None] + np.arange(1, 9)) % 100  # two kinds of films, each with neighbours of its kind
    >>> labels = np.repeat([[1], [0]], 100, axis=0).astype(np.int8)
    >>> labels[50] = 0
    >>> found = doubtful_labels(np.concatenate([ring, ring + 100]).astype(np.int32), labels, np.arange(200))
    >>> found.rows.tolist(), found.agree.tolist(), found.asked.tolist()
    ([50], [0], [8])
    """
    n_films, k = neighbors.shape
    _, numbers = np.unique(patients, return_inverse=True)
    n_labels = labels.shape[1]
    having = np.zeros((n_films, n_labels), np.int32)
    asked = np.zeros((n_films, n_labels), np.int32)
    others = np.zeros(n_films, np.int64)
    for block, near, counts in _blocks(neighbors, numbers):
        others[block] = counts.sum(axis=1)
        found = labels[near]
        having[block] = ((found == 1) & counts[:, :, None]).sum(axis=1)
        asked[block] = ((found >= 0) & counts[:, :, None]).sum(axis=1)
    judged = (labels >= 0) & (asked >= MINIMUM_NEIGHBORS)
    suspicion = np.zeros((n_films, n_labels))
    bins = np.rint(having * k / np.maximum(asked, 1)).astype(np.int64)
    for label in range(n_labels):
        mine = judged[:, label]
        suspicion[mine, label] = _suspicion(labels[mine, label], bins[mine, label], k)
    denied = np.where(labels == 1, having, asked - having) * 2 < asked
    rows, columns = np.nonzero((suspicion > SUSPICIOUS) & denied)
    n_asked = asked[rows, columns].astype(np.int64)
    agree = np.where(labels[rows, columns] == 1, having[rows, columns], n_asked - having[rows, columns])
    order = np.lexsort((columns, rows, agree / n_asked, -suspicion[rows, columns]))
    return Doubts(
        rows[order],
        columns[order],
        agree[order],
        n_asked[order],
        suspicion[rows, columns][order],
        int((others < MINIMUM_NEIGHBORS).sum()),
    )


def _suspicion(given: NDArray[np.int8], having: Int64Array, k: int) -> Float64Array:
    """How much likelier so many neighbours with a label are for films that are labelled the other way.

    ``given`` is 1 or 0, ``having`` in 0..k. A film with the label is compared by "as few", one without by "as many".
    """
    counts = np.zeros((2, k + 1))
    np.add.at(counts, (given, having), 1)
    as_few, as_many = np.cumsum(counts, axis=1), np.cumsum(counts[:, ::-1], axis=1)[:, ::-1]
    tails = np.where(given == 1, as_few[:, having], as_many[:, having])
    # one film more without such neighbours: a handful of films proves little
    shares = tails / (counts.sum(axis=1, keepdims=True) + 1)
    places = np.arange(len(given))
    opposite, same = shares[1 - given, places], shares[given, places]
    found: Float64Array = opposite / (opposite + same)
    return found


def _blocks(neighbors: Int32Array, patients: NDArray[Any]) -> Iterator[tuple[slice, Int32Array, NDArray[np.bool_]]]:
    """Some rows with their neighbours, and which of these are there and of other patients."""
    for start in range(0, len(neighbors), _BLOCK):
        rows = slice(start, start + _BLOCK)
        near = neighbors[rows]
        yield rows, np.maximum(near, 0), (near >= 0) & (patients[near] != patients[rows, None])
