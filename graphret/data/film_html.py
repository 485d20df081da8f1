"""Films as HTML for notebooks: small pictures inside the text, names escaped, nothing from outside."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphret._errors import FilmError
from graphret.data.decoding.grey import as_film
from graphret.data.images import read_pixels
from graphret.data.thumbnails import thumbnail
from graphret.html import picture, text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

__all__ = ["film_figure", "film_row"]

SIDE = 112
"""Longest side of a picture, px."""


def film_figure(film: Any, lines: Sequence[str], read: Callable[[str], NDArray[Any]] = read_pixels) -> str:
    """Return a film and the lines under it as HTML.

    Parameters
    ----------
    film
        Path of a film, pixels (h, w) as `read_pixels` gives them, or None for no picture. A film that cannot be read is
        a box that says so.
    lines
        Texts; escaped here.
    read
        Decodes a file, as `Decoding.reader` gives it.

    Examples
    --------
    >>> film_figure(None, ["a<b"]).endswith('<figcaption>a&lt;b</figcaption></figure>')
    True
    """
    try:
        shown = _picture(film, read)
    except FilmError:
        shown = _box("not readable")
    caption = "<br>".join(map(text, lines))
    return (
        f'<figure style="margin:4px;width:{SIDE}px;font-size:11px;overflow-wrap:anywhere">{shown}'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def film_row(title: str, figures: Sequence[str]) -> str:
    """Return a line of text, escaped, and figures beside each other below it."""
    return f'<div>{text(title)}<div style="display:flex;flex-wrap:wrap">{"".join(figures)}</div></div>'


def _picture(film: Any, read: Callable[[str], NDArray[Any]]) -> str:
    if film is None or (isinstance(film, str) and not film):
        return _box("no film")
    pixels = read(str(film)) if isinstance(film, str | Path) else film
    content = io.BytesIO()
    film = as_film(pixels)
    thumbnail(film, min(SIDE, max(film.shape))).save(content, format="PNG")
    return picture(content.getvalue(), "")


def _box(words: str) -> str:
    style = f"width:{SIDE}px;height:{SIDE}px;background:#b0b0b0;display:flex;align-items:center;justify-content:center"
    return f'<div style="{style}">{text(words)}</div>'
