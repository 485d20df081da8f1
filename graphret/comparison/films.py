"""The films of a comparison: who asks, who is searched, who trains; the same for every method."""

from __future__ import annotations

import csv
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._errors import DataError, ExperimentError, GraphretError, MissingFileError
from graphret._threads import available_threads
from graphret.comparison.fold_splits import with_fold
from graphret.data import DatasetSpec, ImageTable, read_dataset, read_dataset_spec
from graphret.files import Stage, Stages, digest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from graphret._types import BoolArray, Int64Array, Progress
    from graphret.comparison.data_settings import DataSettings

__all__ = ["ComparedFilms", "prepare_films"]

ALL_VIEWS = "all"
_BLOCK = 256


@dataclass(frozen=True, eq=False)
class ComparedFilms:
    """The films of a comparison.

    Parameters
    ----------
    table
        All films that can be read: the splits "train" and "valid" train.
    database, queries
        Those that are searched, and those that ask; every query has a positive label.
    asking_split
        All films of the queries' split, those without a label too: classifiers are measured on them.
    key
        Digest of ids, labels, splits and paths.
    record
        Counts, for the report.
    whole_spec
        The experiment left out no film of the dataset spec (sampling, other splits).
    database_rows, query_rows
        int64, where those films are in ``table``.
    """

    table: ImageTable
    database: ImageTable
    queries: ImageTable
    asking_split: ImageTable
    key: str
    record: dict[str, Any]
    whole_spec: bool
    database_rows: Int64Array
    query_rows: Int64Array


def prepare_films(
    data: DataSettings, out: Path, progress: Progress | None = None, fold: int | None = None
) -> ComparedFilms:
    """Read the data set, leave out what cannot be read, and choose who asks and who is searched.

    Every film is decoded once (the outcome is kept in ``out``), because a film that one method can use and another
    cannot would be searched by one alone. With ``fold`` the splits are those of that fold, from 0.

    Raises
    ------
    UnknownNameError, MissingFileError, DataError
        As `read_dataset`; or a split is empty.
    """
    if not data.spec or not data.root:
        missing = "spec" if not data.spec else "root"
        raise ExperimentError(f"data.{missing} is not given: write it into the experiment, or give it with the call")
    spec = _spec_of(data)
    whole = read_dataset(spec, data.root)
    if fold is not None:
        whole = with_fold(whole, data, fold)
    readable, n_unreadable = _readable(whole, Stages(out), progress)
    table = whole.select(readable)
    asks = (table.splits == data.queries) & table.relevance().any(axis=1)
    searched = np.isin(table.splits, data.database)
    for name, mask in (("data.queries", asks), ("data.database", searched)):
        if not mask.any():
            counts = ", ".join(f"{split} {int((table.splits == split).sum())}" for split in ("train", "valid", "test"))
            raise DataError(f"{name}: no film with a label is in the split asked for: the data set has {counts}")
    n_asking = int((table.splits == data.queries).sum())
    asks = _sample(asks, data.n_queries, [data.seed, 1])
    searched = _sample(searched, data.n_database, [data.seed, 2])
    twins = _near_duplicates(data.near_duplicates, table, asks)
    n_twins = int((twins & searched).sum())
    searched &= ~twins
    database, queries = table.select(searched), table.select(asks)
    record = {
        "spec": spec.name,
        "views": list(spec.views) or ALL_VIEWS,
        "title": spec.title,
        "labels": list(table.label_names),
        "films": {split: int((table.splits == split).sum()) for split in ("train", "valid", "test")},
        "patients": {
            split: len(np.unique(table.patients[table.splits == split])) for split in ("train", "valid", "test")
        },
        "queries": {
            "split": data.queries,
            "n_of_the_split": n_asking,
            "n_asked": len(queries),
            "n_patients": len(np.unique(queries.patients)),
        },
        "database": {
            "splits": list(data.database),
            "n_films": len(database),
            "n_patients": len(np.unique(database.patients)),
            "positives": dict(zip(table.label_names, database.relevance().sum(axis=0).tolist(), strict=True)),
        },
        "left_out": {
            "missing or empty": whole.n_left_out,
            "not readable": n_unreadable,
            "near duplicates of a query": n_twins,
        },
        "excluded": data.exclude,
        "digest": digest(queries.ids, queries.patients, database.ids, database.labels, queries.labels),
    }
    key = digest(table.ids, table.paths, table.labels, table.splits, table.patients, database.ids, queries.ids)
    complete = not (data.n_queries or data.n_database or n_unreadable or whole.n_left_out)
    rows = np.flatnonzero(searched), np.flatnonzero(asks)
    return ComparedFilms(table, database, queries, table.split(data.queries), key, record, complete, *rows)


