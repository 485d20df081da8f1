"""Several examples as one query: films that the hits shall be like, and films that they shall not be like."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from graphret._checks import unit_rows
from graphret._errors import CodesError, InvalidParameterError
from graphret.index.query_input import Queries

if TYPE_CHECKING:
    from graphret._types import Codes, Int32Array
    from graphret.neighbors import Search

__all__ = ["NEGATIVE_WEIGHT", "check_examples", "combine", "films_of_codes", "joined", "name_examples", "nobody"]

NEGATIVE_WEIGHT = 0.15
"""Chosen on validation queries of simulated codes, see benchmarks/query_examples.py."""
_SMALLEST = 1e-3  # length of what is left when examples cancel each other out
_SAME = 1e-4  # of a code that was encoded twice, in batches of different sizes
_LOOKED_AT = 8


def combine(positives: Codes, negatives: Codes, weight: float) -> Codes:
    """Return the code of the examples (Rocchio 1971): mean of the positives - weight * mean of the negatives.

    Codes count with length 1, so that no example counts for more than another; the result has length 1 too. One
    positive alone is left as it is.

    Parameters
    ----------
    positives, negatives
        float32 (p, d) and (m, d), p >= 1, m >= 0.
    weight
        Of the negatives, >= 0.

    Returns
    -------
    numpy.ndarray
        float32 (d,).

    Raises
    ------
    CodesError
        Hardly anything is left: the negatives are where the positives are.

    Examples
    --------
    >>> like, unlike = np.array([[2, 0, 0], [0, 3, 0]], np.float32), np.array([[0, 5, 0]], np.float32)
    >>> combine(like, unlike, 0.5).round(3).tolist()
    [1.0, 0.0, 0.0]
    """
    if len(positives) == 1 and not (len(negatives) and weight):
        alone: Codes = positives[0]
        return alone
    made = unit_rows(positives).mean(axis=0, dtype=np.float64)
    if len(negatives):
        made -= weight * unit_rows(negatives).mean(axis=0, dtype=np.float64)
    length = float(np.linalg.norm(made))
    if length < _SMALLEST:
        raise CodesError(
            "the examples cancel each other out: leave out the negative ones that are like the positive ones, or give "
            "them less weight"
        )
    combined: Codes = (made / length).astype(np.float32)
    return combined


def check_examples(like: Queries, unlike: Queries | None) -> None:
    """Refuse a film that is both.

    Raises
    ------
    InvalidParameterError
        The same film of the archive is among the positives and the negatives.
    """
    if unlike is None:
        return
    known = set(like.known[like.known >= 0].tolist())
    for name, row in zip(unlike.names, unlike.known.tolist(), strict=True):
        if row in known:
            raise InvalidParameterError("negatives", name, "films that are not among the positives as well")


def joined(like: Queries, unlike: Queries | None) -> Queries:
    """Return the positives and then the negatives as queries of one call."""
    if unlike is None:
        return like
    both = (like, unlike)
    return Queries(
        names=like.names + unlike.names,
        codes=np.concatenate([queries.codes for queries in both]),
        films=like.films | {len(like) + number: film for number, film in unlike.films.items()},
        ids=np.concatenate([queries.ids for queries in both]),
        known=np.concatenate([queries.known for queries in both]),
        is_single=False,
    )


def nobody(examples: Queries) -> Queries:
    """Return one query that is no film of the archive, in the place of all examples."""
    nowhere = np.full(1, -1, dtype=np.int32)
    return Queries([""], examples.codes[:1], {}, nowhere, nowhere, is_single=True)


def films_of_codes(search: Search, codes: Codes, known: Int32Array) -> Int32Array:
    """Return the films of the archive that examples are: those that are known, and those with the same code."""
    rows = [known[known >= 0]]
    for code in codes[known < 0]:
        k = min(_LOOKED_AT, len(search.codes))
        while True:
            found = search.search(code[None], k).neighbors[0]
            stored = search.read_codes(found)
            same = np.isclose(stored, code, rtol=_SAME, atol=_SAME * float(np.abs(code).max())).all(axis=1)
            if not same.all() or k == len(search.codes):
                break
            k = min(2 * k, len(search.codes))
        rows.append(found[same])
    return np.unique(np.concatenate(rows)).astype(np.int32)


def name_examples(like: Queries, unlike: Queries | None) -> str:
    """Name the query that examples make.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> name_examples(SimpleNamespace(names=["a", ""]), SimpleNamespace(names=["b"]))
    'like a, an array; unlike b'
    """
    text = f"like {', '.join(name or 'an array' for name in like.names)}"
    return text if unlike is None else f"{text}; unlike {', '.join(name or 'an array' for name in unlike.names)}"
