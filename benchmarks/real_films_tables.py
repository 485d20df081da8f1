"""The Markdown of `real_films.py`, made from its records."""

from __future__ import annotations

from typing import Any

import numpy as np
from environment import environment_line


def validation_markdown(record: dict[str, Any]) -> str:
    """What was measured on the validation films, and what was chosen by it."""
    lines = [
        *_head(record, "validation films"),
        f"Chosen on these figures, written before this run read a test film: **{record['chosen']}** ({record['rule']}).",
        "",
        *_section(record["validation"]),
        environment_line(record["environment"]),
        "",
    ]
    return "\n".join(lines)


def test_markdown(record: dict[str, Any]) -> str:
    """What was measured on the test films."""
    aucs, positives = record["test_auc"], record["test_positives"]
    lines = [
        *_head(record, "test films"),
        f"This script chooses nothing on these figures. The rule of the validation ({record['rule']}) had chosen "
        f"**{record['chosen']}** before; see `real_films_{record['spec']}_validation.md`.",
        "",
        *_section(record["test"]),
        "## The same network with its first random weights",
        "",
        *_rankings(record["untrained"]["report"]),
        "",
        f"## The classifier on the test films: mean AUC {np.mean(list(aucs.values())):.3f}",
        "",
        "| label | positive films | AUC |",
        "|---|---|---|",
        *(f"| {label} | {count} | {_auc(aucs.get(label))} |" for label, count in positives.items()),
        "",
        "These films are a small selection: the figures do not stand beside published ones on whole data sets.",
        "",
        environment_line(record["environment"]),
        "",
    ]
    return "\n".join(lines)


def _head(record: dict[str, Any], part: str) -> list[str]:
    training = record["training"]
    encoder, parameters = training["encoder"], training["parameters"]
    films = ", ".join(f"{name} {n['films']} of {n['patients']} patients" for name, n in record["films"].items())
    validation_auc = np.mean(list(training["validation_auc"].values()))
    note = f" ({training['note']})" if training["note"] else ""
    return [
        f"# {record['spec']}: {encoder['name']} from scratch at {encoder['size']} px, {part}",
        "",
        f"Films: {films}. {_near_duplicates(record['near_duplicates'])}",
        "",
        f"Training: {len(training['epochs'])} epochs in {training['seconds'] / 60:.1f} minutes, "
        f"{training['films_per_second']:.0f} films a second{note}; batch {parameters['batch_size']}, Adam "
        f"{parameters['learning_rate']:g}, seed {parameters['seed']}, first weights {parameters['weights'] or 'random'}. "
        f"Best epoch {training['best_epoch']}, mean validation AUC {validation_auc:.3f}.",
        "",
    ]


def _near_duplicates(counts: dict[str, int] | None) -> str:
    if counts is None:
        return "There is no list of near duplicates."
    straddling = ", ".join(f"{name} {number}" for name, number in counts.items() if name != "pairs")
    return (
        f"Pairs of near duplicates: {counts['pairs']}, of which in two splits: {straddling}. "
        "Of a pair of archive and query the archive's end is left out."
    )


def _section(evaluated: dict[str, Any]) -> list[str]:
    report, counts, graph = evaluated["report"], evaluated["index"]["counts"], evaluated["index"]["graph"]
    queries = report["queries"]
    return [
        f"## An index of the films of {evaluated['archive']}, asked with those of {evaluated['queries']}",
        "",
        f"{counts['films']} films, {counts['edges']:,} edges (k = {evaluated['index']['parameters']['k']}, cosine >= "
        f"{graph['threshold']:.3f}), {counts['communities']} communities; {queries['n_scored']} queries with a label, of "
        f"{queries['n_patients']} patients; {evaluated['near_duplicates_left_out']} near duplicates of queries left out. Mean and "
        "95 % bootstrap interval over patients; films of the query's patient do not count; random is the chance level.",
        "",
        *_rankings(report),
        "",
        "Difference from nearest, query by query:",
        "",
        *_differences(report),
        "",
    ]


def _rankings(report: dict[str, Any]) -> list[str]:
    measures = list(report["rankings"][0]["measures"])
    lines = ["| ranking | " + " | ".join(measures) + " |", "|---|" + "---|" * len(measures)]
    for row in report["rankings"]:
        cells = [_interval(row["measures"][measure]) for measure in measures]
        lines.append(f"| {row['name']} | {' | '.join(cells)} |")
    return lines


def _differences(report: dict[str, Any]) -> list[str]:
    measures = list(report["rankings"][0]["measures"])
    lines = ["| ranking | " + " | ".join(measures) + " |", "|---|" + "---|" * len(measures)]
    for name, by_measure in report["differences"].items():
        cells = [f"{_interval(by_measure[measure], '+')}, {_p_value(by_measure[measure])}" for measure in measures]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def _interval(figure: dict[str, Any], sign: str = "") -> str:
    if figure["low"] is None:
        return "undefined" if figure["mean"] is None else f"{figure['mean']:{sign}.3f}"
    return f"{figure['mean']:{sign}.3f} ({figure['low']:{sign}.3f} to {figure['high']:{sign}.3f})"


def _p_value(figure: dict[str, Any]) -> str:
    value = figure["p_value"]
    return "p undefined" if value is None else "p < 0.001" if value < 0.001 else f"p {value:.3f}"


def _auc(value: float | None) -> str:
    return "one class only" if value is None else f"{value:.3f}"
