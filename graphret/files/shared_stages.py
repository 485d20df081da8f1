"""Stages in storage that several machines share: a folder, or any URL that fsspec opens."""

from __future__ import annotations

from contextlib import contextmanager
from io import BytesIO
from typing import IO, TYPE_CHECKING

from graphret._errors import InvalidParameterError, MissingDependencyError, StoreError
from graphret.files.stages import Stages, stage_file

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["SharedStages", "open_stages"]


class SharedStages(Stages):
    """Finished stages under a URL, as `Stages` keeps them in a folder.

    A stage is written as one object. Where that is not one step (a network folder that was cut off), what is left of it
    fails its checksums, and counts as not done.

    Parameters
    ----------
    url
        As fsspec takes it: ``file:///mnt/shared/x``, ``s3://bucket/x`` (needs s3fs), ``gs://bucket/x`` (needs gcsfs),
        ``memory://x`` (one process).

    Raises
    ------
    InvalidParameterError
        fsspec does not know this kind of URL, or lacks a package for it.
    StoreError
        The storage refuses.

    Examples
    --------
    >>> import numpy as np
    >>> stages = SharedStages("memory://graphret-example")
    >>> stages.save("graph", "key", {"n": 2}, {"indptr": np.arange(3)})
    >>> stages.load("graph", "key").record, stages.load("graph", "other key")
    ({'n': 2}, None)
    """

    def __init__(self, url: str) -> None:
        try:
            from fsspec.core import url_to_fs
        except ImportError as error:
            raise MissingDependencyError("fsspec", "ray", f"storage at {url}") from error
        try:
            self._files, self._root = url_to_fs(url)
        except (ValueError, ImportError) as error:  # an unknown protocol; one whose package is not there
            raise InvalidParameterError("storage", url, "a folder, or a URL that fsspec opens", str(error)) from error
        self.url = url
        with self._errors("make"):
            self._files.makedirs(self._root, exist_ok=True)

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreError(f"cannot {what} {self.url}: {error}") from error

    def _object(self, name: str, key: str) -> str:
        return f"{self._root}/{stage_file(name, key)}"

    @contextmanager
    def _writing(self, name: str, key: str) -> Iterator[IO[bytes]]:
        buffer = BytesIO()
        yield buffer
        with self._errors("write to"):
            self._files.pipe_file(self._object(name, key), buffer.getvalue())

    @contextmanager
    def _reading(self, name: str, key: str) -> Iterator[IO[bytes]]:
        with self._files.open(self._object(name, key), "rb") as file:
            yield file

    def keep_only(self, key: str) -> None:
        """Remove the results that were made under other keys."""
        with self._errors("tidy"):
            for path in self._files.ls(self._root, detail=False, refresh=True):
                if path.endswith(".npz") and not path.endswith(stage_file("", key)):
                    self._files.rm_file(path)


def open_stages(place: str) -> Stages:
    """Open stages at a URL (with "://"), or in a folder.

    Examples
    --------
    >>> type(open_stages("memory://graphret-example")).__name__
    'SharedStages'
    """
    return SharedStages(place) if "://" in place else Stages(place)
