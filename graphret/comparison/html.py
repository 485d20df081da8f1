"""A comparison as one HTML page that needs nothing else: no script, no style sheet or picture from outside."""

from __future__ import annotations

import re
from typing import Any

from graphret.comparison.markdown import details, summary, title_of
from graphret.comparison.plots import plots
from graphret.comparison.tables import Table, report_tables
from graphret.html import page, picture, table, text

__all__ = ["to_html"]

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
    body = [f"<p>{_marked(line)}</p>" for line in summary(report) if line]
    body += [_table(shown) for shown in tables[:1]]
    for caption, svg in plots(report).items():
        body.append(f"<figure><h2>{text(caption)}</h2>{svg}</figure>")
    body += [_table(shown) for shown in tables[1:]]
    if sheets:
        body.append("<h2>The same queries by several methods</h2>")
    for caption, png in sheets.items():
        shown = picture(png, f"Queries and hits of {caption}")
        body.append(f"<figure><figcaption>{text(caption)}</figcaption>{shown}</figure>")
    facts = "".join(f"<li>{_marked(fact)}</li>" for fact in details(report))
    body.append(f"<h2>What was measured</h2><ul>{facts}</ul>")
    return page(title_of(report), body, _STYLE)


def _table(shown: Table) -> str:
    cells = table(shown.head, shown.lines, dict.fromkeys(shown.foreign, "foreign"))
    return f"<h2>{text(shown.title)}</h2><p>{_marked(shown.text)}</p>{cells}"


def _marked(markdown: str) -> str:
    """Text of Markdown with ** and ` as HTML."""
    strong = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", text(markdown))
    return re.sub(r"`(.+?)`", r"<code>\1</code>", strong)
