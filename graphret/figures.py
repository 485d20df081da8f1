"""Figures through matplotlib: one look, colours that everybody tells apart, SVG or PNG."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphret._errors import InvalidParameterError
from graphret.files import write_file

if TYPE_CHECKING:
    from os import PathLike

__all__ = ["COLOURS", "MARKERS", "axes_of", "save_figure", "svg_of"]

COLOURS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#332288", "#882255", "#117733", "#7F7F7F",
)  # fmt: skip
"""Those of Okabe and Ito (2008) but black and yellow, and darker ones of Tol: readers who see no red or green tell
them apart, by lightness too."""
MARKERS = "osD^vP*Xph<>"
FORMATS = (".svg", ".png")


def axes_of(width: float = 9.0, height: float = 4.2) -> tuple[Any, Any]:
    """Return a figure of this size in inches, and its axes, without a window."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.grid(visible=True, linewidth=0.4, alpha=0.5)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def svg_of(figure: Any) -> str:
    """Return a figure as an SVG element: no XML head, no metadata, the same text for the same figures."""
    import matplotlib as mpl

    content = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "graphret"}):
        figure.savefig(content, format="svg", metadata={"Date": None})
    text = content.getvalue()
    text = text[text.index("<svg") :]
    return re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)


def save_figure(figure: Any, path: str | PathLike[str]) -> None:
    """Write a figure as ``.svg`` or ``.png``, whole or not at all.

    Raises
    ------
    InvalidParameterError
        Another suffix.
    MissingFileError, StoreError
        The folder is not there, or cannot be written to.
    """
    target = Path(path)
    if target.suffix.lower() not in FORMATS:
        raise InvalidParameterError("out", str(path), f"a name that ends in {' or '.join(FORMATS)}")
    if target.suffix.lower() == ".svg":
        write_file(target, svg_of(figure).encode())
        return
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=150, metadata={"Software": None})
    write_file(target, content.getvalue())
