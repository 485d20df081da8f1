"""``where`` and ``exclude`` of a query, as a mask over the archive and as forbidden films of each query."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._errors import InvalidParameterError
from graphret.index.conditions import as_list, column_values, films_that_pass

if TYPE_CHECKING:
    from graphret._types import BoolArray, Int32Array
    from graphret.index.lookup import FilmLookup
    from graphret.index.query_input import Queries

__all__ = ["PATIENTS_ARE_NAMED", "allowed_films", "forbidden_films", "unknown_patients"]

SAME_PATIENT = "patient"
PATIENTS_ARE_NAMED = (
    "patients are named as the column patient of the films says; with DICOM those are pseudonyms: "
    "graphret.data.pseudonyms.pseudonym(PATIENT_ID) gives one"
)


def allowed_films(lookup: FilmLookup, where: Any) -> BoolArray | None:
    """Return the mask of the films that pass every column's filter, or None without a filter.

    Parameters
    ----------
    lookup
        The archive.
    where
        Column -> what a film must have there, see `conditions.films_that_pass`; or None.

    Raises
    ------
    InvalidParameterError
        No mapping, or a condition that is not allowed or that no film meets. That no film meets all conditions together
        is no error.
    """
    if where is None:
        return None
    if not isinstance(where, Mapping):
        raise InvalidParameterError("where", where, 'a mapping of columns to values, as {"view": "PA"}')
    mask = np.ones(len(lookup.films), dtype=np.bool_)
    for column, given in where.items():
        mask &= films_that_pass(lookup, column, given)
    return mask


def forbidden_films(lookup: FilmLookup, queries: Queries, exclude: Any, patients: Any) -> list[Int32Array] | None:
    """Return, for each query, the films that it may not get, or None where all may get any film.

    A query by id never gets itself.

    Parameters
    ----------
    lookup
        The archive.
    queries
        As recognised.
    exclude
        ``"patient"``: the films of each query's own patient. Or column -> values: a single value or a set holds for
        all queries; a list holds, for a lone query, its values, and for a batch one entry for each query, itself
        a value, a list of values, or None.
    patients
        The patient of each query (a text for a lone one), for those that are no films of the archive.

    Raises
    ------
    InvalidParameterError
        Another form, an unknown column, a list of another length, or a query whose patient is not known.
    """
    lists: list[list[Int32Array]] = [[] for _ in range(len(queries))]
    for entries, row in zip(lists, queries.ids.tolist(), strict=True):
        if row >= 0:
            entries.append(np.array([row], dtype=np.int32))
    if patients is not None and exclude != SAME_PATIENT:
        raise InvalidParameterError("patients", patients, 'None, or also exclude="patient"', "nothing else uses it")
    if isinstance(exclude, str) and exclude == SAME_PATIENT:
        exclude = {"patient": [[value] for value in _own_patients(lookup, queries, patients)]}
    elif exclude is not None and not isinstance(exclude, Mapping):
        allowed = '"patient" (each query\'s own) or a mapping, as {"patient": "1234"}'
        raise InvalidParameterError("exclude", exclude, allowed)
    for column, given in (exclude or {}).items():
        name = f"exclude[{column!r}]"
        for entries, values in zip(lists, _per_query(name, given, queries), strict=True):
            checked = column_values(lookup, name, column, values)
            if checked:
                entries.append(lookup.rows(column, checked))
    if not any(lists):
        return None
    return [np.unique(np.concatenate([*entries, np.empty(0, np.int32)])).astype(np.int32) for entries in lists]


def unknown_patients(lookup: FilmLookup, patients: Any) -> list[str]:
    """Return those of the patients of queries of whom the index has no film, each as often as it was given."""
    given = [] if patients is None else [patients] if isinstance(patients, str) else list(patients)
    return [patient for patient in given if patient is not None and not len(lookup.rows("patient", [patient]))]


def _own_patients(lookup: FilmLookup, queries: Queries, patients: Any) -> list[str]:
    """The patient of each query: as given, else that of the film of the archive that the query is."""
    given: list[Any] = [None] * len(queries)
    if patients is not None:
        given = [patients] if isinstance(patients, str) else list(patients)
        if len(given) != len(queries):
            raise InvalidParameterError("patients", patients, f"{len(queries)} patients, one for each query")
    own = []
    for number, (patient, row) in enumerate(zip(given, queries.known.tolist(), strict=True)):
        if patient is None and row < 0:
            name = queries.names[number] or f"query {number}"
            raise InvalidParameterError(
                "exclude", SAME_PATIENT, "patients=[...] as well", f"the patient of {name} is not known to the index"
            )
        own.append(str(lookup.films.patients[row]) if patient is None else patient)
    return own


def _per_query(name: str, given: Any, queries: Queries) -> list[list[Any]]:
    """Spread what was given for one column over the queries."""
    if not isinstance(given, list | tuple | np.ndarray):
        return [as_list(given)] * len(queries)
    entries = list(given)
    nested = any(isinstance(entry, list | tuple | set | frozenset | np.ndarray) for entry in entries)
    if queries.is_single and not nested:
        return [entries]
    if len(entries) != len(queries):
        raise InvalidParameterError(
            name,
            given,
            f"a list of {len(queries)} entries, one for each query",
            "a set of values holds for all queries",
        )
    return [[] if entry is None else as_list(entry) for entry in entries]
