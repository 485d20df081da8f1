"""Tags of a DICOM file as texts, without its pixels; an error names the tag, never what is in it."""

from __future__ import annotations

import io
from contextlib import closing
from typing import TYPE_CHECKING, Any

from graphret._errors import FilmError
from graphret.data.decoding.deflated import check_deflated, is_deflated
from graphret.data.decoding.limits import FilmLimits, check_memory
from graphret.data.decoding.quiet import no_warnings
from graphret.data.images import DICOM_SUFFIXES
from graphret.data.listing import open_regular
from graphret.data.table_file import LONGEST_NAME

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

__all__ = ["open_dicom", "read_tags"]

_LIMITS = FilmLimits()


class _Bounded:
    """A file of which no more is asked than it holds: a length in the file may say gigabytes, which are reserved."""

    def __init__(self, file: io.BufferedReader) -> None:
        self._file = file
        self.size = file.seek(0, io.SEEK_END)
        file.seek(0)
        self.seek, self.tell, self.close = file.seek, file.tell, file.close

    def read(self, n_bytes: int = -1) -> bytes:
        left = max(self.size - self._file.tell(), 0)
        return self._file.read(left if n_bytes < 0 else min(n_bytes, left))


def open_dicom(path: Path, *, limits: FilmLimits = _LIMITS) -> AbstractContextManager[Any]:
    """Open a DICOM file for `pydicom.dcmread`: never a pipe, and a deflated one only within the limits.

    Raises
    ------
    FilmError
        A deflated file beyond the limits.
    OSError
        It is no regular file, or cannot be opened.
    """
    bounded: Any = _Bounded(open_regular(path))
    try:
        deflated = is_deflated(bounded)
        bounded.seek(0)
        if not deflated:
            return closing(bounded)
        check_memory(path, bounded.size, limits)
        content = bounded.read()
        check_deflated(path, content, limits)
    except BaseException:
        bounded.close()
        raise
    bounded.close()
    return closing(io.BytesIO(content))


def read_tags(path: Path, keywords: Collection[str], *, limits: FilmLimits = _LIMITS) -> dict[str, list[str]]:
    """Return the values of some tags as texts, by keyword; [] for a tag that is missing or empty.

    Parameters
    ----------
    path
        A DICOM file; without the preamble, only one with a suffix of DICOM.
    keywords
        As in the standard, "PatientID".
    limits
        Of what a deflated file may unpack to.

    Raises
    ------
    FilmError
        No DICOM file, damaged, or a text of more than 255 characters.

    Notes
    -----
    Pixels are not read, unless the file is deflated.
    """
    import pydicom

    try:
        with no_warnings(), open_dicom(path, limits=limits) as file:
            dataset = pydicom.dcmread(
                file,
                stop_before_pixels=True,
                specific_tags=list(keywords),
                force=path.suffix.lower() in DICOM_SUFFIXES,
            )
            return {keyword: list(_texts(path, keyword, dataset)) for keyword in keywords}
    except (FilmError, MemoryError):
        raise
    except pydicom.errors.InvalidDicomError:
        raise FilmError(path, "not a DICOM file") from None
    except OSError as error:
        raise FilmError(path, f"it cannot be opened: {error.strerror or 'damaged'}") from None
    except Exception as error:  # noqa: BLE001 - the texts of pydicom may hold values of the file
        raise FilmError(path, f"the DICOM file is damaged and cannot be read ({type(error).__name__})") from None


def _texts(path: Path, keyword: str, dataset: Any) -> Iterator[str]:
    try:
        value = dataset.get(keyword)
        values = value if hasattr(value, "__len__") and not isinstance(value, str | bytes) else [value]
        texts = [str(one).strip(" \0") for one in values if one is not None]
    except Exception:  # noqa: BLE001 - whatever a value makes pydicom raise, its text may hold the value
        raise FilmError(path, f"damaged DICOM header: the value of {keyword} makes no sense") from None
    for text in texts:
        if len(text) > LONGEST_NAME:
            raise FilmError(path, f"the value of {keyword} has more than {LONGEST_NAME} characters")
        if text:
            yield text.encode(errors="replace").decode()
