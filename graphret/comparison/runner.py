"""Run a comparison: every method, every length of code, every ranking; what is finished is not done again."""

from __future__ import annotations

import logging
import platform
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from graphret._errors import ExperimentError
from graphret._threads import available_threads
from graphret._version import __version__
from graphret.comparison.answers import answer_questions
from graphret.comparison.costs_alone import REPLACED, CostRun
from graphret.comparison.defaults import changed, default_experiment
from graphret.comparison.experiment import Experiment, names_a_row
from graphret.comparison.experiment_file import read_experiment
from graphret.comparison.films import prepare_films
from graphret.comparison.folds import pooled_films, pooled_rows
from graphret.comparison.published import read_published, why_other_images
from graphret.comparison.query_values import gather_values
from graphret.comparison.question_pairs import AskedReport, set_name
from graphret.comparison.report import Comparison
from graphret.comparison.representation import Representations
from graphret.comparison.rows import MeasuredRow, RowMaker, failed_row
from graphret.comparison.seeds import rows_over_seeds
from graphret.comparison.significance import differences_from, rankings_of_the_same_codes, tested_orders
from graphret.comparison.templates import list_templates, read_template
from graphret.files import make_folder, writer_lock

if TYPE_CHECKING:
    import os
    from typing import Any

    from graphret._types import Progress
    from graphret.comparison.experiment import MethodSettings
    from graphret.comparison.films import ComparedFilms

__all__ = ["compare", "open_experiment"]

logger = logging.getLogger(__name__)


def open_experiment(source: str | os.PathLike[str] | Experiment | None) -> Experiment:
    """Open an experiment: a file, the name of a template, one in memory, or the default for None.

    Raises
    ------
    MissingFileError, ExperimentError
        As `read_experiment`.
    """
    if source is None:
        return default_experiment()
    if isinstance(source, Experiment):
        return source
    if str(source) in list_templates():
        return read_template(str(source))
    return read_experiment(Path(source))


def prepared(experiment: Experiment) -> Experiment:
    """Put what holds for the films' dataset spec alone over the rest (``training_of_spec``, ``options_of_spec``)."""
    spec = experiment.data.spec
    methods = tuple(
        replace(method, options={**method.options, **method.options_of_spec[spec]})
        if spec in method.options_of_spec
        else method
        for method in experiment.methods
    )
    training = {**experiment.training, **experiment.training_of_spec.get(spec, {})}
    return replace(experiment, methods=methods, training=training)


def compare(
    spec: str = "",
    root: str | os.PathLike[str] = "",
    *,
    out: str | os.PathLike[str],
    experiment: str | os.PathLike[str] | Experiment | None = None,
    costs: bool = False,
    progress: Progress | None = None,
) -> Comparison:
    """Compare the graph engine and hashing on the same films.

    Every method of the experiment is trained within the same budget, encodes the same films and is asked by the same
    queries; every row is measured as `graphret.evaluate` measures. A method that fails becomes a row that says why.
    Whatever is finished is kept in ``out`` under the digest of what decides it: a comparison that is killed goes on
    when it is called again, and a changed experiment does only what is new.

    Parameters
    ----------
    spec, root
        Data set, as for `read_dataset`; "" leaves what the experiment says.
    out
        Folder for everything: encoders, codes, figures, and the report.
    experiment
        File, name of a template (`list_templates`), an `Experiment`; the default compares the encoder of the engine,
        the four hash encoders of the papers, every hasher on the engine's codes, an untrained encoder and random codes.
    costs
        When all rows are there, measure what each of them costs, one after the other (`CostRun`), and report these
        costs in the place of those that were taken meanwhile. A later call on the same machine reports them too.
    progress
        Called as ``progress(stage, done, total)``.

    Returns
    -------
    Comparison
        Rows, differences and description; `Comparison.save` writes the report. Equal for equal films, experiment and
        seed, apart from times, where no training was ended by its minutes.

    Raises
    ------
    ExperimentError
        The experiment is not valid, or its reference is no row.
    UnknownNameError, MissingFileError, DataError
        The data set cannot be read.
    ExperimentError
        ``costs`` are asked for in folds.
    IndexLockedError
        Another process works in ``out``.
    """
    settings = prepared(changed(open_experiment(experiment), spec=str(spec), root=str(root)))
    tables = [read_published(name) for name in settings.published]
    began = time.monotonic()
    home = make_folder(out)
    data = settings.data
    if costs and data.folds:
        raise ExperimentError(f"data.folds = {data.folds}: costs are measured without folds: leave one of both out")
    with writer_lock(home):
        seeds = settings.seeds or (settings.seed,)
        by_seed = []
        for seed in seeds:
            of_seed = replace(settings, seed=seed, seeds=())
            parts = [_compared(of_seed, home, fold, progress) for fold in (range(data.folds) if data.folds else [None])]
            films, rows = parts[0]
            queries, database, record = films.queries, films.database, films.record
            if data.folds:
                of_folds = [one for one, _ in parts]
                queries, database, record = pooled_films(of_folds, data)
                rows = pooled_rows([found for _, found in parts], of_folds, data, settings.intervals)
            by_seed.append(rows)
        costs_of: dict[str, Any] = {"alone": False}
        if not data.folds:
            first = replace(settings, seed=seeds[0], seeds=())
            by_seed, costs_of = _with_costs(by_seed, first, films, home, costs, progress)
    patients, intervals = queries.patients, settings.intervals
    rows = rows_over_seeds(by_seed, seeds, patients, settings)
    reference = _reference(settings, rows)
    comparison = Comparison(
        experiment=settings,
        rows=tuple(rows),
        reference=None if reference is None else reference.name,
        differences={} if reference is None else differences_from(rows, reference, patients, intervals),
        same_codes=rankings_of_the_same_codes(rows, patients, intervals),
        orders=tested_orders(settings.orders, rows, patients, intervals),
        films=record,
        published=[
            table.to_dict(films.table.spec, settings.data.size, why_other_images(table, films)) for table in tables
        ],
        machine={
            "graphret": __version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
            "processors": available_threads(),
            "seconds_of_this_call": round(time.monotonic() - began, 1),
        },
        queries=queries,
        database=database,
    )
    comparison = replace(comparison, costs_of=costs_of)
    if not settings.questions:
        return comparison
    document = comparison.to_dict()
    asked = AskedReport(set_name(document), document, gather_values(rows, patients.tolist(), seeds))
    answers = answer_questions(settings.questions, settings.orders, [asked], intervals, settings.measures[0])
    return replace(comparison, answers=answers)


