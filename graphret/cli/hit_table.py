"""Hits in a terminal: a table a query, and what the columns mean."""

from typing import Any

from rich.table import Table
from rich.text import Text

from graphret.index.answers import legend_of, why_in_words

__all__ = ["hit_reasons", "hit_table", "score_legend"]

_FINDINGS = 3


def hit_table(answer: dict[str, Any], group_by: str | None) -> Table:
    """Return the hits of one query of `describe_hits`; names are shown as they are, whatever brackets they hold."""
    group = [] if group_by is None else [group_by]
    table = Table(title=Text(answer["query"]))
    for name in ("rank", "id", "similarity", "score", "community", "source", *group, "labels"):
        table.add_column(Text(name))
    if "findings" in answer:
        likeliest = ", ".join(f"{name} {share:.0%}" for name, share in list(answer["findings"].items())[:_FINDINGS])
        table.caption = Text(f"uses the archive's labels; by those of its neighbours the query shows: {likeliest}")
    if answer["nothing_similar"]:
        alarm = f"nothing similar in this archive: its own films are as far from all others in {answer['p_value']:.1%}"
        table.caption = Text(f"{alarm}; {table.caption}" if table.caption else alarm)
    for hit in answer["hits"]:
        cells = [
            str(hit["rank"]),
            hit["id"],
            f"{hit['similarity']:.4f}",
            f"{hit['score']:.4f}",
            str(hit["community"]),
            hit["source"],
            *([] if group_by is None else ["-" if hit["group"] is None else str(hit["group"])]),
            ", ".join(hit["labels"]) or "-",
        ]
        table.add_row(*map(Text, cells))
    return table


def hit_reasons(answer: dict[str, Any]) -> Text:
    """Return a line for each hit of one query of `describe_hits`: why it is where it is, in words."""
    lines = [f"{hit['rank']}. {hit['id']}: {why_in_words(hit)}" for hit in answer["hits"]]
    return Text("\n".join(lines))


def score_legend(document: dict[str, Any]) -> Text:
    """Return what orders the hits, and what the sources that occur mean."""
    meanings = "; ".join(f"{name}: {meaning}" for name, meaning in legend_of(document).items())
    sources = f"; source {meanings}" if meanings else ""
    return Text(f"similarity is the cosine to the query; hits are ordered by the score{sources}")
