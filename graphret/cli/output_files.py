"""Places of files that a command writes, checked before its work begins."""

from collections.abc import Sequence
from pathlib import Path

from graphret._errors import InvalidParameterError, MissingFileError

__all__ = ["check_output_file"]


def check_output_file(name: str, path: Path, suffixes: Sequence[str]) -> None:
    """Check the file of a parameter.

    Raises
    ------
    InvalidParameterError
        A name of another kind of file.
    MissingFileError
        Its folder is not there.

    Examples
    --------
    >>> check_output_file("html", Path("hits.png"), (".html", ".htm"))
    Traceback (most recent call last):
    graphret._errors.InvalidParameterError: html='hits.png' is not allowed: give a file that ends in .html or .htm
    """
    if path.suffix.lower() not in suffixes:
        raise InvalidParameterError(name, str(path), f"a file that ends in {' or '.join(suffixes)}")
    if not path.parent.is_dir():
        raise MissingFileError(path.parent, "folder", "make it first")