def _with_costs(
    by_seed: list[list[MeasuredRow]],
    settings: Experiment,
    films: ComparedFilms,
    home: Path,
    measure: bool,
    progress: Progress | None,
) -> tuple[list[list[MeasuredRow]], dict[str, Any]]:
    """Put in the costs that were measured alone, for the first seed; those of other seeds are the same."""
    representations = Representations(settings, films, home, progress)
    maker = RowMaker(settings, films, progress)
    run = CostRun(home, representations, maker, progress)
    first, record = run.measure(by_seed[0]) if measure else run.known(by_seed[0])
    if not record["alone"]:
        return by_seed, record
    costs = {row.name: {name: row.costs[name] for name in REPLACED} for row in first if row.values}
    others = [
        [replace(row, costs={**row.costs, **costs.get(row.name, {})}) for row in of_seed] for of_seed in by_seed[1:]
    ]
    return [first, *others], record


def _compared(
    settings: Experiment, home: Path, fold: int | None, progress: Progress | None
) -> tuple[ComparedFilms, list[MeasuredRow]]:
    """The films and rows of one comparison, or of one fold of it."""
    films = prepare_films(settings.data, home, progress, fold)
    if fold is not None:
        logger.info("fold %d of %d", fold + 1, settings.data.folds)
        home = make_folder(home / f"fold-{fold + 1}")
    representations = Representations(settings, films, home, progress)
    maker = RowMaker(settings, films, progress)
    return films, [row for method in settings.methods for row in _rows_of(method, representations, maker)]


def _rows_of(method: MethodSettings, representations: Representations, maker: RowMaker) -> list[MeasuredRow]:
    """All rows of a method; whatever goes wrong with it is said in a row."""
    try:
        lengths = representations.lengths(method)
    except Exception as error:  # noqa: BLE001 - the other methods go on
        return [_failed(method, None, "", error)]
    rows = []
    for n_bits in lengths:
        logger.info("%s%s", method.label, "" if n_bits is None else f", {n_bits} bits")
        try:
            made = representations.make(method, n_bits)
        except Exception as error:  # noqa: BLE001
            rows.append(_failed(method, n_bits, "", error))
            continue
        for ranking in maker.rankings(method, n_bits):
            try:
                rows.append(maker.make(made, ranking))
            except Exception as error:  # noqa: BLE001
                rows.append(_failed(method, n_bits, ranking, error))
        maker.clear(made.stages.folder)
        representations.forget(method, n_bits)
    return rows


def _failed(method: MethodSettings, n_bits: int | None, ranking: str, error: Exception) -> MeasuredRow:
    row = failed_row(method, n_bits, ranking, error)
    logger.warning("%s: no figures: %s", row.name, row.error)
    return row


def _reference(settings: Experiment, rows: list[MeasuredRow]) -> MeasuredRow | None:
    """The row that the others are compared with."""
    measured = [row for row in rows if row.values]
    wanted = settings.reference
    if not wanted:
        return measured[0] if measured else None
    for row in measured:
        if wanted in {row.name, row.method}:
            return row
    if any(names_a_row(wanted, [row.name]) or wanted == row.method for row in rows):
        return None  # it failed, and its row, which may have no ranking then, says why
    raise ExperimentError(f"reference = {wanted!r} is not allowed: give one of {'; '.join(row.name for row in rows)}")
