"""Many forms of the contextual ranking at once: what they share for a query is found and computed once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from graphret._threads import borrow_threads
from graphret.retrieval._context_kernels import _rank_in_contexts
from graphret.retrieval.contextual import AMONG

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graphret._types import Float64Array, Int32Array
    from graphret.retrieval.contextual import Contextual
    from graphret.retrieval.protocol import QueryBatch

__all__ = ["rank_forms"]


def rank_forms(forms: Sequence[Contextual], queries: QueryBatch, k: int, *, n_threads: int | None = None) -> Int32Array:
    """Rank by many forms of "contextual" that take the same pool: the lists that each gives alone.

    The pool, the edges inside it, the cosines of a form of the query, and their averages over neighbours are shared by
    all forms that ask for the same; the rest is arithmetic on a pool.

    Parameters
    ----------
    forms
        Rankers of one archive, of one size of the pool, >= k, and all in the same learned metric or in none.
    queries
        q queries.
    k
        Films of a list.

    Returns
    -------
    numpy.ndarray
        int32 (forms, q, k), -1 pads.

    Notes
    -----
    One search of the pools where the batch does not hold them. Then, for q queries, O(pool d) for each different query
    code and whitening, O(pool rounds e) for each of these with its context, and O(pool + k log k) for each form.

    Examples
    --------
    >>> from graphret.retrieval import Archive, Contextual, QueryBatch
    >>> archive = Archive.from_codes([[1, 0], [1, 0.1], [0, 1], [0.1, 1]], k=1)
    >>> forms = [Contextual(archive, n=0, context=context) for context in (0.0, 0.9)]
    >>> rank_forms(forms, QueryBatch.of(archive, [0.3, 1], 3), 3).tolist()
    [[[3, 2, 1]], [[2, 3, 0]]]
    """
    first = forms[0]
    archive = first.archive
    order = sorted(range(len(forms)), key=lambda number: _shared(forms[number]))
    asked = first.in_space(queries, max(first.pool, k, *(form.n for form in forms)), n_threads)
    pool = np.ascontiguousarray(asked.neighbors[:, : first.pool])
    views: dict[tuple[object, ...], int] = {}
    cosines: list[Float64Array] = []
    for number in order:
        form = forms[number]
        if _view(form) not in views:
            views[_view(form)] = len(cosines)
            cosines.append(form.cosines(asked, pool, n_threads))
    ordered = [forms[number] for number in order]
    kinds = sorted({form.among for form in ordered if form.density}, key=AMONG.index)
    densities = [np.zeros(archive.n_films)]
    densities += [next(form for form in ordered if form.density and form.among == kind).density_ranks for kind in kinds]
    lists = np.full((len(forms), len(asked), k), -1, np.int32)
    graph = archive.graph
    with borrow_threads(n_threads, at_most=len(asked)) as n_workers:
        _rank_in_contexts(
            graph.indptr,
            graph.indices,
            graph.weights,
            np.stack(densities),
            pool,
            np.stack(cosines),
            (
                np.array([views[_view(form)] for form in ordered], np.int64),
                np.array([form.context for form in ordered], np.float64),
                np.array([form.rounds for form in ordered], np.int64),
                np.array([form.density for form in ordered], np.float64),
                np.array([1 + kinds.index(form.among) if form.density else 0 for form in ordered], np.int64),
            ),
            max(1, min(n_workers, len(asked))),
            lists,
        )
    back = np.empty_like(lists)
    back[order] = lists
    return back


def _view(form: Contextual) -> tuple[object, ...]:
    """What the cosines of a form depend on, beside the pool."""
    return form.n, form.alpha, form.whitening


def _shared(form: Contextual) -> tuple[object, ...]:
    """Orders forms so that those with the same similarities stand together."""
    whitening = -1.0 if form.whitening is None else form.whitening
    return form.n, form.alpha, whitening, form.context, form.rounds
