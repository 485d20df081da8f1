"""Differences from a reference, query by query, with p-values that hold for many comparisons at once."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

from graphret.comparison.question_pairs import named_row
from graphret.evaluation import paired_difference
from graphret.evaluation.sign_flips import sign_flip_p_value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from graphret.comparison.experiment import IntervalSettings, OrderSettings
    from graphret.comparison.rows import MeasuredRow

__all__ = [
    "differences_from",
    "false_discovery",
    "holm",
    "paired_differences",
    "rankings_of_the_same_codes",
    "tested_orders",
]


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for their number (Holm 1979): reject where the adjusted one is below the level.

    With p sorted, ``max over j <= i of min(1, (m - j + 1) p_j)``: the chance of even one false rejection among all m
    stays below the level, whatever their dependence. NaN stays NaN and does not count.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    defined = sorted((p, place) for place, p in enumerate(p_values) if not math.isnan(p))
    adjusted = [math.nan] * len(p_values)
    highest = 0.0
    for number, (p, place) in enumerate(defined):
        highest = max(highest, min(1.0, (len(defined) - number) * p))
        adjusted[place] = highest
    return adjusted


def false_discovery(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for their number (Benjamini and Hochberg 1995): of those below a level, that share is false.

    With p sorted, ``min over j >= i of min(1, m p_j / j)``: among all that are found, the expected share of false ones
    stays below the level, where the tests are independent or lean the same way. NaN stays NaN and does not count.

    Examples
    --------
    >>> [round(p, 3) for p in false_discovery([0.01, 0.04, 0.03])]
    [0.03, 0.04, 0.04]
    """
    defined = sorted((p, place) for place, p in enumerate(p_values) if not math.isnan(p))
    adjusted = [math.nan] * len(p_values)
    lowest = 1.0
    for rank in range(len(defined), 0, -1):
        p, place = defined[rank - 1]
        lowest = min(lowest, len(defined) * p / rank)
        adjusted[place] = lowest
    return adjusted


def paired_differences(
    pairs: Sequence[tuple[MeasuredRow, MeasuredRow]], patients: NDArray[Any], settings: IntervalSettings
) -> list[dict[str, dict[str, Any]]]:
    """Compare two rows of every pair, query by query.

    Parameters
    ----------
    pairs
        Measured rows: the difference is the first less the second.
    patients
        str (q,), of the queries.
    settings
        Of the bootstrap.

    Returns
    -------
    list of dict
        For every pair, by measure: mean, low, high (bootstrap over patients), p_value (`sign_flip_p_value`, which has
        no floor of resamples), and ``p_holm`` and ``p_fdr``, adjusted over all pairs of the measure.
    """
    found: list[dict[str, dict[str, Any]]] = [{} for _ in pairs]
    for measure in pairs[0][0].values if pairs else ():
        differences = [
            paired_difference(
                row.values[measure],
                base.values[measure],
                patients,
                n_resamples=settings.n_resamples,
                seed=settings.seed,
            )
            for row, base in pairs
        ]
        p_values = [sign_flip_p_value(row.values[measure], base.values[measure], patients) for row, base in pairs]
        columns = zip(found, differences, p_values, holm(p_values), false_discovery(p_values), strict=True)
        for of_pair, difference, p_value, p_holm, p_fdr in columns:
            kept = {name: getattr(difference, name) for name in ("mean", "low", "high")}
            adjusted = {"p_value": p_value, "p_holm": p_holm, "p_fdr": p_fdr}
            of_pair[measure] = {
                name: None if math.isnan(value) else value for name, value in {**kept, **adjusted}.items()
            }
    return found


def differences_from(
    rows: Sequence[MeasuredRow], reference: MeasuredRow, patients: NDArray[Any], settings: IntervalSettings
) -> dict[str, dict[str, dict[str, Any]]]:
    """Compare every measured row with the reference: `paired_differences` by the names of the other rows."""
    others = [row for row in rows if row.values and row is not reference]
    found = paired_differences([(row, reference) for row in others], patients, settings)
    return dict(zip((row.name for row in others), found, strict=True))


def rankings_of_the_same_codes(
    rows: Sequence[MeasuredRow], patients: NDArray[Any], settings: IntervalSettings
) -> list[dict[str, Any]]:
    """Compare every ranking with the first one of its method and length: the same codes in another order.

    For bits, where the experiment names "hamming" first, this is the graph engine against the rank of hashing.

    Returns
    -------
    list of dict
        ``row`` and ``reference``, names of rows, and ``differences`` as `paired_differences`.
    """
    first: dict[tuple[str, int | None], MeasuredRow] = {}
    pairs = []
    for row in rows:
        if row.values:
            base = first.setdefault((row.method, row.n_bits), row)
            if base is not row:
                pairs.append((row, base))
    found = paired_differences(pairs, patients, settings)
    return [
        {"row": row.name, "reference": base.name, "differences": differences}
        for (row, base), differences in zip(pairs, found, strict=True)
    ]


def tested_orders(
    orders: Sequence[OrderSettings],
    rows: Sequence[MeasuredRow],
    patients: NDArray[Any],
    settings: IntervalSettings,
) -> list[dict[str, Any]]:
    """Compare neighbours of every published order, and its first with its last.

    Returns
    -------
    list of dict
        ``title``, ``better`` and ``worse`` (names of rows, as the paper has them), and ``differences``, above 0 where
        the paper's order holds; ``p_holm`` counts the pairs of all orders. A method without figures is passed over.
    """
    pairs, titles = [], []
    for order in orders:
        found = [row for row in (_row_of(name, order.ranking, rows) for name in order.methods) if row is not None]
        couples = list(itertools.pairwise(found)) + ([(found[0], found[-1])] if len(found) > 2 else [])
        pairs += couples
        titles += [order.title] * len(couples)
    differences = paired_differences(pairs, patients, settings)
    return [
        {"title": title, "better": better.name, "worse": worse.name, "differences": of_pair}
        for title, (better, worse), of_pair in zip(titles, pairs, differences, strict=True)
    ]


def _row_of(name: str, ranking: str, rows: Sequence[MeasuredRow]) -> MeasuredRow | None:
    found = named_row(name, ranking, [vars(row) for row in rows if row.values])
    return None if found is None else next(row for row in rows if row.name == found["name"])
