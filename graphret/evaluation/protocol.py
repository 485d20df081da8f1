"""The one way in which graphret measures a ranking: held-out queries, excluded patients, intervals, chance level."""

from __future__ import annotations

import platform
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._checks import check_integer
from graphret._errors import InvalidParameterError, UnknownNameError
from graphret._version import __version__
from graphret.encoding import NO_COSINE
from graphret.evaluation.asking import ask_all
from graphret.evaluation.baselines import BASELINES
from graphret.evaluation.judgements import resolve_judgements
from graphret.evaluation.judging import Answers, Judge, PairJudge
from graphret.evaluation.measures import check_judged_measures, largest_k
from graphret.evaluation.queries import QuerySet, judged_queries, resolve_queries, rows_with_same
from graphret.evaluation.report import Report
from graphret.index import as_index
from graphret.neighbors.device_search import check_search_device
from graphret.retrieval import RankingChoice, parse_rankings
from graphret.retrieval.choice import TUNED

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from graphret._types import BoolArray, Int64Array, Progress
    from graphret.data import ImageTable
    from graphret.evaluation.judgements import Judgements
    from graphret.index import Index

__all__ = ["evaluate"]

MEASURES = ("P@10", "ACG@10", "nDCG@100", "mAP@100")
JUDGED_MEASURES = ("P@10", "nDCG@100", "mAP@100")


def evaluate(
    index: Index | str | os.PathLike[str],
    queries: str | ImageTable | tuple[Any, ...] | None = None,
    *,
    judgements: str | os.PathLike[str] | Mapping[str, Mapping[str, int]] | None = None,
    measures: Sequence[str] | None = None,
    rankings: str | RankingChoice | Sequence[str | RankingChoice] | None = None,
    exclude: str | None = "patient",
    baselines: Sequence[str] = ("random",),
    reference: str | RankingChoice | None = None,
    k: int | None = None,
    n_resamples: int = 2000,
    seed: int = 0,
    device: str | None = None,
    progress: Progress | None = None,
) -> Report:
    """Measure how well rankings of an index find films that share findings with the queries.

    Queries without a positive label, and films that cannot be read or have no code, are left out and counted. Uncertain
    labels count as positive. Means are over queries; intervals are 95 % bootstrap intervals over patients.

    Parameters
    ----------
    index
        The archive that is searched, or its folder.
    queries
        The name of a split, a table of films, or codes float32 (q, d) with what is known of them: ``(codes, table)``,
        ``(codes, labels)`` or ``(codes, labels, patients)``, labels in any form that `build` takes. Without patients no
        film is left out for its patient. Films of the archive that belong to
        the split are searched in the films of all its other splits; the report then says that the queries are part of
        the graph (transductive). Otherwise the split is read from the data set that the index was built from. None:
        "test", or those of the judgements.
    judgements
        What people judged, in the place of labels: a file of TREC judgements (qrels), a list of `graphret serve` as
        CSV, or for every query the grades of films, 0 not relevant. Their queries, films of the archive, ask the whole
        archive. A film that nobody judged for a query has grade 0 (``judged_share`` says how many hits were judged).
        Queries that are no films of the archive, or without a relevant film, are left out and counted.
    measures
        None: P@10, ACG@10, nDCG@100 and mAP@100; with judgements all of them but ACG@10, which counts labels.
        See `list_measures`; and of columns of the films "gap@K:column=NAME" and "P@K:column=NAME", see `column_scores`.
    rankings
        Names from ``graphret.list_rankings()``, perhaps with options ("alpha_qe:n=20,alpha=2"), "NAME:default",
        "tuned", or `RankingChoice`; each means what it means in ``Index.query``. A text may hold several with commas
        between them. None: what the index was tuned to, or "nearest". Rows are named by the text form of what was
        ranked with. "tuned" beside the ranking that it stands for is one row, found by both names.
    exclude
        ``"patient"`` leaves the films of the query's own patient out of its hits, and out of what there was to find.
        A query that is itself a film of the archive (the same id) never gets itself, also with None.
    baselines
        Rows beside the rankings: ``"random"``, films drawn by ``seed``, is the level of chance.
    reference
        The ranking that the others are compared with, query by query; ``"nearest"`` if it is among them. None that uses
        the archive's labels at query time: the report shows such rankings apart.
    k
        Hits per query, at least the largest K of ``measures`` (the default).
    n_resamples, seed
        Of the bootstrap; ``seed`` also draws the random baseline and the rows of the contact sheet.
    device
        As in ``Index.query``: where queries are compared with every code, to the figures of ``search="exact"``.
    progress
        Called as ``progress(stage, done, total)``.

    Returns
    -------
    Report
        Equal for equal index, queries and seed, apart from the times.

    Raises
    ------
    InvalidParameterError
        A value is not allowed, no query has a positive label, a ranking returned an excluded film, or a judged film is
        not in the archive.
    UnknownNameError
        An unknown measure, ranking, baseline, reference, exclusion or device.
    DeviceError, MissingDependencyError
        The device is not there, fails, or torch is not there.
    MissingFileError, DataError
        The file of judgements is not there, or one of its lines is none.

    Notes
    -----
    The time is that of the queries; the measures take O(q K + q u L) for u distinct label rows of the archive.
    """
    index = as_index(index)
    if judgements is not None and queries is not None:
        hint = "judgements name their queries"
        raise InvalidParameterError("queries", queries, "None beside judgements", hint)
    default = MEASURES if judgements is None else JUDGED_MEASURES
    names = _names("measures", default if measures is None else measures)
    if judgements is not None:
        check_judged_measures(names)
    depth = _depth(k, names)
    if exclude not in {None, "patient"}:
        raise UnknownNameError("exclude", exclude, ["patient"], "or None")
    check_integer("n_resamples", n_resamples, 1)
    check_integer("seed", seed, 0)
    check_search_device(device)  # before films are encoded
    rows = _rows(index, rankings)
    chance = _names("baselines", baselines)
    for name in chance:
        if name not in BASELINES:
            raise UnknownNameError("baselines", name, BASELINES)
    against = _reference(index, reference, rows)

    judged = None if judgements is None else resolve_judgements(index, judgements)
    if judged is None:
        given = resolve_queries(index, "test" if queries is None else queries, progress)
        asked = _with_a_finding(given)
    else:
        given = asked = judged_queries(index, judged)
    excluded, exclude_by = _exclusions(index, asked, exclude)
    about = (index.films, asked, excluded, names, depth, n_resamples, seed)
    judge = Judge(*about) if judged is None else PairJudge(judged, *about)
    scored = [
        judge.score(
            str(choice), ask_all(index, asked, depth, choice, exclude_by, device, progress), choice=choice, asked=named
        )
        for named, choice in rows.items()
    ]
    for name in chance:
        hits = BASELINES[name](
            len(index.films), len(asked.films), depth, allowed=asked.allowed, excluded=excluded, seed=seed
        )
        scored.append(judge.score(name, Answers(hits)))

    return Report(
        rankings=tuple(scored),
        reference=against,
        differences=judge.differences(scored, against),
        description=_describe(index, given, asked, excluded, exclude, judged)
        | {"settings": {"measures": names, "k": depth, "n_resamples": n_resamples, "level": 0.95, "seed": seed}},
        queries=asked.films,
        archive=index.films,
        excluded=excluded,
        allowed=asked.allowed,
        judgements=judged,
    )


