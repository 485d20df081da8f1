"""Opening an index, also where a caller gives its folder in the place of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from graphret._errors import InvalidParameterError
from graphret.index.index import Index
from graphret.index.source import check_encoder

if TYPE_CHECKING:
    from typing import Any

    from graphret.encoders import Encoder, ModelEncoder

__all__ = ["as_index", "open"]


def open(path: str | os.PathLike[str], *, encoder: Encoder | ModelEncoder | None = None) -> Index:
    """Open an index for queries; nothing is locked, and nothing is ever written.

    Parameters
    ----------
    path
        Folder of the index.
    encoder
        The encoder of the index where it is in memory already, or loaded for another device; otherwise it is loaded
        from the index when the first film is asked for.

    Returns
    -------
    Index
        Its current generation; a generation that is written later does not change it.

    Raises
    ------
    NotAnIndexError
        The folder is not there, or holds no index.
    DamagedIndexError
        A file is missing or not what was written; it is named. `Index.verify` reads every byte.
    StoreError
        Written by a graphret with a newer format.
    EncoderError
        ``encoder`` is not the one that the index was built with.

    Notes
    -----
    Codes are memory-mapped: opening reads what is small, whatever the size of the archive.

    Examples
    --------
    >>> import tempfile, numpy as np, graphret
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     made = graphret.build(np.eye(9, dtype=np.float32), out=folder, k=5)
    ...     open(folder).query("7", k=1).queries
    ['7']
    """
    return Index(path, encoder=None if encoder is None else check_encoder(encoder))


def as_index(index: Any) -> Index:
    """Return an index as it is, and open the one whose folder is given.

    Raises
    ------
    InvalidParameterError
        Neither of them.
    NotAnIndexError, DamagedIndexError, StoreError
        As `open`.
    """
    if isinstance(index, str | os.PathLike):
        return open(index)
    if not (hasattr(index, "query") and hasattr(index, "films")):
        raise InvalidParameterError("index", index, "an Index, or the folder of one")
    found: Index = index
    return found
