"""Masks of films: where they are (the column "mask" of a table), and which pixels are of which class."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from graphret._errors import DataError
from graphret.data.columns import text_column
from graphret.data.decoding.matlab import read_mat_mask
from graphret.data.images import FILM_SUFFIXES, read_pixels
from graphret.data.listing import Folders

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from graphret.data.splits import StrArray

__all__ = ["MaskPart", "find_by_stem", "mask_column", "n_mask_classes", "read_mask"]

_MASK_SUFFIXES = (".gif", *FILM_SUFFIXES, ".mat")
_CLASSES = re.compile(r"(.*)#(class|classes)=(\d+(?:,\d+)*)")
_MOST_CLASSES = 16


class MaskPart(NamedTuple):
    """One file of a mask.

    Parameters
    ----------
    path
        Of the file.
    values
        The pixel value of the outside and of every class; empty: see ``class_of_all``.
    class_of_all
        Without ``values``, the class of every pixel that is not 0.
    """

    path: str
    values: tuple[int, ...] = ()
    class_of_all: int = 1

    @property
    def n_classes(self) -> int:
        """Classes beside the outside."""
        return len(self.values) - 1 if self.values else self.class_of_all

    @classmethod
    def of(cls, text: str) -> MaskPart:
        """Split a path from what it says of its classes.

        Raises
        ------
        DataError
            A class below 1, a single value, a value twice, or more than 16 classes.

        Examples
        --------
        >>> MaskPart.of("masks/001.mat#classes=0,1,2")
        MaskPart(path='masks/001.mat', values=(0, 1, 2), class_of_all=1)
        >>> MaskPart.of("cups/001.png#class=2").class_of_all
        2
        """
        found = _CLASSES.fullmatch(text)
        if found is None:
            return cls(text)
        numbers = tuple(int(number) for number in found[3].split(","))
        part = cls(found[1], (), numbers[0]) if found[2] == "class" else cls(found[1], numbers)
        right = len(numbers) == 1 if found[2] == "class" else len(numbers) == len(set(numbers)) > 1
        if not right or not 1 <= part.n_classes <= _MOST_CLASSES:
            raise DataError(
                f"the mask {text!r}: give #class=N from 1 to {_MOST_CLASSES}, or #classes= with the pixel value of the "
                "outside and of each class, all different, as #classes=0,1,2"
            )
        return part


def mask_column(root: Path, folders: Sequence[str], stems: Sequence[str]) -> StrArray:
    """Paths of the masks of films, by the names of the films without suffix; "" for a film without one.

    Parameters
    ----------
    root
        Folder of the data set.
    folders
        Of the masks, wildcards allowed; the first that has a film's mask wins. Folders with " + " between them hold
        parts that belong together (left and right lung): the paths are then joined by "|", and the mask is their union.
        ``#classes=0,1,2`` behind a folder gives the pixel values of the outside and of each class, ``#class=2`` makes
        all pixels that are not 0 of that class; both are kept behind every path.
    stems
        Names of the films.

    Raises
    ------
    DataError
        Classes that are not allowed.
    """
    found = [""] * len(stems)
    for group in folders:
        patterns = group.split(" + ")
        parts = [find_by_stem(root, [MaskPart.of(pattern).path], _MASK_SUFFIXES) for pattern in patterns]
        classes = [pattern[len(MaskPart.of(pattern).path) :] for pattern in patterns]
        for row, stem in enumerate(stems):
            paths = [
                part[stem.lower()] + suffix for part, suffix in zip(parts, classes, strict=True) if stem.lower() in part
            ]
            if not found[row] and paths:
                found[row] = "|".join(paths)
    return text_column(found)


def n_mask_classes(masks: Sequence[str] | StrArray) -> int:
    """Classes of all masks of a column, beside the outside; 0 if there is no mask.

    Examples
    --------
    >>> n_mask_classes(["", "a.png", "b.mat#classes=0,1,2"])
    2
    """
    texts = {part for name in set(map(str, masks)) if name for part in name.split("|")}
    # Paths differ from film to film, what stands behind them does not.
    return max((MaskPart.of(text).n_classes for text in texts), default=0)


def read_mask(root: Path, name: str) -> NDArray[np.uint8]:
    """Read the mask of a film: the class of every pixel, 0 outside.

    Parts that lie over each other (a cup in a disc) have the highest of their classes.

    Parameters
    ----------
    root
        What paths are relative to.
    name
        As in the column "mask": paths of pictures, or of MAT-files, with "|" between them.

    Returns
    -------
    numpy.ndarray
        uint8 (h, w).

    Raises
    ------
    FilmError
        A file cannot be read.
    DataError
        A value is of no class, or parts have other shapes.
    """
    whole: NDArray[np.uint8] | None = None
    for text in name.split("|"):
        part = MaskPart.of(text)
        path = root / part.path
        pixels = read_mat_mask(path) if path.suffix.lower() == ".mat" else read_pixels(path)
        if part.values:
            classes = np.full(pixels.shape, _MOST_CLASSES + 1, dtype=np.uint8)
            for number, value in enumerate(part.values):
                classes[pixels == value] = number
            if pixels.dtype.kind != "u" or (classes > _MOST_CLASSES).any():
                other = sorted({float(value) for value in np.unique(pixels[classes > _MOST_CLASSES])})[:3]
                raise DataError(
                    f"the mask {path} has the values {other or 'of a colour picture'}: its classes are "
                    f"{part.values} (give other #classes=, or grey pictures whose pixels are these values)"
                )
        else:
            classes = np.where(pixels > 0, part.class_of_all, 0).astype(np.uint8)
        if whole is not None and whole.shape != classes.shape:
            raise DataError(f"the parts of the mask {name} are {whole.shape} and {classes.shape}: give equal sizes")
        whole = classes if whole is None else np.maximum(whole, classes)
    if whole is None:
        raise DataError("no mask is named")
    return whole


def find_by_stem(root: Path, folders: Sequence[str], suffixes: Sequence[str]) -> dict[str, str]:
    """Path of every file that is not empty, by its lower-case name without suffix.

    The first folder wins, and in a folder the first of ``suffixes``.
    """
    listed = Folders()
    found: dict[str, str] = {}
    for pattern in folders:
        for folder in [root] if pattern == "." else sorted(root.glob(pattern)):
            names = [name for name, entry in listed.files(folder).items() if not entry.reason]
            for suffix in suffixes:
                for name in sorted(names):
                    if name.lower().endswith(suffix):
                        found.setdefault(name[: -len(suffix)].lower(), str(folder / name))
    return found
