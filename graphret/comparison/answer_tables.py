"""Answers as tables: one line a question, and one line a set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graphret.comparison.table import Table, number_text, p_text

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["answers_table", "sets_table"]


def answers_table(answers: Sequence[dict[str, Any]]) -> Table:
    """One line a question: the answer, and what it rests on."""
    lines = tuple(
        (
            answer["title"],
            answer["answer"],
            _difference(answer),
            p_text(answer["p_adjusted"]),
            _elsewhere(answer),
            _of_sets(answer),
            _sides(answer["bytes"], ".0f"),
            _sides(answer["milliseconds"], ".2f"),
            _note(answer),
        )
        for answer in answers
    )
    text = (
        "Yes and no are said where the adjusted p of the pooled difference is at most the level of the experiment, "
        "its 95 % "
        "interval leaves out what the answer turns on (0, if nothing else is said), and no set clearly says the "
        "opposite. "
        "The difference is the first side of the question less the second, a mean over sets, methods, seeds and "
        "queries. "
        "Other sets: what Student's t over the means of the sets says of all sets of this kind, never surer than the "
        "difference. "
        "Bytes a film and milliseconds a query: medians over the pairs, first side / second side; no times where they "
        "were taken in several runs."
    )
    head = ("question", "answer", "difference", "p", "other sets", "sets", "bytes", "ms", "notes")
    return Table("Answers", text, head, lines)


def sets_table(answers: Sequence[dict[str, Any]]) -> Table:
    """One line a question and set; none where there is one set."""
    several = {entry["name"] for answer in answers for entry in answer["sets"]}
    lines = tuple(
        (answer["title"], entry["name"], answer["measure"], _difference(entry), entry["evidence"])
        for answer in answers
        for entry in answer["sets"]
        if len(several) > 1
    )
    text = (
        "Evidence: the values of every query, or, where a report kept none, the intervals that it printed; their "
        "errors are "
        "then taken to hang together as much as they can, so that intervals are too wide rather than too narrow."
    )
    return Table("Answers by set", text, ("question", "set", "measure", "difference", "evidence"), lines)


def _difference(figures: dict[str, Any]) -> str:
    if figures["mean"] is None:
        return "-"
    interval = "" if figures["low"] is None else f" [{figures['low']:+.4f}, {figures['high']:+.4f}]"
    return f"{figures['mean']:+.4f}{interval}"


def _elsewhere(answer: dict[str, Any]) -> str:
    found = answer.get("elsewhere")  # answers of before have none
    if not found or found["low"] is None:
        return "-"
    return f"{found['answer']} [{found['low']:+.3f}, {found['high']:+.3f}]"


def _of_sets(answer: dict[str, Any]) -> str:
    if not answer["sets"]:
        return "-"
    return ", ".join(f"{entry['name']} {entry['mean']:+.3f}" for entry in answer["sets"])


def _sides(numbers: Sequence[float | None], form: str) -> str:
    return " / ".join(number_text(number, form) for number in numbers) if any(numbers) else "-"


def _note(answer: dict[str, Any]) -> str:
    parts = [f"{answer['measure']}, {answer['n_pairs']} pairs"] if answer["n_pairs"] else []
    if answer["at_least"]:
        parts.append(f"yes means above {answer['at_least']:+g}")
    if any(entry["evidence"] == "intervals" for entry in answer["sets"]):
        parts.append("from intervals")
    if answer["note"]:
        parts.append(answer["note"])
    return "; ".join(parts)
