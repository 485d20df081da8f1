"""Small pictures of films, to be looked at."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from graphret._checks import check_integer
from graphret._errors import FilmError
from graphret._threads import available_threads
from graphret.data.decoding.grey import as_film
from graphret.data.isolated import Decoding
from graphret.data.listing import file_problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from graphret._types import Float32Array, Progress

__all__ = ["Thumbnails", "read_thumbnails", "thumbnail"]

_QUALITY = 85


def thumbnail(film: Float32Array, side: int) -> Image.Image:
    """Return a film as a grey 8-bit picture whose longer side is ``side`` px, its proportions kept.

    Parameters
    ----------
    film
        float32 (h, w) in [0, 1], as `read_film` gives it.
    side
        Length of the longer side, >= 1.

    Examples
    --------
    >>> thumbnail(np.zeros((40, 20), dtype=np.float32), 10).size
    (5, 10)
    """
    height, width = film.shape
    scale = check_integer("side", side, 1) / max(height, width)
    grey = Image.fromarray(np.clip(np.rint(film * 255), 0, 255).astype(np.uint8))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return grey.resize(size, Image.Resampling.LANCZOS)


@dataclass(frozen=True)
class Thumbnails:
    """JPEG files of films by path, and why there is none of the others."""

    pictures: dict[str, bytes]
    problems: dict[str, str]


def read_thumbnails(
    paths: Iterable[str],
    side: int = 160,
    *,
    decoding: Decoding | None = None,
    n_threads: int | None = None,
    progress: Progress | None = None,
) -> Thumbnails:
    """Make a small JPEG of every film; a film that cannot be read (any more) is a problem with its reason.

    Parameters
    ----------
    paths
        Films; one that comes several times is read once.
    side
        Longer side in px, >= 1.
    decoding
        What one film may take, and whether films are decoded in processes of their own; the defaults when not given.
    n_threads
        Threads that read; ``None`` for all processors.
    progress
        Called as ``progress("thumbnails", done, total)``.

    Examples
    --------
    >>> read_thumbnails(["/no/film.png"]).problems
    {'/no/film.png': 'there is no such file'}
    """
    check_integer("side", side, 1)
    names = list(dict.fromkeys(paths))
    made = Thumbnails({}, {})

    def make(path: str) -> bytes | str:
        reason = file_problem(path) if path else "there is no file of it"
        if reason:
            return reason
        try:
            film = as_film(read(path))
        except FilmError as error:
            return error.reason
        except MemoryError:
            return "there is not enough memory for its picture"
        content = io.BytesIO()
        thumbnail(film, side).save(content, format="JPEG", quality=_QUALITY)
        return content.getvalue()

    n_workers = available_threads() if n_threads is None else check_integer("n_threads", n_threads, 1)
    with (decoding or Decoding()).reader() as read, ThreadPoolExecutor(n_workers) as pool:
        for number, (name, found) in enumerate(zip(names, pool.map(make, names), strict=True)):
            if isinstance(found, bytes):
                made.pictures[name] = found
            else:
                made.problems[name] = found
            if progress is not None:
                progress("thumbnails", number + 1, len(names))
    return made
