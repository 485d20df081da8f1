"""Names of patients and studies as salted hashes; the salt is a file of its own, outside of every index.

Who has an index, and not the salt, cannot try out the numbers of a hospital one after the other. Who has both can:
so the salt stays where the archive is built.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import secrets
from pathlib import Path

from graphret._errors import DataError
from graphret.data.listing import open_regular
from graphret.files import create_private

__all__ = ["Pseudonyms", "pseudonym", "salt_file"]

logger = logging.getLogger(__name__)

_VARIABLE = "GRAPHRET_SALT_FILE"
_SHORTEST, _LONGEST = 16, 4096
_DIGITS = 32


def salt_file(named: str | Path | None = None) -> Path:
    """Return where the salt is: the file that is named, else ``GRAPHRET_SALT_FILE``, else the user's own folder.

    Examples
    --------
    >>> salt_file("/secret/salt")
    PosixPath('/secret/salt')
    """
    given = named or os.environ.get(_VARIABLE)
    if given:
        return Path(given).expanduser()
    home = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(home).expanduser() / "graphret" / "salt"


class Pseudonyms:
    """Turn identifiers into salted hashes: HMAC-SHA256 of the kind and the value, 32 hexadecimal digits.

    Parameters
    ----------
    file
        The salt, see `salt_file`; made with 256 random bits, readable by its owner only, where it is not there yet.

    Raises
    ------
    DataError
        The file cannot be read, or holds no text of 16 to 4,096 characters.
    StoreError
        It cannot be made.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     names = Pseudonyms(f"{folder}/salt")
    ...     again = Pseudonyms(f"{folder}/salt")
    >>> len(names.of("patient", "4711")), names.of("patient", "4711") == again.of("patient", "4711")
    (32, True)
    """

    def __init__(self, file: str | Path | None = None) -> None:
        path = salt_file(file)
        if create_private(path, secrets.token_hex(32) + "\n"):
            logger.warning("a new salt was made: %s; keep it, and keep it apart from the index", path)
        try:
            with open_regular(path) as opened:
                if os.fstat(opened.fileno()).st_mode & 0o077:
                    logger.warning("the salt %s may be read by others: chmod 600", path)
                salt = opened.read(_LONGEST + 1).strip()
        except OSError as error:
            raise DataError(f"the salt {path} cannot be read: {error.strerror or error}") from error
        if not _SHORTEST <= len(salt) <= _LONGEST:
            raise DataError(f"the salt {path} has {len(salt)} characters: give {_SHORTEST} to {_LONGEST}")
        self._salt = salt

    def of(self, kind: str, value: str) -> str:
        """Return the hash of an identifier, "" for none; ``kind`` is "patient", "study", "film" or a column's name."""
        if not value:
            return ""
        return hmac.new(self._salt, f"{kind}\0{value}".encode(), hashlib.sha256).hexdigest()[:_DIGITS]


def pseudonym(value: str, kind: str = "patient", file: str | Path | None = None) -> str:
    """Return the name under which an index knows a patient, study or film of DICOM files.

    Parameters
    ----------
    value
        What the DICOM files say: the PatientID, the StudyInstanceUID, the SOPInstanceUID.
    kind
        "patient", "study" or "film".
    file
        The salt, see `salt_file`.

    Raises
    ------
    DataError
        The salt cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     patient = pseudonym("4711", file=f"{folder}/salt")
    ...     film = pseudonym("1.2.840.1", kind="film", file=f"{folder}/salt")
    >>> len(patient), len(film)
    (32, 32)
    """
    return Pseudonyms(file).of(kind, value)
