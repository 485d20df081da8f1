"""A comparison in folds: the rows of all of them as one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret.comparison.report import without_nan
from graphret.comparison.rows import MeasuredRow
from graphret.evaluation.bootstrap import patient_bootstrap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graphret._types import Int32Array
    from graphret.comparison.data_settings import DataSettings
    from graphret.comparison.experiment import IntervalSettings
    from graphret.comparison.films import ComparedFilms
    from graphret.data import ImageTable

__all__ = ["pooled_films", "pooled_rows"]


def pooled_rows(
    parts: Sequence[Sequence[MeasuredRow]],
    films: Sequence[ComparedFilms],
    data: DataSettings,
    intervals: IntervalSettings,
) -> list[MeasuredRow]:
    """Put the rows of all folds together, by their names, in the order of the first fold that has them.

    Where every fold has queries of its own, the values of all queries stand one behind the other; where the same films
    ask in every fold, each has the mean of its values. Intervals are over patients, as in one comparison. Numbers among
    the costs are means over the folds. A row that has no figures in one fold has none.

    Parameters
    ----------
    parts
        Rows of every fold.
    films
        Films of every fold.
    data, intervals
        Of the experiment.
    """
    patients = pooled_films(films, data)[0].patients
    by_fold = [{row.name: row for row in rows} for rows in parts]
    names = list(dict.fromkeys(name for rows in by_fold for name in rows))
    found = []
    for name in names:
        same = [rows.get(name) for rows in by_fold]
        measured = [row for row in same if row is not None and row.values]
        if len(measured) == len(parts):
            found.append(_pooled(measured, films, data, patients, intervals))
            continue
        reasons = [
            f"fold {number}: {'no such row' if row is None else row.error}"
            for number, row in enumerate(same, 1)
            if row is None or not row.values
        ]
        first = next(row for row in same if row is not None)
        kept = {key: getattr(first, key) for key in ("name", "method", "kind", "registered", "n_bits", "ranking")}
        found.append(MeasuredRow(**kept, error="; ".join(reasons)))
    return found


def pooled_films(films: Sequence[ComparedFilms], data: DataSettings) -> tuple[ImageTable, ImageTable, dict[str, Any]]:
    """Return the queries and the searched films of all folds, and their counts for the report.

    With queries of their own in every fold, the searched films are all films: what a list names is a row of these.
    """
    first = films[0]
    record = {**first.record, "folds": {"number": len(films), "of": data.fold_of}}
    if data.fold_of != "queries":
        return first.queries, first.database, record
    queries = first.table.select(np.concatenate([one.query_rows for one in films]))
    asked = [one.record["queries"] for one in films]
    record["queries"] = {
        **first.record["queries"],
        "n_of_the_split": sum(counts["n_of_the_split"] for counts in asked),
        "n_asked": len(queries),
        "n_patients": len(np.unique(queries.patients)),
    }
    record["folds"]["n_searched"] = [len(one.database) for one in films]
    return queries, first.table, record


def _pooled(
    rows: Sequence[MeasuredRow],
    films: Sequence[ComparedFilms],
    data: DataSettings,
    patients: Any,
    intervals: IntervalSettings,
) -> MeasuredRow:
    own = data.fold_of == "queries"
    values = {
        measure: np.concatenate([row.values[measure] for row in rows])
        if own
        else np.mean([row.values[measure] for row in rows], axis=0)
        for measure in rows[0].values
    }
    resampling = {"n_resamples": intervals.n_resamples, "seed": intervals.seed}
    chosen = [row.chosen for row in rows]
    return replace(
        rows[0],
        values=values,
        measures={
            measure: without_nan(patient_bootstrap(of_queries, patients, **resampling).to_dict())
            for measure, of_queries in values.items()
        },
        ties=None if rows[0].ties is None else _ties(rows),
        costs=_mean_of([row.costs for row in rows]),
        chosen=chosen[0] if all(one == chosen[0] for one in chosen) else {"by_fold": chosen},
        positions=_in_all_films(rows, films) if own else rows[0].positions,
        similarities=np.concatenate([np.asarray(row.similarities) for row in rows]) if own else rows[0].similarities,
    )


def _in_all_films(rows: Sequence[MeasuredRow], films: Sequence[ComparedFilms]) -> Int32Array:
    """Lists as rows of all films, for those of each fold's searched films."""
    lists = [np.asarray(row.positions) for row in rows]
    moved = [np.where(hits < 0, -1, one.database_rows[hits]) for hits, one in zip(lists, films, strict=True)]
    return np.concatenate(moved).astype(np.int32)


def _ties(rows: Sequence[MeasuredRow]) -> dict[str, float | None]:
    """Means over the queries of all folds, of the means of each."""
    found: dict[str, float | None] = {}
    for measure in rows[0].ties or {}:
        means = [(row.ties or {}).get(measure) for row in rows]
        numbers = [int(np.isfinite(row.values[measure]).sum()) for row in rows]
        known = [(mean, number) for mean, number in zip(means, numbers, strict=True) if mean is not None and number]
        total = sum(number for _, number in known)
        found[measure] = sum(mean * number for mean, number in known) / total if total else None
    return found


def _mean_of(values: Sequence[Any]) -> Any:
    """Mean of numbers, of each key of mappings; lists one behind the other; else that of the first fold.

    Examples
    --------
    >>> _mean_of([{"s": 1, "auc": {"a": 0.5}}, {"s": 3, "auc": {"a": 0.7, "b": 0.2}}])
    {'s': 2.0, 'auc': {'a': 0.6, 'b': 0.2}}
    """
    known = [value for value in values if value is not None]
    if known and all(isinstance(value, dict) for value in known):
        keys = dict.fromkeys(key for value in known for key in value)
        return {key: _mean_of([value[key] for value in known if key in value]) for key in keys}
    if known and all(isinstance(value, int | float) and not isinstance(value, bool) for value in known):
        return float(np.mean(known))
    if known and all(isinstance(value, list) for value in known):  # one entry of every training
        return [entry for value in known for entry in value]
    return known[0] if known else None
