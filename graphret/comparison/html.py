"""A comparison as one HTML page that needs nothing else: no script, no style sheet or picture from outside."""

from __future__ import annotations

import base64
import re
from html import escape
from typing import Any

from graphret.comparison.markdown import details, summary, title_of
from graphret.comparison.plots import plots
from graphret.comparison.tables import Table, report_tables

__all__ = ["to_html"]

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#1c2126;background:#fff;margin:2rem auto;padding:0 1.5rem;max-width:92rem}
h1{font-size:1.6rem}h2{font-size:1.15rem;margin-top:2.2rem}p{max-width:60rem}
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:12.5px;font-variant-numeric:tabular-nums}
th,td{padding:.25rem .6rem;text-align:left;border-bottom:1px solid #dfe4e8;white-space:nowrap}
thead th{border-bottom:2px solid #7b8894;vertical-align:bottom;white-space:normal;min-width:4rem}
tbody tr:hover{background:#f3f6f8}
.foreign{background:#f6f0e2;color:#6b5210;font-style:italic}
figure{margin:1rem 0}figcaption{font-size:13px;color:#4b5660}svg,img{max-width:100%;height:auto}
"""


def to_html(report: dict[str, Any], sheets: dict[str, bytes]) -> str:
    """Write the page.

    Parameters
    ----------
    report
        What `Comparison.to_dict` returns.
    sheets
        Contact sheets, PNG by title.
    """
    title = title_of(report)
    tables = report_tables(report)
    body = [f"<h1>{escape(title)}</h1>", *(f"<p>{_marked(text)}</p>" for text in summary(report) if text)]
    body += [_table(table) for table in tables[:1]]
    for caption, svg in plots(report).items():
        body.append(f"<figure><h2>{escape(caption)}</h2>{svg}</figure>")
    body += [_table(table) for table in tables[1:]]
    if sheets:
        body.append("<h2>The same queries by several methods</h2>")
    for caption, png in sheets.items():
        data = base64.b64encode(png).decode("ascii")
        body.append(
            f'<figure><figcaption>{escape(caption)}</figcaption><img alt="Queries and hits of {escape(caption)}" '
            f'src="data:image/png;base64,{data}"></figure>'
        )
    facts = "".join(f"<li>{_marked(fact)}</li>" for fact in details(report))
    body.append(f"<h2>What was measured</h2><ul>{facts}</ul>")
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n<body>\n"
        + "\n".join(body)
        + "\n</body></html>\n"
    )


def _table(table: Table) -> str:
    def cell(tag: str, place: int, text: str) -> str:
        kind = ' class="foreign"' if place in table.foreign else ""
        return f"<{tag}{kind}>{escape(text)}</{tag}>"

    head = "".join(cell("th", place, text) for place, text in enumerate(table.head))
    lines = "".join(
        "<tr>" + "".join(cell("td", place, text) for place, text in enumerate(line)) + "</tr>" for line in table.lines
    )
    return (
        f"<h2>{escape(table.title)}</h2><p>{_marked(table.text)}</p>"
        f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>'
    )


def _marked(text: str) -> str:
    """Text of Markdown with ** and ` as HTML."""
    text = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", escape(text, quote=False))
    return re.sub(r"`(.+?)`", r"<code>\1</code>", text)
