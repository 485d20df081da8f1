"""How often the nearest other training film is a similar one: an accuracy for codes of any kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from graphret._checks import unit_rows
from graphret.evaluation import evaluate_hamming, evaluate_ranking
from graphret.hashing import pack_bits

if TYPE_CHECKING:
    from graphret._types import Codes
    from graphret.data import ImageTable

__all__ = ["training_accuracy"]

_MOST_FILMS = 2048


def training_accuracy(codes: Codes, films: ImageTable, *, binary: bool, seed: int = 0) -> float | None:
    """Share of the training films whose nearest other training film shares a positive label.

    Cai et al. (2019, Table 2) print "the classification accuracy during the training phase" of networks that have no
    classifier, and do not say how it was found. **Decision**: the film is classified by its nearest neighbour among the
    training films, itself and films of its patient left out. Bits are compared by Hamming distance, and equally near
    films share the vote; real values by cosine.

    Parameters
    ----------
    codes
        float32 (n, d).
    films
        Of the codes; those of the split "train" that have a positive label count, at most 2,048 of them.
    binary
        Compare the signs.
    seed
        Of the sample.

    Returns
    -------
    float or None
        In [0, 1]; None where fewer than two training films have a label.

    Notes
    -----
    O(m^2 d) for m films, 17 MB.
    """
    labels = films.relevance()
    rows = np.flatnonzero((films.splits == "train") & labels.any(axis=1))
    if len(rows) > _MOST_FILMS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, _MOST_FILMS, replace=False))
    if len(rows) < 2:
        return None
    own, patients = labels[rows], films.patients[rows]
    same = patients[:, None] == patients
    excluded = [np.flatnonzero(row) for row in same]
    if binary:
        bits = pack_bits(codes[rows])
        found = evaluate_hamming(bits, bits, own, own, ["P@1"], excluded=excluded)["P@1"]
    else:
        unit = unit_rows(codes[rows])
        cosines = np.where(same, -np.inf, unit @ unit.T)
        nearest = np.where(same.all(axis=1), -1, cosines.argmax(axis=1))
        found = evaluate_ranking(nearest[:, None], own, own, ["P@1"], excluded=excluded)["P@1"]
    return float(np.mean(found))
