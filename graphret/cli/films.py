"""The films that a command works on: a dataset spec, a folder, and perhaps only some splits."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from graphret._errors import DataError, UnknownNameError
from graphret.cli.options import parse_names
from graphret.data.splits import SPLITS

if TYPE_CHECKING:
    from graphret.cli.reporting import Reporter
    from graphret.data import ImageTable

__all__ = [
    "Bits",
    "Data",
    "DataIfAny",
    "Device",
    "EncoderIfAny",
    "EncoderSource",
    "InputSize",
    "Root",
    "RootIfAny",
    "Splits",
    "read_films",
    "say_left_out",
]

_DATA = typer.Option(
    "--data",
    metavar="SPEC",
    help="Dataset spec: a name of `graphret datasets` ('folder': one folder per class), or a .toml file.",
)
_ROOT = typer.Option("--root", metavar="DIR", help="Folder with the files of the data set.")
_ENCODER = typer.Option(
    "--encoder",
    metavar="PATH|NAME",
    help="Folder of a trained encoder, txrv:NAME, hf:FOLDER of the library transformers, or a name of "
    "`graphret encoders` (then with random weights).",
)
Data = Annotated[str, _DATA]
DataIfAny = Annotated[str | None, _DATA]
Root = Annotated[Path, _ROOT]
RootIfAny = Annotated[Path | None, _ROOT]
EncoderSource = Annotated[str, _ENCODER]
EncoderIfAny = Annotated[str | None, _ENCODER]
InputSize = Annotated[
    int | None, typer.Option("--size", help="Side of the encoder's input in px; that of its training if not given.")
]
Bits = Annotated[
    int | None,
    typer.Option(
        "--bits", "--n-bits", help="Code length of an untrained hash encoder; that of its paper if not given."
    ),
]
Device = Annotated[str, typer.Option("--device", help="Where the encoder runs: auto, cpu or cuda.")]
Splits = Annotated[
    list[str] | None,
    typer.Option("--split", metavar="NAME,...", help=f"Only films of these splits: {', '.join(SPLITS)}."),
]


def read_films(data: str, root: Path, splits: list[str] | None, reporter: "Reporter") -> "ImageTable":
    """Read the data set, keep the splits that were asked for, and say what was left out.

    Raises
    ------
    UnknownNameError
        Unknown dataset spec or split.
    MissingFileError
        The folder or its table is not there.
    DataError
        The files are not what the dataset spec says, or no film is left.
    """
    from graphret.data import read_dataset

    wanted = parse_names(*splits or ())
    for split in wanted:
        if split not in SPLITS:
            raise UnknownNameError("split", split, SPLITS)
    films = read_dataset(data, root)
    say_left_out(films, reporter)
    if wanted:
        found = {name: int((films.splits == name).sum()) for name in SPLITS}
        films = films.select(np.isin(films.splits, wanted))
        if not len(films):
            counts = ", ".join(f"{name} {number}" for name, number in found.items())
            raise DataError(f"{root} has no film in the split {', '.join(wanted)}: it has {counts}")
    reporter.note(f"{len(films)} films, {len(np.unique(films.patients))} patients, {len(films.label_names)} labels")
    return films


def say_left_out(films: "ImageTable", reporter: "Reporter") -> None:
    """Note how many films were left out, and how many files are none, with the first of each."""
    for number, is_film, what in (
        (films.n_left_out, True, "films were left out"),
        (films.n_other_files, False, "other files are no films"),
    ):
        if number:
            first = next(problem for problem in films.problems if problem.is_film == is_film)
            reporter.note(f"{number} {what}, first {first.id}: {first.reason}")
