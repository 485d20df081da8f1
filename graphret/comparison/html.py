"""A comparison as one HTML page that needs nothing else: no script, no style sheet or picture from outside."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from graphret.comparison.markdown import details, summary, title_of
from graphret.comparison.plots import plots
from graphret.comparison.tables import report_tables
from graphret.html import page, picture, table, text

if TYPE_CHECKING:
    from graphret.comparison.table import Table

__all__ = ["figure_of", "html_of", "marked", "to_html"]

_STYLE = ".foreign{background:#f6f0e2;color:#6b5210;font-style:italic}"


def to_html(report: dict[str, Any], sheets: dict[str, bytes]) -> str:
    """Write the page.

    Parameters
    ----------
    report
        What `Comparison.to_dict` returns.
    sheets
        Contact sheets, PNG by title.
    """
    tables = report_tables(report)
    body = [f"<p>{marked(line)}</p>" for line in summary(report) if line]
    body += [html_of(shown) for shown in tables[:1]]
    body += [figure_of(caption, svg) for caption, svg in plots(report).items()]
    body += [html_of(shown) for shown in tables[1:]]
    if sheets:
        body.append("<h2>The same queries by several methods</h2>")
    for caption, png in sheets.items():
        shown = picture(png, f"Queries and hits of {caption}")
        body.append(f"<figure><figcaption>{text(caption)}</figcaption>{shown}</figure>")
    facts = "".join(f"<li>{marked(fact)}</li>" for fact in details(report))
    body.append(f"<h2>What was measured</h2><ul>{facts}</ul>")
    return page(title_of(report), body, _STYLE)


def figure_of(caption: str, svg: str) -> str:
    """A plot with its title."""
    return f"<figure><h2>{text(caption)}</h2>{svg}</figure>"


def html_of(shown: Table) -> str:
    """Title, text and lines of a table."""
    cells = table(shown.head, shown.lines, dict.fromkeys(shown.foreign, "foreign"))
    return f"<h2>{text(shown.title)}</h2><p>{marked(shown.text)}</p>{cells}"


def marked(markdown: str) -> str:
    """Text of Markdown with ** and ` as HTML."""
    strong = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", text(markdown))
    return re.sub(r"`(.+?)`", r"<code>\1</code>", strong)
