r"""Texts from outside (ids, labels, paths) where a terminal, a Markdown reader or a spreadsheet would act on them.

An id may hold ``ESC ]0;...`` that renames a window, ``<script>``, a link to ``javascript:``, or ``=HYPERLINK(...)``.
"""

from __future__ import annotations

import re
from typing import Any

__all__ = ["csv_cell", "markdown_safe", "plain_json", "plain_text"]

# C0 but tab and line feed, DEL, C1, marks that turn the direction of a line, line and paragraph separators, surrogates
_ACTING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_FORMULA = re.compile(r"\s*[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)


def plain_text(text: str) -> str:
    r"""Write characters that a terminal acts on as code; others stay as they are.

    Examples
    --------
    >>> plain_text("a\x1b[2Jb\x9bÄ")
    'a\\x1b[2Jb\\x9bÄ'
    """
    return _ACTING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def plain_json(text: str) -> str:
    r"""Write such characters in a JSON document as ``\uNNNN``, which says the same; they stand in its texts only.

    Examples
    --------
    >>> plain_json('{"id": "a\x9b2J"}')
    '{"id": "a\\u009b2J"}'
    """
    return _ACTING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def markdown_safe(value: Any) -> Any:
    r"""Return plain data whose texts hold no HTML, no links and no line ends for a Markdown reader; keys too.

    Examples
    --------
    >>> markdown_safe({"<b>": ["[x](javascript:0)", 1.5, "P@10 [0.4, 0.6]"]})
    {'&lt;b>': ['[x]\\(javascript:0)', 1.5, 'P@10 [0.4, 0.6]']}
    """
    if isinstance(value, dict):
        return {markdown_safe(key): markdown_safe(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [markdown_safe(entry) for entry in value]
    if not isinstance(value, str):
        return value
    line = " ".join(value.splitlines()) if "\n" in value or "\r" in value else value
    return plain_text(line).replace("<", "&lt;").replace("](", "]\\(").replace("]:", "]\\:")


def csv_cell(value: Any) -> Any:
    """Return a cell that no spreadsheet takes for a formula: a text that begins like one gets an apostrophe before it.

    Examples
    --------
    >>> csv_cell("=1+1"), csv_cell("-0.5"), csv_cell(-0.5), csv_cell("Mass")
    ("'=1+1", '-0.5', -0.5, 'Mass')
    """
    if not isinstance(value, str):
        return value
    text = plain_text(value)
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text