def _names(parameter: str, given: str | Sequence[str]) -> list[str]:
    names = [given] if isinstance(given, str) else list(given)
    twice = [name for name in names if names.count(name) > 1]
    if twice or (not names and parameter != "baselines"):
        raise InvalidParameterError(parameter, names, "at least one name, each once")
    return names


def _depth(k: int | None, measures: list[str]) -> int:
    needed = largest_k(measures)
    if k is None:
        return needed
    return check_integer("k", k, needed, "the largest K of the measures, so that each has enough hits")


def _rows(
    index: Index, rankings: str | RankingChoice | Sequence[str | RankingChoice] | None
) -> dict[str, RankingChoice]:
    """What each row ranks with, by how it was asked for."""
    if rankings is None:
        choice = index.choose()
        return {str(choice): choice}
    if isinstance(rankings, str):
        given = parse_rankings(rankings)
    else:
        entries = [rankings] if isinstance(rankings, RankingChoice) else list(rankings)
        given = [RankingChoice.of(entry) for entry in entries]
    if not given:
        raise InvalidParameterError("rankings", rankings, "at least one ranking")
    rows: dict[str, RankingChoice] = {}
    for entry in given:
        choice = index.choose(entry)
        same = next((named for named, before in rows.items() if before.key == choice.key), None)
        if same is None:
            rows[str(entry)] = choice
        elif TUNED in {same, str(entry)}:  # what an archive chose may be what it stands beside
            rows = {TUNED if named == same else named: before for named, before in rows.items()}
        else:
            both = f"{same} and {entry}"
            hint = f"{choice.name}:default has the ranking's own options, whatever the index was tuned to"
            raise InvalidParameterError("rankings", both, f"each once: both are {choice} here", hint)
    return rows


