"""A picture of queries and their hits, to be looked at: figures do not show what kind of error a ranking makes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._checks import check_integer
from graphret._errors import FilmError, InvalidParameterError
from graphret.data.thumbnails import thumbnail
from graphret.files import replacing

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from PIL import Image, ImageDraw

    from graphret.data import ImageTable

__all__ = ["contact_sheet"]

_GAP = 10
_FRAME = 5
_LINE = 15
_CAPTION_LINES = 3
_HEADER = 2 * _LINE + 2 * _GAP
_RELEVANT = (0, 128, 60)
_NOT_RELEVANT = (196, 40, 30)
_QUERY = (40, 40, 40)
_PAPER = (255, 255, 255)
_GREY = (176, 176, 176)
_INK = (20, 20, 20)


def contact_sheet(
    path: str | Path,
    queries: ImageTable,
    archive: ImageTable,
    positions: Any,
    similarities: Any | None = None,
    *,
    rows: Any | None = None,
    n_queries: int = 8,
    n_hits: int = 5,
    tile: int = 160,
    seed: int = 0,
    title: str = "",
    show_ids: bool = False,
) -> None:
    """Draw queries (first column) with their first hits as a PNG.

    A hit that shares a finding with the query has a green frame and a tick, another a red frame and a cross; under each
    film stand its labels ("?" after an uncertain one) and its similarity. A film that is missing or cannot be read is a
    grey tile that says so.

    Parameters
    ----------
    path
        PNG to write; it appears whole or not at all.
    queries, archive
        Tables of the queries and of the films that were searched, with the same labels.
    positions, similarities
        int (q, k) rows of the archive, -1 pads, and their similarity (not written when None).
    rows
        Queries to draw; drawn at random by ``seed`` when None, so that nobody picks the pretty ones.
    n_queries, n_hits
        At most so many rows, and hits per row.
    tile
        Side of a film in px, >= 64.
    seed
        Of the random choice of rows.
    title
        Text above the sheet, such as the name of the ranking.
    show_ids
        Write the films' ids too. Not by default: ids often hold the number of the patient.

    Raises
    ------
    InvalidParameterError
        A size is out of range, or the lists do not fit the tables.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from graphret.data import ImageTable
    >>> films = ImageTable(ids=["a", "b"], paths=[], labels=[[1], [1]], label_names=("Edema",))  # no files: grey tiles
    >>> path = Path(tempfile.mkdtemp()) / "sheet.png"
    >>> contact_sheet(path, films, films, [[1], [0]], title="nearest")
    >>> path.stat().st_size > 0
    True
    """
    from PIL import Image

    check_integer("n_queries", n_queries, 1)
    check_integer("n_hits", n_hits, 1)
    check_integer("tile", tile, 64, "smaller films cannot be judged")
    lists = np.asarray(positions)
    if lists.ndim != 2 or len(lists) != len(queries) or lists.max(initial=-1) >= len(archive):
        raise InvalidParameterError(
            "positions", lists.shape, f"rows of the archive, one list for each of {len(queries)} queries"
        )
    chosen = _choose(rows, len(queries), n_queries, seed)
    n_columns = 1 + min(n_hits, lists.shape[1])
    cell = (tile + 2 * _FRAME, tile + 2 * _FRAME + _CAPTION_LINES * _LINE)
    size = (_GAP + n_columns * (cell[0] + _GAP), _HEADER + len(chosen) * (cell[1] + _GAP))
    sheet = Image.new("RGB", size, _PAPER)
    painter = _Painter(sheet, tile, show_ids=show_ids)
    painter.header(f"{title}  ({len(chosen)} of {len(queries)} queries{', drawn at random' if rows is None else ''})")
    findings, of_archive = queries.relevance(), archive.relevance()
    for line, query in enumerate(chosen):
        top = _HEADER + line * (cell[1] + _GAP)
        painter.film(_GAP, top, queries, int(query), "query", None)
        for column in range(1, n_columns):
            film = int(lists[query, column - 1])
            left = _GAP + column * (cell[0] + _GAP)
            if film < 0:
                painter.tile(left, top, None, "no further hit", None)
                continue
            similarity = "" if similarities is None else f"  {np.asarray(similarities)[query, column - 1]:.3f}"
            relevant = bool((findings[query] & of_archive[film]).any())
            painter.film(left, top, archive, film, f"{column}.{similarity}", relevant)
    with replacing(path) as file:
        sheet.save(file, format="PNG")


def _choose(rows: Any | None, n_available: int, n_queries: int, seed: int) -> NDArray[np.int64]:
    if rows is None:
        generator = np.random.default_rng(check_integer("seed", seed, 0))
        return np.sort(generator.choice(n_available, min(n_queries, n_available), replace=False))
    chosen = np.asarray(rows)
    if chosen.ndim != 1 or chosen.dtype.kind not in "iu" or not chosen.size or not _within(chosen, n_available):
        raise InvalidParameterError("rows", rows, f"positions of queries, 0 ... {n_available - 1}")
    return chosen[:n_queries].astype(np.int64)


def _within(rows: NDArray[Any], n: int) -> bool:
    return bool(rows.min() >= 0 and rows.max() < n)


class _Painter:
    """Draws tiles on a sheet: the film, its frame and mark, and the lines under it."""

    def __init__(self, sheet: Image.Image, tile: int, *, show_ids: bool) -> None:
        from PIL import ImageDraw, ImageFont

        self.sheet = sheet
        self.size = tile
        self.show_ids = show_ids
        self.draw: ImageDraw.ImageDraw = ImageDraw.Draw(sheet)
        self.font = ImageFont.load_default(12)

    def header(self, title: str) -> None:
        """Write the title and what the marks mean."""
        self.draw.text((_GAP, _GAP), title.strip(), _INK, self.font)
        left = _GAP
        for relevant, meaning in ((True, "shares a finding with the query"), (False, "shares none")):
            self.mark(left, _GAP + _LINE, relevant=relevant)
            self.draw.text((left + 20, _GAP + _LINE + 1), meaning, _INK, self.font)
            left += 40 + int(self.draw.textlength(meaning, self.font))

    def film(self, left: int, top: int, table: ImageTable, row: int, caption: str, relevant: bool | None) -> None:
        """Draw a film of a table with its caption and labels."""
        lines = [caption]
        if self.show_ids:
            lines.append(str(table.ids[row]))
        lines += self.wrapped(_label_text(table, row), _CAPTION_LINES - len(lines))
        self.tile(left, top, _picture(table, row, self.size), "film not readable", relevant, lines)

    def tile(
        self,
        left: int,
        top: int,
        picture: Image.Image | None,
        missing: str,
        relevant: bool | None,
        lines: list[str] | None = None,
    ) -> None:
        """Draw a picture, or a grey tile that says what is missing, with frame, mark and lines of text."""
        outer = self.size + 2 * _FRAME
        frame = {None: _QUERY, True: _RELEVANT, False: _NOT_RELEVANT}[relevant]
        self.draw.rectangle((left, top, left + outer - 1, top + outer - 1), fill=frame if lines else _GREY)
        inside = (left + _FRAME, top + _FRAME)
        if picture is None:
            corner = (inside[0] + self.size - 1, inside[1] + self.size - 1)
            self.draw.rectangle((*inside, *corner), fill=_GREY)
            middle = (left + outer // 2, top + outer // 2)
            self.draw.text(middle, missing, _INK, self.font, anchor="mm")
        else:
            self.sheet.paste(picture, inside)
        if relevant is not None:
            self.mark(left, top, relevant=relevant)
        for number, line in enumerate(lines or []):
            self.draw.text((left, top + outer + number * _LINE), line, _INK, self.font)

    def mark(self, left: int, top: int, *, relevant: bool) -> None:
        """Draw a tick or a cross, which readers who do not tell red from green can tell apart."""
        self.draw.rectangle((left, top, left + 15, top + 15), fill=_RELEVANT if relevant else _NOT_RELEVANT)
        strokes = [((3, 8), (6, 12), (12, 3))] if relevant else [((3, 3), (12, 12)), ((3, 12), (12, 3))]
        for stroke in strokes:
            self.draw.line([(left + x, top + y) for x, y in stroke], fill=_PAPER, width=2)

    def wrapped(self, text: str, n_lines: int) -> list[str]:
        """Break a text between words into lines of the width of a tile; what does not fit ends in dots."""
        width = self.size + 2 * _FRAME
        lines = [""]
        for word in text.split(" "):
            longer = f"{lines[-1]} {word}".strip()
            if not lines[-1] or self.draw.textlength(longer, self.font) <= width:
                lines[-1] = longer
            else:
                lines.append(word)
        kept = lines[:n_lines]
        cut = len(lines) > n_lines
        for number, line in enumerate(kept):
            shortened = line + "..." if cut and number == n_lines - 1 else line
            while self.draw.textlength(shortened, self.font) > width:
                line = line[:-1]  # noqa: PLW2901 - shortened until it fits
                shortened = line + "..."
            kept[number] = shortened
        return kept


def _label_text(table: ImageTable, row: int) -> str:
    names = [
        name.replace("_", " ") + ("?" if value < 0 else "")
        for name, value in zip(table.label_names, table.labels[row].tolist(), strict=True)
        if value
    ]
    return ", ".join(names) or "no finding"


def _picture(table: ImageTable, row: int, size: int) -> Image.Image | None:
    """Return the film as a square RGB picture with its proportions kept, or None if it cannot be read."""
    from PIL import Image

    try:
        grey = thumbnail(table.read(row), size)
    except FilmError:
        return None
    square = Image.new("RGB", (size, size))
    square.paste(grey, ((size - grey.width) // 2, (size - grey.height) // 2))
    return square
