"""What binary codes are like: how full their bits are, how alike, and how far the values stand from their signs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from graphret.comparison.ties import expected_under_ties
from graphret.evaluation.queries import rows_with_same
from graphret.hashing import pack_bits

if TYPE_CHECKING:
    from graphret._types import Codes, Float64Array
    from graphret.data import ImageTable

__all__ = ["bit_statistics", "precision_of_cuts"]

_ALIKE = 0.95
"""Share of films from which on a bit counts as constant."""
_NEAR = 0.1
"""Part of the mean distance from 0 below which a value counts as near 0."""
_MOST_BITS = 256
"""Bits whose correlations are taken."""


def bit_statistics(codes: Codes) -> dict[str, float | int | None]:
    """Describe the bits of codes, and what is lost with the sign.

    With ``p_j`` the share of films whose bit j is +1 (sign(0) = +1) and ``v`` the values before the sign:

    - ``entropy``: mean over bits of ``-p log2 p - (1 - p) log2 (1 - p)``, in [0, 1]; 1 where each halves the films;
    - ``constant_bits``: share of bits that at least 95 % of the films have alike;
    - ``correlation``: mean over two bits of the absolute correlation of their signs, in [0, 1]; of the first 256 bits,
      without those that all films have alike; None where fewer than two are left;
    - ``distinct_codes``: number of different codes;
    - ``quantisation_error``: mean of ``| |v| - 1 |``, the term of Cai et al. 2019, Eq. 3. It says something only of
      methods whose values are trained towards +1 and -1 (CNNH's are those before its tanh);
    - ``near_zero``: share of values nearer to 0 than a tenth of the mean ``|v|``: signs that a small change turns;
    - ``sign_cosine``: mean over films of the cosine between the values and their signs, ``|v|_1 / (sqrt(d) |v|_2)``, of
      any scale; films with a code of zeros have no part.

    Parameters
    ----------
    codes
        float32 (n, d), n and d >= 1, finite: values before the sign.

    Notes
    -----
    O(n d + n m^2) for m = min(d, 256).

    Examples
    --------
    >>> found = bit_statistics(np.array([[1, 1], [-1, 1], [2, -1], [-2, -1]], dtype=np.float32))
    >>> found["entropy"], found["constant_bits"], found["correlation"], found["distinct_codes"]
    (1.0, 0.0, 0.0, 4)
    >>> found["quantisation_error"], round(found["sign_cosine"], 4)
    (0.25, 0.9743)
    """
    positive = codes >= 0
    shares = positive.mean(axis=0)
    sizes = np.abs(codes).astype(np.float64)
    lengths = np.sqrt(np.square(sizes).sum(axis=1))
    some = lengths > 0
    cosines = sizes[some].sum(axis=1) / (lengths[some] * np.sqrt(codes.shape[1]))
    return {
        "entropy": float(_entropies(shares).mean()),
        "constant_bits": float((np.maximum(shares, 1 - shares) >= _ALIKE).mean()),
        "correlation": _correlation(positive[:, :_MOST_BITS].astype(np.float64)),
        "distinct_codes": len(np.unique(pack_bits(codes), axis=0)),
        "quantisation_error": float(np.abs(sizes - 1).mean()),
        "near_zero": float((sizes < _NEAR * sizes.mean()).mean()),
        "sign_cosine": float(cosines.mean()) if some.any() else None,
    }


def precision_of_cuts(
    codes: tuple[Codes, Codes], films: tuple[ImageTable, ImageTable], *, exclude: str
) -> dict[str, float | None]:
    """P@10 by Hamming distance with every bit cut at 0, and cut at its median over the searched films.

    The second cut makes every bit halve the searched films. Where it finds much more than the first, bits were lost to
    a threshold in the wrong place; where it finds as little, and the values find more, they were lost to the sign.

    Parameters
    ----------
    codes, films
        Of the queries, and of the films that are searched; float32 (q, d) and (n, d).
    exclude
        ``"patient"``: no film of the query's patient is found; ``"none"``: not the query itself.

    Returns
    -------
    dict
        ``cut_at_zero`` and ``cut_at_median``: means over the queries, films at one distance in random order
        (`expected_under_ties`); None where no query has a relevant label.
    """
    (asked, searched), (queries, database) = codes, films
    column = "patient" if exclude == "patient" else "id"
    excluded = rows_with_same(queries.column(column), database.column(column))
    middle = np.median(searched, axis=0)
    cuts = {"cut_at_zero": (asked, searched), "cut_at_median": (asked - middle, searched - middle)}
    return {name: expected_under_ties(cut, films, excluded, ["P@10"])["P@10"] for name, cut in cuts.items()}


def _entropies(shares: Float64Array) -> Float64Array:
    """Entropy of bits with these shares of +1, in bits."""
    terms = [np.where(p > 0, -p * np.log2(np.where(p > 0, p, 1)), 0.0) for p in (shares, 1 - shares)]
    return np.asarray(terms[0] + terms[1])


def _correlation(bits: Float64Array) -> float | None:
    """Mean absolute correlation of two different columns."""
    centred = bits - bits.mean(axis=0)
    lengths = np.sqrt(np.square(centred).sum(axis=0))
    unit: Any = centred[:, lengths > 0] / lengths[lengths > 0]
    n_bits = unit.shape[1]
    if n_bits < 2:
        return None
    return float((np.abs(unit.T @ unit).sum() - n_bits) / (n_bits * (n_bits - 1)))
