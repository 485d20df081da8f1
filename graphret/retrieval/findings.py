"""The findings of an archive's films, for rankings that say that they read them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._errors import InvalidParameterError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from graphret._types import Float64Array, Int32Array, Int64Array

__all__ = ["Findings"]


@dataclass(frozen=True, eq=False)
class Findings:
    """What the reports of an archive say of its films.

    Parameters
    ----------
    labels
        bool or int8 (n, L): 1 present, 0 absent, -1 unknown (an uncertain label counts as unknown).
    names
        Of the L findings.
    patients
        (n,), whom each film belongs to: films of one patient never vouch for each other. ``None``: every film has a
        patient of its own.

    Raises
    ------
    InvalidParameterError
        Other values, other shapes, or no film with any finding.

    Examples
    --------
    >>> findings = Findings(np.array([[1, 0], [0, -1], [0, 1]]), ("Edema", "Mass"))
    >>> findings.prevalence.tolist()
    [0.375, 0.5]
    """

    labels: NDArray[np.int8]
    names: tuple[str, ...]
    patients: NDArray[Any] | None = None

    def __post_init__(self) -> None:
        given = np.asarray(self.labels)
        if given.ndim != 2 or not np.isin(given, (-1, 0, 1)).all():
            allowed = "(n, L) values: 1 present, 0 absent, -1 unknown"
            raise InvalidParameterError("labels", f"{given.dtype} {given.shape}", allowed)
        if not (given == 1).any():
            hint = "without one there is nothing to estimate: use a ranking that reads no labels"
            raise InvalidParameterError("labels", "no film with a finding", "at least one label that is 1", hint)
        if len(self.names) != given.shape[1]:
            raise InvalidParameterError("names", f"{len(self.names)} names", f"one for each of {given.shape[1]} labels")
        if self.patients is not None and len(self.patients) != len(given):
            raise InvalidParameterError(
                "patients", f"{len(self.patients)} patients", f"one for each of {len(given)} films"
            )
        object.__setattr__(self, "labels", np.ascontiguousarray(given, dtype=np.int8))

    def __len__(self) -> int:
        return int(self.labels.shape[0])

    @cached_property
    def prevalence(self) -> Float64Array:
        """Share of the films with each finding among those where it is known, float64 (L,), between 0 and 1.

        Half a film is added on either side (Jeffreys' estimate), so that nothing is impossible and nothing is certain.
        """
        present = (self.labels == 1).sum(axis=0)
        shares: Float64Array = (present + 0.5) / ((self.labels >= 0).sum(axis=0) + 1.0)
        return shares

    def films_of_the_same_patient(self, films: Int64Array) -> list[Int32Array]:
        """For each of some films all those of its patient, itself among them; O(n log n)."""
        if self.patients is None:
            return list(films.astype(np.int32)[:, None])
        order = np.argsort(self.patients, kind="stable")
        ordered = np.asarray(self.patients)[order]
        wanted = np.asarray(self.patients)[films]
        first, last = np.searchsorted(ordered, wanted, "left"), np.searchsorted(ordered, wanted, "right")
        return [order[start:stop].astype(np.int32) for start, stop in zip(first, last, strict=True)]
