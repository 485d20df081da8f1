"""Films that a query may not get: one check of the lists for all that take them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._errors import InvalidParameterError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graphret._types import Int32Array

__all__ = ["check_forbidden"]


def check_forbidden(forbidden: Sequence[Any], n_queries: int, n_films: int) -> list[Int32Array]:
    """Return int32 lists, or say which position no film has."""
    if len(forbidden) != n_queries:
        raise InvalidParameterError("forbidden", f"{len(forbidden)} lists", f"{n_queries} lists, one per query")
    lists = [np.asarray(entry, dtype=np.int64).reshape(-1) for entry in forbidden]
    for entry in lists:
        wrong = entry[(entry < 0) | (entry >= n_films)]
        if wrong.size:
            raise InvalidParameterError("forbidden", int(wrong[0]), f"positions from 0 to {n_films - 1}")
    return [entry.astype(np.int32) for entry in lists]
