"""A comparison as Markdown, made from its plain data, so that a saved comparison.json can be shown again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graphret._plain import markdown_safe
from graphret.comparison.row_texts import measured
from graphret.comparison.tables import report_tables
from graphret.comparison.training_curve import not_to_the_end

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graphret.comparison.table import Table

__all__ = ["details", "markdown_of", "not_trained_to_the_end", "summary", "title_of", "to_markdown"]


def to_markdown(report: dict[str, Any]) -> str:
    """Write the tables and the description of a comparison (what `Comparison.to_dict` returns).

    HTML and links in its texts are taken apart, see `_plain.markdown_safe`.
    """
    report = markdown_safe(report)
    parts = [f"# {title_of(report)}", *summary(report)]
    for table in report_tables(report):
        parts += markdown_of(table)
    parts += ["## What was measured", "\n".join(f"- {fact}" for fact in details(report))]
    return "\n\n".join(part for part in parts if part) + "\n"


def markdown_of(table: Table) -> list[str]:
    """Title, text and lines of a table."""
    rows: Sequence[Sequence[str]] = [table.head, ["---"] * len(table.head), *table.lines]
    lines = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)
    return [f"## {table.title}", table.text, lines]


def title_of(report: dict[str, Any]) -> str:
    """Title of a report."""
    return str(report["experiment"]["title"] or f"Comparison {report['experiment']['name']}")


def summary(report: dict[str, Any]) -> list[str]:
    """Say in a few sentences what was compared."""
    films, budget, data = report["films"], report["experiment"]["budget"], report["experiment"]["data"]
    queries, database = films["queries"], films["database"]
    minutes = f", at most {budget['max_minutes']:g} minutes each" if budget["max_minutes"] else ""
    were = "were left out" if films["excluded"] == "patient" else "were **not** left out"
    title = films["title"] or films["spec"]
    where = (
        f"{queries['n_asked']} queries of {queries['n_patients']} patients (split {queries['split']}) were searched in "
        f"{database['n_films']} films of {database['n_patients']} patients (splits {', '.join(database['splits'])}) of "
        f"{title}. Films of the query's own patient {were}; no query took part in a graph."
    )
    folds = films.get("folds")
    if folds and folds["of"] == "queries":
        where += (
            f" This is pooled over {folds['number']} folds by patient: every film asked once, and was searched in the "
            f"films of the other folds ({', '.join(map(str, folds['n_searched']))}; above is the number of the first)."
        )
    elif folds:
        where += f" Every method was trained {folds['number']} times, each fold of patients choosing the epoch once."
    same = f"Every training had the same budget: {budget['epochs']} epochs{minutes}, {data['size']} px."
    return [*not_trained_to_the_end(report), f"{where} {same}", report["experiment"]["notes"]]


def not_trained_to_the_end(report: dict[str, Any]) -> list[str]:
    """Say which rows are not trained to the end, in one sentence."""
    short: dict[str, str] = {}
    known = False
    for row in measured(report):
        for state in row["costs"].get("trainings", []):
            known = True
            reason = not_to_the_end(state)
            if reason:
                short.setdefault(row["method"], reason)
    if not short:
        return ["Every training reached its plateau (table Trainings)."] if known else []
    named = ", ".join(f"{method} ({reason})" for method, reason in short.items())
    return [f"**Not trained to the end**, so their figures may still rise: {named}."]


def details(report: dict[str, Any]) -> list[str]:
    """Facts that a reader needs to repeat the comparison."""
    films, experiment, machine = report["films"], report["experiment"], report["machine"]
    left_out = ", ".join(f"{reason}: {number}" for reason, number in films["left_out"].items())
    splits = ", ".join(
        f"{name} {number} ({films['patients'][name]} patients)" for name, number in films["films"].items()
    )
    asked, intervals = films["queries"], experiment["intervals"]
    sentences = [
        [f"Dataset spec {films['spec']}; labels {', '.join(films['labels'])}."],
        [f"Films by split: {splits}. Left out: {left_out}."],
        [f"Queries with a label, and drawn: {asked['n_asked']} of {asked['n_of_the_split']} of the split."],
        ["Uncertain labels count as positive; a film is relevant if it shares a label with the query."],
        [
            f"{_seeds(experiment)}; intervals: {intervals['n_resamples']} resamples of patients,",
            f"seed {intervals['seed']}.",
        ],
        [
            "“:bits” after a ranking: it ran on +1 and -1 for the bits, in the graph engine. “tuned”: the ranking that",
            "`graphret tune` chose on the searched films.",
        ],
        ["“nearest” on a hash encoder or hasher: cosine of its values before the sign."],
        [
            f"graphret {machine['graphret']}, numpy {machine['numpy']}, Python {machine['python']},",
            f"{machine['processors']} processors.",
        ],
    ]
    return [" ".join(parts) for parts in sentences]


def _seeds(experiment: dict[str, Any]) -> str:
    seeds = experiment.get("seeds") or [experiment["seed"]]
    return f"Seed {seeds[0]}" if len(seeds) == 1 else f"Seeds {', '.join(map(str, seeds))}; figures are means over them"