def _spec_of(data: DataSettings) -> DatasetSpec:
    spec = read_dataset_spec(data.spec)
    splits = spec.splits
    if data.fractions:
        splits = replace(splits, fractions=data.fractions)
    if data.split_seed >= 0:
        splits = replace(splits, seed=data.split_seed)
    views = spec.views if not data.views else () if data.views == (ALL_VIEWS,) else data.views
    return replace(spec, splits=splits, views=views)


def _readable(table: ImageTable, stages: Stages, progress: Progress | None) -> tuple[BoolArray, int]:
    """Decode every film once; True where it can be used."""
    key = digest(table.ids, table.paths)
    done = stages.load("readable", key)
    if done is None:
        kept = np.zeros(len(table), dtype=np.bool_)
        first = ""
        with ThreadPoolExecutor(available_threads(), thread_name_prefix="graphret-read") as pool:
            for start in range(0, len(table), _BLOCK):
                rows = range(start, min(start + _BLOCK, len(table)))
                for row, problem in zip(rows, pool.map(lambda row: _problem(table, row), rows), strict=True):
                    kept[row] = not problem
                    first = first or problem
                if progress is not None:
                    progress("look at films", rows.stop, len(table))
        done = Stage({"n_unreadable": int((~kept).sum()), "first": first}, {"readable": kept})
        stages.save("readable", key, *done)
    record, arrays = done
    if not arrays["readable"].any():
        raise DataError(f"no film of {table.root} can be read; first: {record['first']}")
    return arrays["readable"], int(record["n_unreadable"])


def _problem(table: ImageTable, row: int) -> str:
    try:
        table.read_pixels(row)
    except GraphretError as error:
        return str(error)
    return ""


def _sample(mask: BoolArray, at_most: int, seed: list[int]) -> BoolArray:
    rows = np.flatnonzero(mask)
    if not at_most or len(rows) <= at_most:
        return mask
    kept = np.zeros_like(mask)
    kept[np.random.default_rng(seed).choice(rows, at_most, replace=False)] = True
    return kept


def _near_duplicates(file: str, table: ImageTable, asks: NDArray[np.bool_]) -> BoolArray:
    """Films that are nearly the same as a query, by a list of pairs."""
    twins = np.zeros(len(table), dtype=np.bool_)
    if not file:
        return twins
    path = Path(file)
    if not path.is_file():
        raise MissingFileError(path, "list of near duplicates", "a CSV file with the columns file_a and file_b")
    row_of = {Path(film).resolve(): row for row, film in enumerate(table.paths.tolist())}
    with path.open(encoding="utf-8", newline="") as lines:
        for line in csv.DictReader(lines):
            try:
                ends = [row_of.get((path.parent / line[name]).resolve()) for name in ("file_a", "file_b")]
            except KeyError as error:
                raise DataError(
                    f"the list of near duplicates {path} has no column {error}: give file_a and file_b"
                ) from error
            for here, there in (ends, ends[::-1]):
                if here is not None and there is not None and asks[there]:
                    twins[here] = True
    return twins
