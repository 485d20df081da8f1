"""The exception tree: every error says what was wrong, where, what is allowed, and what to do next.

``exit_status`` is what the command line returns for the error: 2 when the call itself was wrong,
1 when the call was right and the work failed.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "ClusterError",
    "CodesError",
    "DamagedIndexError",
    "DataError",
    "DatasetSpecError",
    "DeviceError",
    "EncoderError",
    "ExperimentError",
    "FilmError",
    "GraphretError",
    "IndexLockedError",
    "InvalidParameterError",
    "MissingDependencyError",
    "MissingFileError",
    "NotAnIndexError",
    "PluginError",
    "StoreError",
    "UnknownNameError",
]


class GraphretError(Exception):
    """Base of every error that graphret raises on purpose."""

    exit_status = 1


class InvalidParameterError(GraphretError, ValueError):
    """A parameter has a value that is not allowed.

    Examples
    --------
    >>> print(InvalidParameterError("k", 0, "an integer >= 1", "ask for at least one film"))
    k=0 is not allowed: give an integer >= 1 (ask for at least one film)
    """

    exit_status = 2

    def __init__(self, name: str, got: object, allowed: str, hint: str = "") -> None:
        text = f"{name}={_short(got)} is not allowed: give {allowed}"
        super().__init__(f"{text} ({hint})" if hint else text)
        self.name = name
        self.got = got


class UnknownNameError(InvalidParameterError):
    """A name is not in its registry; the message lists the registry and the closest name.

    Examples
    --------
    >>> print(UnknownNameError("ranking", "neares", ["nearest", "diffusion"]))
    ranking='neares' is not allowed: give one of diffusion, nearest (did you mean 'nearest'?)
    """

    def __init__(self, name: str, got: object, known: Iterable[str], hint: str = "") -> None:
        names = sorted(known)
        close = difflib.get_close_matches(str(got), names, n=1)
        guess = f"did you mean {close[0]!r}?" if close else hint
        super().__init__(name, got, f"one of {', '.join(names)}", guess)


class MissingFileError(GraphretError, FileNotFoundError):
    """A file or folder that the call named does not exist."""

    exit_status = 2

    def __init__(self, path: str | Path, what: str, hint: str) -> None:
        super().__init__(f"{what} not found: {path} ({hint})")
        self.path = Path(path)


class CodesError(GraphretError, ValueError):
    """Codes have a wrong shape, length, or values that are not finite."""

    exit_status = 2


class DataError(GraphretError):
    """A data set cannot be read as its dataset spec says."""


class DatasetSpecError(DataError):
    """A dataset spec is not valid; the message names the key and the known ones."""

    exit_status = 2


class ExperimentError(GraphretError):
    """An experiment file of a comparison is not valid; the message names the file, the key and what is allowed."""

    exit_status = 2


class FilmError(DataError):
    """One film cannot be decoded; ``path`` and ``reason`` say which and why."""

    def __init__(self, path: str | Path, reason: str) -> None:
        super().__init__(f"cannot read film {path}: {reason}")
        self.path = Path(path)
        self.reason = reason


class EncoderError(GraphretError):
    """An encoder cannot be made, loaded or applied."""


class PluginError(GraphretError):
    """What another package adds to graphret cannot be used; the message names the package."""


class DeviceError(GraphretError):
    """The device that was asked for is not there."""

    exit_status = 2


class MissingDependencyError(GraphretError, ImportError):
    """An optional package is not installed, or does not load; the message gives the command that brings it.

    ``extra`` is "" for a package that no extra of graphret has.

    Examples
    --------
    >>> print(MissingDependencyError("faiss", "cpu", "backend='faiss'", "libcudart.so.12 is not there"))
    backend='faiss' needs the package faiss, which does not load (libcudart.so.12 is not there): pip install ...
    >>> print(MissingDependencyError("umap-learn", "", "UMAP"))
    UMAP needs the package umap-learn: pip install umap-learn
    """

    def __init__(self, package: str, extra: str, purpose: str, reason: str = "") -> None:
        broken = f", which does not load ({reason})" if reason else ""
        wanted = f"'graphret[{extra}]'" if extra else package
        super().__init__(f"{purpose} needs the package {package}{broken}: pip install {wanted}")
        self.package = package
        self.extra = extra
        self.reason = reason


class ClusterError(GraphretError):
    """Work on several machines failed: they cannot be reached, or a piece of the work failed on all that tried it."""


class StoreError(GraphretError):
    """A file, or an index on disk, cannot be read or written."""


class NotAnIndexError(StoreError):
    """The folder holds no graphret index."""

    exit_status = 2

    def __init__(self, path: str | Path, reason: str = "it has no CURRENT file") -> None:
        super().__init__(f"{path} is not a graphret index: {reason} (make one with `graphret build`)")
        self.path = Path(path)


class DamagedIndexError(StoreError):
    """A primary file of an index is missing or fails its checksum; ``file`` is its path."""

    def __init__(self, file: str | Path, reason: str) -> None:
        super().__init__(
            f"damaged index: {file}: {reason} "
            "(run `graphret verify` on the index; restore the file from a backup, or build again)"
        )
        self.file = Path(file)


class StaleFrontError(StoreError):
    """Shards have changed since they were joined; ``shards`` are their folders, in order."""

    def __init__(self, front: str | Path, changed: str | Path, shards: Iterable[Path]) -> None:
        self.front, self.shards = Path(front), list(shards)
        words = " ".join(map(str, self.shards))
        super().__init__(
            f"{front} is out of date: the films of {changed} are no longer those that were joined (run `graphret "
            f"join-shards {words} --out {front}` again; graphret.open([...]) asks the shards without their communities)"
        )


class IndexLockedError(StoreError):
    """Another process is writing this index."""


def _short(value: object, limit: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."
