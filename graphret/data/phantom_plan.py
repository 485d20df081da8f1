"""Who is on the generated films: patients, views, and sets of findings drawn from the real joint distribution."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from graphret.data.cards import specs_folder

if TYPE_CHECKING:
    from graphret._types import BoolArray, Float64Array, Int64Array

__all__ = ["FINDINGS", "HEALTHY_SHARE", "PERSISTENCE", "VIEWS", "FilmPlan", "label_sets", "plan_films"]

FINDINGS = (
    "Atelectasis",
    "Cardiomegaly",
    "Consolidation",
    "Edema",
    "Pneumonia",
    "Pneumothorax",
    "Effusion",
    "Infiltration",
    "Emphysema",
    "Pleural_Thickening",
    "Fibrosis",
    "Nodule",
    "Mass",
)
VIEWS = ("PA", "AP")
PA_SHARE = 0.6
"""As in ChestX-ray14: 67,310 of 112,120."""

HEALTHY_SHARE = 0.15
"""Share of films without a finding. ChestX-ray14 has 0.54; fewer here, so that 1,500 films show every finding.
Among the films that have a finding, the sets of findings come as often as they do there."""

PERSISTENCE = 0.4
"""Chance that a film shows its patient's usual set of findings instead of one drawn anew."""

_FILMS_OF_A_PATIENT = (1, 2, 3, 4, 5, 6)
_CHANCES = (0.34, 0.22, 0.16, 0.12, 0.09, 0.07)


@dataclass(frozen=True)
class FilmPlan:
    """What the films will show: patient number int64 (n,), findings bool (n, 13), is_ap bool (n,)."""

    patients: Int64Array
    findings: BoolArray
    is_ap: BoolArray


@functools.cache
def label_sets() -> tuple[BoolArray, Float64Array]:
    """Sets of findings of the real ChestX-ray14, bool (m, 13), the empty one first, and the share of films with each.

    Examples
    --------
    >>> sets, shares = label_sets()
    >>> sets.shape, round(float(shares[0]), 3)
    ((760, 13), 0.539)
    """
    sets, counts = [], []
    with (specs_folder() / "nih_label_sets.csv").open(encoding="utf-8") as file:
        for line in file:
            if line.startswith(("#", "findings,")):
                continue
            names, count = line.rsplit(",", 1)
            sets.append([finding in names.split("|") for finding in FINDINGS])
            counts.append(int(count))
    return np.array(sets), np.array(counts) / sum(counts)


def plan_films(n_films: int, seed: int) -> FilmPlan:
    """Draw patients, views and findings; the first films are the same whatever ``n_films`` is.

    O(n).
    """
    sets, shares = label_sets()
    cumulated = np.concatenate([[HEALTHY_SHARE], (1.0 - HEALTHY_SHARE) * shares[1:] / shares[1:].sum()]).cumsum()
    patients, rows = np.empty(n_films, np.int64), np.empty(n_films, np.int64)
    is_ap = np.empty(n_films, bool)
    sizes = np.cumsum(_CHANCES)
    film = patient = 0
    while film < n_films:
        draws = np.random.default_rng([seed, 0, patient]).random((1 + _FILMS_OF_A_PATIENT[-1], 3))
        usual = draws[0, 0]
        size = _FILMS_OF_A_PATIENT[int(np.searchsorted(sizes[:-1], draws[0, 1], side="right"))]
        for persist, fresh, view in draws[1 : 1 + min(size, n_films - film)]:
            place = usual if persist < PERSISTENCE else fresh
            rows[film] = np.searchsorted(cumulated[:-1], place, side="right")
            patients[film], is_ap[film] = patient, view >= PA_SHARE
            film += 1
        patient += 1
    return FilmPlan(patients, sets[rows], is_ap)
