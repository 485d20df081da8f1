"""Ranked lists as a pandas DataFrame; pandas is imported here, at the first use, and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._errors import MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["lists_frame"]

_COLUMNS = {
    "ids": "id",
    "positions": "position",
    "similarities": "similarity",
    "scores": "score",
    "communities": "community",
    "sources": "source",
}


def lists_frame(queries: Sequence[str], lists: Mapping[str, NDArray[Any]]) -> Any:
    """Return lists (q, k) as a frame with one row a hit, pads left out: query, query_id, rank, then the lists.

    Raises
    ------
    MissingDependencyError
        pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise MissingDependencyError("pandas", "pandas", "a data frame of hits") from error
    row, place = np.nonzero(lists["positions"] >= 0)
    columns: dict[str, Any] = {"query": row, "query_id": np.array(queries, dtype=object)[row], "rank": place + 1}
    for name, values in lists.items():
        entries = values[row, place]
        columns[_COLUMNS[name]] = entries.astype(object) if entries.dtype.kind == "U" else entries
    return pd.DataFrame(columns)
