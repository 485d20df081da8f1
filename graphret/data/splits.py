"""Splits by patient: a pure function of (seed, patient), so that no order of rows and no new film moves anybody."""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from graphret._checks import check_integer
from graphret._errors import InvalidParameterError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["SPLITS", "StrArray", "check_fractions", "patient_folds", "shared_patients", "split_by_patient"]

StrArray: TypeAlias = NDArray[np.str_]

SPLITS = ("train", "valid", "test")
BELOW_ONE = math.nextafter(1.0, 0.0)


def check_fractions(fractions: Sequence[float]) -> tuple[float, float, float]:
    """Return three shares as floats, or say that they must be >= 0 and sum to 1."""
    shares = tuple(float(share) for share in fractions)
    if len(shares) != 3 or min(shares) < 0 or not math.isclose(sum(shares), 1.0, abs_tol=1e-9):
        raise InvalidParameterError("fractions", tuple(fractions), "three shares >= 0 (train, valid, test), sum 1")
    return shares[0], shares[1], shares[2]


def split_by_patient(patients: StrArray, fractions: Sequence[float] = (0.7, 0.1, 0.2), seed: int = 0) -> StrArray:
    """Put every patient, with all of their films, into train, valid or test.

    A patient's place is ``h = blake2b(seed, patient) / 2^64`` in [0, 1), cut at the cumulated fractions. The shares
    hold in expectation, counted in patients. A split that was asked for and would stay empty gets
    the patient nearest to its interval, while another split can spare one.

    Parameters
    ----------
    patients : str (n,)
        Patient of every film.
    fractions
        Shares of train, valid and test, >= 0, sum 1.
    seed
        Another seed is another split.

    Returns
    -------
    numpy.ndarray
        str (n,), values of `SPLITS`.

    Raises
    ------
    InvalidParameterError
        Fractions or seed are not allowed.

    Notes
    -----
    O(n log n).

    Examples
    --------
    >>> split_by_patient(np.array(["ann", "bob", "ann", "cid"]), (0.5, 0.0, 0.5))
    array(['test', 'train', 'test', 'test'], dtype='<U5')
    """
    shares = check_fractions(fractions)
    seed = check_integer("seed", seed, 0)
    names, rows = np.unique(np.asarray(patients, dtype=np.str_), return_inverse=True)
    places = np.array([_place(seed, str(name)) for name in names])
    cuts = np.cumsum(shares)
    cuts[np.flatnonzero(shares)[-1] :] = 1.0  # rounding of the sum must not open a gap at the end
    chosen = np.searchsorted(cuts, places, side="right")
    for number, share in enumerate(shares):
        if share > 0 and not np.any(chosen == number):
            counts = np.bincount(chosen, minlength=3)
            spare = np.flatnonzero(counts[chosen] > 1)
            if spare.size:
                low = cuts[number] - share
                distance = np.maximum(low - places[spare], places[spare] - cuts[number])
                chosen[spare[np.argmin(distance)]] = number
    return np.array(SPLITS)[chosen][rows]


def patient_folds(patients: StrArray, n_folds: int, seed: int = 0) -> NDArray[np.int64]:
    """Deal patients, with all of their films, into folds whose numbers of patients differ by one at most.

    They are dealt in the order of ``blake2b(seed, patient)``.

    Parameters
    ----------
    patients : str (n,)
        Patient of every film.
    n_folds
        At least 2; a fold beyond the number of patients stays empty.
    seed
        Another seed is another deal.

    Returns
    -------
    numpy.ndarray
        int64 (n,), from 0 to n_folds - 1.

    Raises
    ------
    InvalidParameterError
        A number is not allowed.

    Notes
    -----
    O(n log n).

    Examples
    --------
    >>> patient_folds(np.array(["ann", "bob", "ann", "cid"]), 3)
    array([1, 0, 1, 2])
    """
    n_folds, seed = check_integer("n_folds", n_folds, 2), check_integer("seed", seed, 0)
    names, rows = np.unique(np.asarray(patients, dtype=np.str_), return_inverse=True)
    order = np.argsort(np.array([_place(seed, str(name)) for name in names]), kind="stable")
    folds = np.empty(len(names), dtype=np.int64)
    folds[order] = np.arange(len(names)) % n_folds
    return folds[rows]


def shared_patients(patients: StrArray, splits: StrArray) -> list[str]:
    """Patients with films in more than one split, sorted.

    Examples
    --------
    >>> shared_patients(np.array(["ann", "bob", "ann"]), np.array(["train", "test", "test"]))
    ['ann']
    """
    pairs = np.unique(np.stack([np.asarray(patients, np.str_), np.asarray(splits, np.str_)]), axis=1)
    names, counts = np.unique(pairs[0], return_counts=True)
    return [str(name) for name in names[counts > 1]]


def _place(seed: int, patient: str) -> float:
    digest = hashlib.blake2b(f"{seed}:{patient}".encode(), digest_size=8).digest()
    return min(int.from_bytes(digest, "big") / 2.0**64, BELOW_ONE)  # the 1024 largest would round to 1
