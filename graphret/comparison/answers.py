"""Answers to the questions of an experiment, over one report or several: yes, no, or not told apart."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret.comparison.pooled import PairedSet, PooledDifference, Resampler, resamples_needed
from graphret.comparison.question_pairs import AskedReport, RowPair, named_row, paired_set, pairs_of_rankings
from graphret.comparison.question_settings import ALL_ORDERS
from graphret.comparison.significance import false_discovery, holm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graphret.comparison.question_settings import IntervalSettings, OrderSettings, QuestionSettings

__all__ = ["NOT_ASKED", "NOT_TOLD_APART", "answer_questions"]

NOT_TOLD_APART = "not told apart"
NOT_ASKED = "not asked"
_MOST_NAMED = 3


@dataclass(frozen=True)
class _Found:
    """What the pairs of one question say, before p is adjusted."""

    pooled: PooledDifference
    p_value: float
    p_elsewhere: float
    n_pairs: int
    evidence: dict[str, str]
    costs: dict[str, list[float | None]]
    note: str = ""


def answer_questions(
    questions: Sequence[QuestionSettings],
    orders: Sequence[OrderSettings],
    reports: Sequence[AskedReport],
    settings: IntervalSettings,
    measure: str,
) -> list[dict[str, Any]]:
    """Answer questions from one report, or from reports of several sets.

    A question about rankings is a yes where the pooled difference lies above its ``at_least`` and its adjusted p is at
    most the level; a no where it lies below; *not told apart* otherwise, and where the interval of one set
    contradicts. A paper's order is a yes where every pair of neighbours is above 0 (its p is the largest of theirs); a
    no where a pair is below 0 (its p is the smallest of the reversed pairs, times the number of pairs).

    Parameters
    ----------
    questions, orders
        Of the experiment that states them.
    reports
        One for each set.
    settings
        Level, adjustment, and resamples, of which more are taken where the number of questions needs them.
    measure
        Of questions that name none.

    Returns
    -------
    list of dict
        Of every question: title, answer, measure, at_least; mean, low, high, p_value, p_adjusted; elsewhere (answer,
        low, high, p_value, p_adjusted: of all sets of this kind, see `Resampler`; None of one set); n_pairs; sets
        (name, mean, low, high, and evidence: "queries" or "intervals"); bytes and milliseconds, medians of both sides;
        note. Numbers are None where there is nothing to compare ("not asked"), and the note says why.
    """
    single = _with_orders_named(questions, orders)
    by_title = {order.title: order for order in orders}
    n_tests = len(single) + sum(len(by_title[asked.order].methods) for asked in single if asked.order)
    resampler = Resampler(resamples_needed(n_tests, settings.level, settings.n_resamples), settings.seed)
    found = [
        _of_order(by_title[asked.order], reports, resampler, asked.measure or measure)
        if asked.order
        else _of_rankings(asked, reports, resampler, asked.measure or measure)
        for asked in single
    ]
    adjust = holm if settings.adjust == "holm" else false_discovery
    adjusted = adjust([math.nan if isinstance(entry, str) else entry.p_value for entry in found])
    elsewhere = adjust([math.nan if isinstance(entry, str) else entry.p_elsewhere for entry in found])
    return [
        _record(asked, entry, both, settings.level, asked.measure or measure)
        for asked, entry, *both in zip(single, found, adjusted, elsewhere, strict=True)
    ]


def _with_orders_named(
    questions: Sequence[QuestionSettings], orders: Sequence[OrderSettings]
) -> list[QuestionSettings]:
    """Replace a question about all orders by one for each."""
    single = []
    for question in questions:
        if question.order == ALL_ORDERS:
            single += [replace(question, title=f"{question.title} {o.title}", order=o.title) for o in orders]
        else:
            single.append(question)
    return single


def _of_rankings(
    question: QuestionSettings, reports: Sequence[AskedReport], resampler: Resampler, measure: str
) -> _Found | str:
    pairs = {report.name: pairs_of_rankings(question, report) for report in reports}
    sets = _sets(pairs, reports, measure)
    if not sets:
        return _why_not(question, reports)
    pooled = resampler.pool(sets, question.at_least)
    n_pairs, p_elsewhere = sum(len(one.pairs) for one in sets), _p_elsewhere(pooled)
    return _Found(pooled, pooled.p_value, p_elsewhere, n_pairs, _evidence(sets), _costs(pairs, reports))


def _of_order(order: OrderSettings, reports: Sequence[AskedReport], resampler: Resampler, measure: str) -> _Found | str:
    neighbours: list[PooledDifference] = []
    evidence: dict[str, str] = {}
    shown: dict[str, list[RowPair]] = {report.name: [] for report in reports}
    for better, worse in itertools.pairwise(order.methods):
        pairs = {}
        for report in reports:
            first, second = (named_row(name, order.ranking, report.rows) for name in (better, worse))
            pairs[report.name] = [] if first is None or second is None else [RowPair("pair", first, second)]
        sets = _sets(pairs, reports, measure)
        if sets:
            neighbours.append(resampler.pool(sets))
            evidence |= _evidence(sets)
            for name, of_report in pairs.items():
                shown[name] += of_report
    if not neighbours:
        return "no report has two neighbours of this order"
    holds = [one.mean > 0 for one in neighbours]
    if all(holds):
        weakest = max(neighbours, key=_p_of)
        p_value, p_elsewhere = _p_of(weakest), float(np.max([_p_elsewhere(one) for one in neighbours]))
    else:
        weakest = min((one for one in neighbours if one.mean <= 0), key=_p_of)
        p_value, p_elsewhere = (min(1.0, len(neighbours) * p) for p in (_p_of(weakest), _p_elsewhere(weakest)))
    clear = sum(one.low > 0 for one in neighbours), sum(one.high < 0 for one in neighbours)
    note = (
        f"of {len(neighbours)} pairs of neighbours {clear[0]} as published, {clear[1]} reversed, "
        f"{len(neighbours) - sum(clear)} not told apart; shown is the pair that decides"
    )
    return _Found(weakest, p_value, p_elsewhere, len(neighbours), evidence, _costs(shown, reports), note)


def _p_of(one: PooledDifference) -> float:
    """NaN, of a single patient, says nothing against the hypothesis."""
    return 1.0 if math.isnan(one.p_value) else one.p_value


def _p_elsewhere(one: PooledDifference) -> float:
    """NaN of one set, which says nothing of others."""
    return math.nan if one.elsewhere is None else one.elsewhere[2]


def _sets(pairs: dict[str, list[RowPair]], reports: Sequence[AskedReport], measure: str) -> list[PairedSet]:
    made = [paired_set(pairs[report.name], report, measure) for report in reports]
    return [one for one in made if one is not None]


def _evidence(sets: Sequence[PairedSet]) -> dict[str, str]:
    return {one.name: "intervals" if one.sides is None else "queries" for one in sets}


def _costs(pairs: dict[str, list[RowPair]], reports: Sequence[AskedReport]) -> dict[str, list[float | None]]:
    """Medians over pairs, of the first and of the second side; no times where they are of several runs."""
    shown = [pair for of_report in pairs.values() for pair in of_report]
    runs = {report.document.get("costs_of", {}).get("run") for report in reports if pairs[report.name]}
    one_run = sum(bool(of_report) for of_report in pairs.values()) == 1 or (len(runs) == 1 and None not in runs)
    costs: dict[str, list[float | None]] = {}
    for key, cost in (("bytes", "bytes_per_film"), ("milliseconds", "query_milliseconds")):
        sides: list[float | None] = []
        for side in (0, 1):
            known = [(pair.first, pair.second)[side]["costs"].get(cost) for pair in shown]
            numbers = [number for number in known if number is not None]
            sides.append(float(np.median(numbers)) if numbers and (key == "bytes" or one_run) else None)
        costs[key] = sides
    return costs


def _why_not(question: QuestionSettings, reports: Sequence[AskedReport]) -> str:
    """Say why a question has no pair."""
    rows = [row for report in reports for row in report.rows]
    rankings = list(dict.fromkeys(row["ranking"] for row in rows))
    if question.ranking not in rankings:
        return f"no row has the ranking {question.ranking}"
    if not question.equal_bytes:
        return f"no method has both {question.ranking} and {question.against}"
    sizes = [
        sorted({row["costs"]["bytes_per_film"] for row in rows if row["ranking"] == ranking})
        for ranking in (question.ranking, question.against)
    ]
    told = [" to ".join(dict.fromkeys(f"{size:.0f}" for size in (of_side[0], of_side[-1]))) if of_side else "none"
            for of_side in sizes]  # fmt: skip
    return (
        f"no method has a code by {question.against} of as many bytes: {question.ranking} takes {told[0]} bytes a "
        f"film, "
        f"{question.against} {told[1]}"
    )


def _record(
    question: QuestionSettings, found: _Found | str, p_adjusted: Sequence[float], level: float, measure: str
) -> dict[str, Any]:
    """``p_adjusted`` is that of these sets, and of others."""
    record: dict[str, Any] = {"title": question.title, "measure": measure, "at_least": question.at_least}
    if isinstance(found, str):
        numbers = dict.fromkeys(("mean", "low", "high", "p_value", "p_adjusted"))
        return {**record, "answer": NOT_ASKED, **numbers, "elsewhere": None, "n_pairs": 0, "sets": [], "bytes": [],
                "milliseconds": [], "note": found}  # fmt: skip
    pooled, turn = found.pooled, question.at_least
    above = pooled.mean > turn
    clear = p_adjusted[0] <= level and not pooled.low <= turn <= pooled.high
    against = [name for name, (_, low, high) in pooled.of_sets.items() if (high < turn if above else low > turn)]
    said = "yes" if above else "no"
    answer = said if clear and not against else NOT_TOLD_APART
    elsewhere: dict[str, Any] | None = None
    if pooled.elsewhere is not None:
        low, high, p_value = pooled.elsewhere
        sure = answer == said and p_adjusted[1] <= level and not low <= turn <= high
        elsewhere = {"answer": said if sure else NOT_TOLD_APART, "low": low, "high": high}
        elsewhere |= {"p_value": p_value, "p_adjusted": p_adjusted[1]}
    notes = [found.note] if found.note else []
    if clear and against:
        notes.append(f"the sets disagree: {', '.join(against[:_MOST_NAMED])} says the opposite")
    return {
        **record,
        "answer": answer,
        "mean": pooled.mean,
        "low": pooled.low,
        "high": pooled.high,
        "p_value": found.p_value,
        "p_adjusted": p_adjusted[0],
        "elsewhere": elsewhere,
        "n_pairs": found.n_pairs,
        "sets": [
            {"name": name, "mean": mean, "low": low, "high": high, "evidence": found.evidence[name]}
            for name, (mean, low, high) in pooled.of_sets.items()
        ],
        **found.costs,
        "note": "; ".join(notes),
    }
