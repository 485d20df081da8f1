"""The rows of several seeds as one: means over seeds for every query, and the spread."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret.comparison.rows import MeasuredRow
from graphret.evaluation import patient_bootstrap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from graphret.comparison.experiment import Experiment

__all__ = ["rows_over_seeds"]

_ADDED = ("trainings",)
"""Entries of costs that are lists: those of all seeds are kept."""


def rows_over_seeds(
    by_seed: Sequence[Sequence[MeasuredRow]], seeds: Sequence[int], patients: NDArray[Any], experiment: Experiment
) -> list[MeasuredRow]:
    """Make one row of those of the same name.

    Values of a query are means over the seeds, and intervals are of these means: they say how sure the mean over these
    seeds is for other patients. ``seed_values`` keeps every seed, and ``of_seeds`` of a measure its means, whose spread
    says what another seed may bring. Costs and ties are means; lists of hits are those of the first seed. A row without
    figures for one seed has none, and says for which.

    Parameters
    ----------
    by_seed
        Rows of every seed.
    seeds
        In the same order.
    patients
        str (q,), of the queries.
    experiment
        For measures and intervals.
    """
    if len(seeds) == 1:
        return list(by_seed[0])
    tables = [{row.name: row for row in rows} for rows in by_seed]
    names = dict.fromkeys(name for table in tables for name in table)
    made = []
    for name in names:
        rows = [table.get(name) for table in tables]
        whole = [row for row in rows if row is not None and not row.error]
        if len(whole) == len(seeds):
            made.append(_mean_of(whole, patients, experiment))
        else:
            made.append(_failed(name, rows, seeds, by_seed))
    return made


def _mean_of(rows: Sequence[MeasuredRow], patients: NDArray[Any], experiment: Experiment) -> MeasuredRow:
    settings = experiment.intervals
    seed_values = {measure: np.stack([row.values[measure] for row in rows]) for measure in experiment.measures}
    values, measures = {}, {}
    for measure, of_seeds in seed_values.items():
        values[measure] = of_seeds.mean(axis=0)  # a query that is undefined for one seed is undefined
        interval = patient_bootstrap(values[measure], patients, n_resamples=settings.n_resamples, seed=settings.seed)
        measures[measure] = {**vars(interval), "of_seeds": [row.measures[measure]["mean"] for row in rows]}
    ties = None
    if all(row.ties is not None for row in rows):
        ties = {measure: _mean([(row.ties or {})[measure] for row in rows]) for measure in experiment.measures}
    return replace(
        rows[0],
        measures=measures,
        values=values,
        seed_values=seed_values,
        ties=ties,
        chosen=None if rows[0].chosen is None else {**rows[0].chosen, "of_seeds": [row.chosen for row in rows]},
        costs=_mean_costs([row.costs for row in rows]),
    )


def _mean_costs(costs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in dict.fromkeys(name for one in costs for name in one):
        entries = [one.get(name) for one in costs]
        if name in _ADDED:
            found[name] = [state for entry in entries for state in entry or []]
        elif all(isinstance(entry, dict) for entry in entries):
            found[name] = _mean_costs(entries)  # type: ignore[arg-type]  # AUC by label
        elif all(isinstance(entry, str) for entry in entries):
            found[name] = "; ".join(dict.fromkeys(entries))  # type: ignore[arg-type]  # where a training began
        else:
            found[name] = _mean(entries)
    return found


def _mean(numbers: Sequence[Any]) -> float | None:
    """None where one is None: a mean of some seeds would not be that of the others."""
    return None if any(number is None for number in numbers) else float(np.mean(numbers))


def _failed(
    name: str, rows: Sequence[MeasuredRow | None], seeds: Sequence[int], by_seed: Sequence[Sequence[MeasuredRow]]
) -> MeasuredRow:
    """A row that says for which seeds it has no figures, and why."""
    some = next(row for row in rows if row is not None)
    reasons = []
    for seed, row, of_seed in zip(seeds, rows, by_seed, strict=True):
        # a method that failed as a whole has one row, of a shorter name
        whole = next((one for one in of_seed if one.error and f"{name}, ".startswith(f"{one.name}, ")), None)
        failed = whole if row is None else row
        if failed is not None and failed.error:
            reasons.append(f"seed {seed}: {failed.error}")
    return MeasuredRow(
        name,
        some.method,
        some.kind,
        some.registered,
        some.n_bits,
        some.ranking,
        error="; ".join(reasons) or "no figures",
    )
