"""Pieces of HTML pages that need nothing else: no script, and no style sheet or picture from outside."""

from __future__ import annotations

import base64
import html
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["page", "picture", "table", "text"]

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#1c2126;background:#fff;margin:2rem auto;padding:0 1.5rem;max-width:92rem}
h1{font-size:1.6rem}h2{font-size:1.15rem;margin-top:2.2rem}p{max-width:60rem}
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:12.5px;font-variant-numeric:tabular-nums}
th,td{padding:.25rem .6rem;text-align:left;border-bottom:1px solid #dfe4e8;white-space:nowrap}
thead th{border-bottom:2px solid #7b8894;vertical-align:bottom;white-space:normal;min-width:4rem}
tbody tr:hover{background:#f3f6f8}
figure{margin:1rem 0}figcaption{font-size:13px;color:#4b5660}svg,img{max-width:100%;height:auto}
"""
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_UNWRITABLE = re.compile(
    r"[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
_KINDS = ((b"\x89PNG", "png"), (b"\xff\xd8\xff", "jpeg"))


def text(value: object) -> str:
    r"""Return a value as text that is safe anywhere in a page; characters that no page may hold are written as code.

    Examples
    --------
    >>> text("<b>'&\x07"), text(0.5)
    ('&lt;b&gt;&#x27;&amp;\\x07', '0.5')
    """
    written = _UNWRITABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), str(value))
    return html.escape(written)


def picture(content: bytes, description: str) -> str:
    """Return a PNG or JPEG as an element that holds it.

    Examples
    --------
    >>> picture(bytes([0x89]) + b"PNG...", "a <film>")
    '<img alt="a &lt;film&gt;" src="data:image/png;base64,iVBORy4uLg==">'
    """
    kind = next(name for start, name in _KINDS if content.startswith(start))
    data = base64.b64encode(content).decode("ascii")
    return f'<img alt="{text(description)}" src="data:image/{kind};base64,{data}">'


def table(head: Sequence[object], lines: Iterable[Sequence[object]], classes: Mapping[int, str] | None = None) -> str:
    """Return a table of texts, which scrolls by itself where it is too wide; ``classes`` are those of columns.

    Examples
    --------
    >>> print(table(["id"], [["a<b"]], {0: "name"}))
    <div class="wide"><table><thead><tr><th class="name">id</th></tr></thead><tbody>
    <tr><td class="name">a&lt;b</td></tr>
    </tbody></table></div>
    """

    def line(tag: str, cells: Sequence[object]) -> str:
        kinds = [f' class="{classes[place]}"' if classes and place in classes else "" for place in range(len(cells))]
        row = "".join(f"<{tag}{kind}>{text(cell)}</{tag}>" for kind, cell in zip(kinds, cells, strict=True))
        return f"<tr>{row}</tr>"

    body = "\n".join(line("td", cells) for cells in lines)
    return f'<div class="wide"><table><thead>{line("th", head)}</thead><tbody>\n{body}\n</tbody></table></div>'


def page(title: str, body: Iterable[str], style: str = "") -> str:
    """Return a whole page; browsers are told to load nothing from anywhere.

    Parameters
    ----------
    title
        Text; it also is the heading.
    body
        Elements that follow the heading.
    style
        Rules of this page, after those of all.

    Examples
    --------
    >>> page("a & b", ["<p>text</p>"]).splitlines()[-4:]
    ['<body>', '<h1>a &amp; b</h1>', '<p>text</p>', '</body></html>']
    """
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{text(title)}</title><style>{_STYLE}{style}</style></head>\n<body>\n"
        + "\n".join([f"<h1>{text(title)}</h1>", *body])
        + "\n</body></html>\n"
    )
