"""Codes made elsewhere, from a file, and the table that says what their rows are."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graphret._errors import CodesError, DataError, InvalidParameterError, MissingFileError
from graphret.files import check_path

if TYPE_CHECKING:
    from graphret._types import Codes
    from graphret.data import ImageTable

__all__ = ["ReadyCodes", "ReadyTable", "read_ready_codes"]

ReadyCodes = Annotated[
    Path | None,
    typer.Option("--codes", metavar="FILE.npy", help="Codes made elsewhere, float32 (n, d), in place of films."),
]
ReadyTable = Annotated[
    Path | None,
    typer.Option("--table", metavar="FILE.csv", help="With --codes: a row for each, with the columns id, patient, "
                 "view, split, and label:NAME (1, 0, -1); other columns are kept. Or the films.parquet of "
                 "`graphret encode`."),
]  # fmt: skip


def read_ready_codes(codes: Path, table: Path | None) -> "tuple[Codes, ImageTable | None]":
    """Map codes, and read the table of their rows where there is one.

    Raises
    ------
    MissingFileError
        One of the files is not there.
    CodesError
        Not floats (n, d).
    DataError
        The codes are no ``.npy`` array, the table cannot be read, or the two files of one `graphret encode`
        do not belong together.
    InvalidParameterError
        The table has another number of rows than there are codes.
    """
    from graphret.data import read_film_rows
    from graphret.encoding import ENCODED_CODES, ENCODED_FILMS, read_encoded

    both = (ENCODED_CODES, ENCODED_FILMS)
    if table is not None and (codes.name, table.name) == both and codes.parent.absolute() == table.parent.absolute():
        return read_encoded(codes.parent)
    values = _map_codes(codes)
    if table is None:
        return values, None
    films = read_film_rows(table, at_most=len(values) if values.ndim else None)
    if values.ndim == 2 and len(films) != len(values):
        allowed = f"a table of {len(values)} rows, one for every code of {codes}"
        raise InvalidParameterError("table", f"{table} of {len(films)} rows", allowed)
    return values, films


def _map_codes(path: Path) -> "Codes":
    import numpy as np

    if not check_path("codes", path).is_file():
        raise MissingFileError(path, "file of codes", "give a .npy file")
    try:
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path} cannot be read as codes: give a .npy file of float32 (n, d)") from error
    if not isinstance(values, np.ndarray):
        values.close()
        raise DataError(f"{path} holds several arrays: give a .npy file of one, float32 (n, d)")
    if values.ndim != 2 or values.dtype.kind != "f":
        raise CodesError(f"{path} holds {values.dtype} {values.shape}: give float32 (n, d), a row for every film")
    return values.view(np.ndarray)