def _reference(index: Index, reference: str | RankingChoice | None, rows: dict[str, RankingChoice]) -> str | None:
    """Name of the row that the others are compared with."""
    if reference is None:
        return next((str(choice) for choice in rows.values() if choice.name == "nearest"), None)
    wanted = index.choose(reference)
    if all(choice.key != wanted.key for choice in rows.values()):
        names = [str(choice) for choice in rows.values()]
        raise UnknownNameError("reference", str(reference), names, "it must be among the rankings that are measured")
    if wanted.uses_labels:
        hint = "it uses the archive's labels at query time, so it is no measure for rankings that do not"
        raise InvalidParameterError("reference", str(reference), "a ranking that does not read labels", hint)
    return next(str(choice) for choice in rows.values() if choice.key == wanted.key)


def _with_a_finding(given: QuerySet) -> QuerySet:
    labelled: BoolArray = np.any(given.films.relevance(), axis=1)
    if not labelled.any():
        raise InvalidParameterError(
            "queries",
            f"{len(labelled)} films, none with a positive label",
            "at least one film with a finding",
            "relevance is a shared finding, so films without one cannot be scored",
        )
    return given.select(labelled)


def _exclusions(index: Index, asked: QuerySet, exclude: str | None) -> tuple[list[Int64Array], dict[str, list[str]]]:
    """Return the rows that each query may not get, and the same as the filter of ``Index.query``."""
    rows: list[Int64Array] = [np.empty(0, dtype=np.int64)] * len(asked.films)
    by: dict[str, list[str]] = {}
    for column, wanted in (("id", True), ("patient", exclude == "patient")):
        values = asked.films.column(column)
        same = rows_with_same(values, index.films.column(column), asked.allowed)
        if wanted and any(len(found) for found in same):
            rows = [np.union1d(before, found) for before, found in zip(rows, same, strict=True)]
            by[column] = values.tolist()
    return rows, by


def _describe(
    index: Index,
    given: QuerySet,
    asked: QuerySet,
    excluded: list[Int64Array],
    exclude: str | None,
    judged: Judgements | None,
) -> dict[str, Any]:
    searchable = np.ones(len(index.films), dtype=np.bool_) if asked.allowed is None else asked.allowed
    relevance = index.films.relevance()[searchable]
    same_patient = rows_with_same(asked.films.patients, index.films.patients, asked.allowed)
    itself = rows_with_same(asked.films.ids, index.films.ids, asked.allowed)
    n_no_cosine = sum(problem.reason in NO_COSINE for problem in given.problems)
    encoder = index.manifest["encoder"]
    not_asked = {} if judged is None else judged.left_out
    return {
        "archive": {
            "n_films": len(index.films),
            "n_searched": int(searchable.sum()),
            "n_patients": len(np.unique(index.films.patients[searchable])),
            "spec": index.films.spec,
            "encoder": None if encoder is None else {key: encoder[key] for key in ("name", "fingerprint")},
            "positives": dict(zip(index.films.label_names, relevance.sum(axis=0).tolist(), strict=True)),
        },
        "queries": {
            "origin": given.origin,
            "transductive": given.transductive,
            "n_given": len(given.films) + len(given.problems) + sum(not_asked.values()),
            "n_scored": len(asked.films),
            "n_patients": len(np.unique(asked.films.patients)),
            "left_out": {
                "film could not be read": len(given.problems) - n_no_cosine,
                "code all zeros or not finite": n_no_cosine,
                "no positive label": len(given.films) - len(asked.films),
                **not_asked,
            },
            "problems": [asdict(problem) for problem in given.problems],
            "n_problems_of_the_table": given.films.n_left_out,
            "excluded": exclude,
            "n_with_films_of_the_same_patient": sum(len(rows) > 0 for rows in same_patient),
            "n_in_the_archive_themselves": sum(len(rows) > 0 for rows in itself),
            "n_excluded_pairs": sum(len(rows) for rows in excluded),
            "uncertain_labels": "positive",
        },
        "judgements": None if judged is None else _describe_judgements(judged, excluded, len(index.films)),
        "versions": {
            "graphret": __version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
    }


def _describe_judgements(judged: Judgements, excluded: list[Int64Array], n_films: int) -> dict[str, int]:
    possible = judged.without(excluded, n_films)
    return {
        "n_judged": len(possible.films),
        "n_relevant": int((possible.grades > 0).sum()),
        "largest_grade": int(possible.grades.max(initial=0)),
        "n_that_no_hit_could_be": len(judged.films) - len(possible.films),
        "n_queries_without_a_relevant_film_left": len(judged.queries) - len(possible.with_relevant),
    }
