"""Tables of films are joined: labels by name, columns of both, and what is not known of a film left empty."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._errors import InvalidParameterError
from graphret.data.columns import is_text, text_column

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from graphret._types import Int64Array
    from graphret.data import FilmProblem, ImageTable

__all__ = ["check_label_names", "completed", "joined_films", "joined_problems"]

_LARGEST_EXACT = 2**53


def check_label_names(old: ImageTable, new: ImageTable) -> None:
    """Refuse labels that the index does not have: of the films that are there nobody knows them.

    Raises
    ------
    InvalidParameterError
        A label that is new.
    """
    unknown = [name for name in new.label_names if name not in old.label_names]
    if unknown:
        known = ", ".join(old.label_names[:10]) or "none"
        hint = "update_labels(..., add_labels=True) gives the index a label first, or build it anew"
        raise InvalidParameterError("labels", unknown[0], f"labels of the index ({known})", hint)


def joined_films(old: ImageTable, new: ImageTable) -> ImageTable:
    """Put the films of ``new`` behind those of ``old``; what only one of them knows is empty for the other's films.

    A label that ``new`` does not name is no finding of its films. A column of whole numbers or truth values that one of
    them lacks becomes floats, with NaN.
    """
    if not len(new):
        return replace(old, problems=joined_problems(old.problems, new.problems))
    joined: dict[str, Any] = {
        name: np.concatenate([getattr(old, name), getattr(new, name)])
        for name in ("ids", "paths", "patients", "views", "splits")
    }
    labels = np.zeros((len(old) + len(new), len(old.label_names)), np.int8)
    labels[: len(old)] = old.labels
    for place, name in enumerate(old.label_names):
        if name in new.label_names:
            labels[len(old) :, place] = new.labels[:, new.label_names.index(name)]
    names = dict.fromkeys([*old.columns, *new.columns])
    columns = {name: _joined(old.columns.get(name), new.columns.get(name), len(old), len(new)) for name in names}
    return replace(old, **joined, labels=labels, columns=columns, problems=joined_problems(old.problems, new.problems))


def joined_problems(old: Iterable[FilmProblem], new: Iterable[FilmProblem]) -> tuple[FilmProblem, ...]:
    """Put problems together; of two about the same film the newer one stays."""
    return tuple({(problem.id, problem.path): problem for problem in (*old, *new)}.values())


def completed(films: ImageTable, old: ImageTable, rows: Int64Array) -> ImageTable:
    """Give films that replace others what is known of those, where their own table says nothing.

    Parameters
    ----------
    films
        m films.
    old
        The table of the index.
    rows
        int64 (m,): the row of each film in ``old``.
    """
    before = old.select(rows)
    own_patient = films.patients == films.ids
    changed: dict[str, Any] = {
        "patients": np.where(own_patient, before.patients, films.patients),
        "views": np.where(films.views == "", before.views, films.views),
        "splits": before.splits,
        "columns": {**before.columns, **films.columns},
    }
    if not films.label_names:
        changed |= {"labels": before.labels, "label_names": before.label_names}
    return replace(films, **changed)


def _joined(old: NDArray[Any] | None, new: NDArray[Any] | None, n_old: int, n_new: int) -> NDArray[Any]:
    if old is None and new is not None:
        new = _with_empty(new)
        old = _empty_like(new, n_old)
    elif new is None and old is not None:
        old = _with_empty(old)
        new = _empty_like(old, n_new)
    values = [*_listed(old), *_listed(new)]
    if any(isinstance(value, str) for value in values):
        return text_column([str(value) for value in values])
    return np.array(values)


def _listed(values: NDArray[Any] | None) -> list[Any]:
    return [] if values is None else values.tolist()


def _empty_like(values: NDArray[Any], n: int) -> NDArray[Any]:
    return np.full(n, "") if is_text(values) else np.full(n, np.nan)


def _with_empty(values: NDArray[Any]) -> NDArray[Any]:
    """Return a column as a dtype that has a word for "not known"."""
    if is_text(values) or values.dtype.kind == "f":
        return values
    if values.dtype.kind == "b" or not values.size or np.abs(values.astype(object)).max() <= _LARGEST_EXACT:
        return values.astype(np.float64)
    return text_column([str(value) for value in values.tolist()])
