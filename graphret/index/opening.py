"""Opening an index, also where a caller gives its folder in the place of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, overload

from graphret._errors import InvalidParameterError
from graphret.files import check_path
from graphret.index.front import is_front
from graphret.index.index import Index
from graphret.index.joined import JoinedIndex
from graphret.index.shards import ShardedIndex
from graphret.index.source import check_encoder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from graphret.encoders import Encoder, ModelEncoder

__all__ = ["as_index", "open"]


@overload
def open(path: str | os.PathLike[str], *, encoder: Encoder | ModelEncoder | None = None) -> Index: ...
@overload
def open(
    path: Sequence[str | os.PathLike[str]], *, encoder: Encoder | ModelEncoder | None = None
) -> Index | ShardedIndex: ...
def open(
    path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    encoder: Encoder | ModelEncoder | None = None,
) -> Index | ShardedIndex:
    """Open an index for queries; nothing is locked, and no generation is ever written.

    Parameters
    ----------
    path
        Folder of the index, or one in which shards were joined (`JoinedIndex`). A list of folders: indexes that are
        asked as one, its shards (`ShardedIndex`).
    encoder
        The encoder of the index where it is in memory already, or loaded for another device; otherwise it is loaded
        from the index when the first film is asked for.

    Returns
    -------
    Index or ShardedIndex
        The current generation; a generation that is written later does not change it.

    Raises
    ------
    NotAnIndexError
        The folder is not there, or holds no index.
    DamagedIndexError
        A file is missing or not what was written; it is named. `Index.verify` reads every byte.
    StoreError
        Written by a graphret with a newer format.
    StaleFrontError
        Shards have changed since they were joined.
    EncoderError
        ``encoder`` is not the one that the index was built with; or shards were built with several.
    InvalidParameterError, CodesError, DataError
        Shards that are none of one archive, see `ShardedIndex`.

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
    checked = None if encoder is None else check_encoder(encoder)
    if isinstance(path, str | os.PathLike):
        return _open_one(path, checked)
    paths = list(path)
    return _open_one(paths[0], checked) if len(paths) == 1 else ShardedIndex(paths, encoder=checked)


def _open_one(path: str | os.PathLike[str], encoder: Encoder | None) -> Index:
    kind = JoinedIndex if is_front(check_path("path", path)) else Index
    return kind(path, encoder=encoder)


def as_index(index: Any) -> Index:
    """Return an index as it is, and open the one whose folder is given.

    Raises
    ------
    InvalidParameterError
        Neither of them, or shards, which are only queried.
    NotAnIndexError, DamagedIndexError, StoreError
        As `open`.
    """
    if isinstance(index, str | os.PathLike):
        return open(index)
    if isinstance(index, ShardedIndex):
        raise InvalidParameterError("index", index, "one index", "an index of shards answers queries only")
    if not (hasattr(index, "query") and hasattr(index, "films")):
        raise InvalidParameterError("index", index, "an Index, or the folder of one")
    found: Index = index
    return found
