"""The two files of `graphret encode`, codes and the table of their films, published so that they are never mistaken."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from graphret._errors import DataError, MissingFileError
from graphret.data import ImageTable
from graphret.files import map_array, move, replacing, sha256_of

if TYPE_CHECKING:
    from pathlib import Path

    from graphret._types import Codes

__all__ = ["ENCODED_CODES", "ENCODED_FILMS", "read_encoded", "write_encoded"]

ENCODED_CODES, ENCODED_FILMS = "codes.npy", "films.parquet"
_KEY = b"graphret codes"
"""Of the table's metadata: the sha256 of the file of codes that its rows belong to."""


def write_encoded(folder: Path, codes: Path, films: ImageTable) -> None:
    """Put a finished file of codes and the table of its films into a folder.

    Two files cannot be replaced in one step. So the table says the sha256 of its codes: killed between the two, the
    folder holds a new table beside old codes, which `read_encoded` refuses.

    Raises
    ------
    StoreError
        The disk is full, or the folder cannot be written to.
    """
    import pyarrow.parquet as pq

    table = films.to_arrow()
    metadata = {**(table.schema.metadata or {}), _KEY: sha256_of(codes).encode()}
    with replacing(folder / ENCODED_FILMS) as file:
        pq.write_table(table.replace_schema_metadata(metadata), file)
    move(codes, folder / ENCODED_CODES)


def read_encoded(folder: Path) -> tuple[Codes, ImageTable]:
    """Read codes, and the films of their rows, that `graphret encode` wrote.

    Returns
    -------
    codes, films
        float32 (n, d), memory-mapped; and n rows.

    Raises
    ------
    MissingFileError
        The folder does not hold both files.
    DataError
        They do not belong together: the encoding was killed while it replaced them.
    DamagedIndexError
        The codes are no array.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from graphret.files import write_array
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> write_array(folder / "new.npy", np.eye(2, dtype=np.float32))
    >>> films = ImageTable(ids=["a", "b"], paths=[], labels=[], label_names=())
    >>> write_encoded(folder, folder / "new.npy", films)
    >>> read_encoded(folder)[1].ids.tolist()
    ['a', 'b']
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    for name in (ENCODED_CODES, ENCODED_FILMS):
        if not (folder / name).is_file():
            raise MissingFileError(folder / name, "file", "`graphret encode` writes codes.npy and films.parquet")
    try:
        table = pq.read_table(folder / ENCODED_FILMS)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"cannot read {folder / ENCODED_FILMS}: {error} (encode again)") from error
    codes = map_array(folder / ENCODED_CODES)
    stated = (table.schema.metadata or {}).get(_KEY, b"").decode("ascii", "replace")
    if stated != sha256_of(folder / ENCODED_CODES) or len(codes) != table.num_rows or codes.dtype != np.float32:
        raise DataError(
            f"{folder / ENCODED_CODES} are not the codes of {folder / ENCODED_FILMS} ({len(codes)} codes, "
            f"{table.num_rows} films): the encoding was stopped between the two; run the same `graphret encode` again"
        )
    return codes, ImageTable.from_arrow(table)
