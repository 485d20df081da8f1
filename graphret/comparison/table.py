"""A table of a report, and how its numbers are written."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Table", "number_text", "p_text"]


@dataclass(frozen=True)
class Table:
    """A titled table with a sentence above it; ``foreign`` are the columns that hold no measurement of ours."""

    title: str
    text: str
    head: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    foreign: tuple[int, ...] = ()


def number_text(value: float | None, form: str) -> str:
    """Write a number in a format, "-" for None.

    Examples
    --------
    >>> number_text(0.25, ".1f"), number_text(None, ".1f")
    ('0.2', '-')
    """
    return "-" if value is None else format(value, form)


def p_text(value: float | None) -> str:
    """Write a p-value; small ones by their power of ten.

    Examples
    --------
    >>> p_text(0.03), p_text(2.4e-9), p_text(None)
    ('0.0300', '2.4e-09', '-')
    """
    if value is None:
        return "-"
    return f"{value:.4f}" if value >= 0.0001 else f"{value:.1e}"
