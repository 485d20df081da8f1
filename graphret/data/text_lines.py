"""The lines of a text file, plain or gzipped, in UTF-8, or in UTF-16 or UTF-32 with their mark.

A file is never read whole, and a packed one only as far as its size makes sense.
"""

from __future__ import annotations

import codecs
import gzip
import io
import logging
import re
import zlib
from typing import TYPE_CHECKING, Any

from graphret._errors import DataError
from graphret.data.listing import open_regular

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["LINE_END", "TextLines"]

logger = logging.getLogger(__name__)

LINE_END = re.compile(r"\r\n|\r|\n")
_LONGEST_LINE = 1 << 24
_SMALL, _MOST_UNPACKED = 1 << 24, 100  # tables of films are packed to a fifth or a tenth
_BLOCK = 1 << 16
_ENCODINGS = (
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark begins it
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class TextLines:
    """Iterate over the lines of a file, each with its end.

    Parameters
    ----------
    path
        A regular file. Whether it is gzipped, and how it is encoded, is seen from its content; an encoding other than
        UTF-8 is logged.

    Attributes
    ----------
    number
        Lines read so far.
    pending
        The latest lines, for whoever wants them together: to be cleared from outside.

    Raises
    ------
    DataError
        While iterating: the file cannot be read, is not text, has a line of more than 16,777,216 characters, or unpacks
        to more than a hundred times its size (and 16 MiB).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.number = 0
        self.pending: list[str] = []

    def __iter__(self) -> Iterator[str]:
        try:
            with _open_bytes(self.path) as file:
                encoding = _encoding(file)
                if encoding != "utf-8-sig":
                    logger.warning("%s: it is read as %s", self.path, encoding.upper())
                with io.TextIOWrapper(file, encoding=encoding, newline="") as text:
                    while line := text.readline(_LONGEST_LINE + 1):
                        self.number += 1
                        self._check(line)
                        self.pending.append(line)
                        yield line
        except UnicodeDecodeError as error:
            raise DataError(self._not_text(error)) from error
        except (OSError, EOFError, zlib.error) as error:
            after = f" after line {self.number}" if self.number else ""
            reason = getattr(error, "strerror", None) or error
            raise DataError(f"the table {self.path} cannot be read{after}: {reason}") from error

    def _check(self, line: str) -> None:
        if len(line) > _LONGEST_LINE:
            raise DataError(f"line {self.number} of {self.path} has more than {_LONGEST_LINE:,} characters")
        if "\0" in line:
            raise DataError(
                f"line {self.number} of {self.path} holds zero bytes: the file is damaged, no table, or UTF-16 without "
                "its mark: save it as UTF-8"
            )

    def _not_text(self, error: UnicodeDecodeError) -> str:
        line, byte = _undecodable(self.path)
        hint = "" if byte is None else f" (byte 0x{byte:02x})"
        older = " (from an older program it is probably Windows-1252, also called Latin-1 or ANSI)"
        return (
            f"the table {self.path} cannot be read: line {line} is not {error.encoding.upper()}{hint}: save the file "
            f"as UTF-8{older if error.encoding.startswith('utf-8') else ''}"
        )


class _Unpacked(io.RawIOBase):
    """The content of a gzip file, as long as it is in proportion to the file."""

    def __init__(self, file: io.BufferedReader) -> None:
        packed = file.seek(0, io.SEEK_END)
        file.seek(0)
        self._file, self._content = file, gzip.GzipFile(fileobj=file)
        self._allowed = self._left = max(_SMALL, _MOST_UNPACKED * packed)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._content.read(len(buffer))
        self._left -= len(data)
        if self._left < 0:
            raise OSError(
                f"it unpacks to more than {self._allowed:,} bytes, which no table of films does: unpack it first"
            )
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._content.close()
        self._file.close()
        super().close()


def _open_bytes(path: Path) -> io.BufferedReader:
    file = open_regular(path)
    try:
        is_packed = file.peek(2).startswith(b"\x1f\x8b")
        return io.BufferedReader(_Unpacked(file), _BLOCK) if is_packed else file
    except BaseException:
        file.close()
        raise


def _encoding(file: io.BufferedReader) -> str:
    head = file.peek(4)
    return next((name for mark, name in _ENCODINGS if head.startswith(mark)), "utf-8-sig")


def _undecodable(path: Path) -> tuple[int, int | None]:
    """Line and byte at which a file cannot be decoded: read again, since a reader of lines decodes ahead of them."""
    with _open_bytes(path) as file:
        decoder = codecs.getincrementaldecoder(_encoding(file))()
        line, carried = 1, ""
        while True:
            data = file.read(_BLOCK)
            try:
                text = carried + decoder.decode(data, final=not data)
            except UnicodeDecodeError as error:
                text = carried + error.object[: error.start].decode(error.encoding, "replace")
                byte = error.object[error.start] if error.start < len(error.object) else None
                return line + len(LINE_END.findall(text)), byte
            if not data:
                return line, None
            carried = "\r" if text.endswith("\r") else ""  # its \n may come with the next block
            line += len(LINE_END.findall(text[: len(text) - len(carried)]))
