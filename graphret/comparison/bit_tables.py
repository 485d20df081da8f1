"""The table "Bits": what the codes of every method are like, and what the sign costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graphret.comparison.row_texts import measured, names_of
from graphret.comparison.table import Table, number_text

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["bits_table"]

_COLUMNS = (
    ("entropy of a bit", "entropy", ".3f"),
    ("constant bits", "constant_bits", ".1%"),
    ("correlation", "correlation", ".3f"),
    ("codes", "distinct_codes", ".0f"),
    ("| |v| - 1 |", "quantisation_error", ".3g"),
    ("near 0", "near_zero", ".1%"),
    ("cosine of values and signs", "sign_cosine", ".3f"),
    ("P@10, cut at 0", "cut_at_zero", ".4f"),
    ("P@10, cut at the median", "cut_at_median", ".4f"),
)


def bits_table(report: dict[str, Any]) -> Table:
    """One line for every method and length of code that has bits; reports of before have none."""
    text = (
        "Of the searched films. Entropy: 1 where every bit halves the films. Constant: at least 95 % of the films have "
        "the bit alike. Correlation: mean absolute one of two bits. Codes: how many different ones. v: values before "
        "the sign; near 0 is nearer than a tenth of their mean |v|. P@10 by Hamming, films at one distance in random "
        "order: with the bits as they are, and with every bit cut at its median over the searched films. Where the "
        "second is much higher, a threshold stood in the wrong place; where it is not and the values find more, the "
        "sign itself costs it."
    )
    head = ("method", "bits", *(title for title, _, _ in _COLUMNS))
    return Table("Bits", text, head, tuple(dict.fromkeys(_lines(report))))


def _lines(report: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    for row in measured(report):
        of_bits = row["costs"].get("bits")
        if of_bits:
            yield *names_of(row)[:2], *(number_text(of_bits[key], form) for _, key, form in _COLUMNS)
