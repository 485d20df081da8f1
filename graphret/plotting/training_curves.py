"""Loss and score of every epoch of a training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from graphret._errors import DataError, InvalidParameterError, MissingFileError
from graphret.figures import COLOURS, axes_of
from graphret.files import parse_json, storage_errors
from graphret.plotting.drawn import Plot, label

__all__ = ["training"]

_KEYS = ("epoch", "loss", "score", "learning_rate")


def training(source: Any) -> Plot:
    """Training loss, its parts, and validation score of every epoch of a training; a ring: the epoch that was kept."""
    if not isinstance(source, str | Path):
        raise InvalidParameterError("source", type(source).__name__, "the folder of a training, or its history.json")
    path = Path(source)
    path = path / "history.json" if path.is_dir() else path
    if not path.is_file():
        raise MissingFileError(path, "history of a training", "give the folder that `graphret train --out` wrote")
    name, parts, rows = _epochs(path)
    figure, axes = axes_of()
    epochs = [row[0] for row in rows]
    losses = axes.plot(epochs, [row[1] for row in rows], color=COLOURS[0], marker="o", markersize=3, label="loss")
    for number, part in enumerate(parts):
        values = [row[len(_KEYS) + 1 + number] for row in rows]
        shade = COLOURS[(2 + number) % len(COLOURS)]
        losses += axes.plot(epochs, values, color=shade, linestyle="--", linewidth=1, label=f"loss: {label(part)}")
    axes.set_xlabel("epoch")
    axes.set_ylabel("training loss")
    right = axes.twinx()
    right.spines["top"].set_visible(False)
    words = f"validation {name}"
    (score,) = right.plot(epochs, [row[2] for row in rows], color=COLOURS[1], marker="s", markersize=3, label=words)
    right.set_ylabel(words)
    kept = max((row for row in rows if row[4]), key=lambda row: row[0], default=None)
    if kept is not None:
        right.plot(kept[0], kept[2], "o", markersize=11, markerfacecolor="none", markeredgecolor=COLOURS[1])
    axes.legend(handles=[*losses, score], fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1.1, 0.5))
    notes = (f"{len(rows)} epochs",) + (() if kept is None else (f"kept: epoch {kept[0]:g}, {words} {kept[2]:.3f}",))
    return Plot("training", (*_KEYS, "best", *(f"loss_{part}" for part in parts)), tuple(rows), figure, notes)


def _epochs(path: Path) -> tuple[str, list[str], list[tuple[Any, ...]]]:
    """Name of the score, names of the parts of the loss, and the rows of the history; None for a part not recorded."""
    with storage_errors(path, "read"):
        content = path.read_bytes()
    try:
        epochs = parse_json(content)["epochs"]
        of_epochs = [dict(entry.get("loss_parts", {})) for entry in epochs]
        parts = list(dict.fromkeys(str(part) for found in of_epochs for part in found))
        rows = [
            (
                *(float(entry[key]) for key in _KEYS),
                bool(entry["best"]),
                *(float(found[part]) if part in found else None for part in parts),
            )
            for entry, found in zip(epochs, of_epochs, strict=True)
        ]
        name = str(epochs[0]["name"]) if epochs else ""
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} is no history of a training: {error!r} (give what `graphret train` wrote)") from error
    if not rows:
        raise DataError(f"{path} has no finished epoch yet (wait for the first, or train longer)")
    return name, parts, rows
