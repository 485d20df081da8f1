"""`graphret add`, `remove`, `update-labels`, `rebuild` and `purge`: an index follows its archive."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphret._errors import InvalidParameterError
from graphret.cli.films import Splits, read_films
from graphret.cli.info import IndexFolder
from graphret.cli.options import parse_assignments
from graphret.cli.ready_codes import ReadyCodes, ReadyTable, read_ready_codes
from graphret.cli.reporting import AsJson, Quiet, Reporter, report_to_user

if TYPE_CHECKING:
    from collections.abc import Iterator

    from graphret.data import ImageTable
    from graphret.index import Change

__all__ = ["Keep", "add", "purge", "rebuild", "remove", "say_change", "update_labels"]

Keep = Annotated[
    int, typer.Option("--keep", metavar="N", help="Generations that stay on disk, the new one included; at least 1.")
]


def add(
    index: IndexFolder,
    *,
    data: Annotated[
        str | None,
        typer.Option("--data", metavar="SPEC", help="Name of a dataset spec, or the path of one, of films to add."),
    ] = None,
    root: Annotated[
        Path | None, typer.Option("--root", metavar="DIR", help="Folder with the files of the data set.")
    ] = None,
    split: Splits = None,
    codes: ReadyCodes = None,
    table: ReadyTable = None,
    keep: Keep = 2,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Add films to an index: only new films, and films whose files have changed, are encoded.

    A film that cannot be read is reported, and the others are added. Stopped, the same command goes on.
    """
    with report_to_user(as_json=as_json, quiet=quiet) as reporter:
        from graphret.index import add_films

        films: ImageTable | None
        values: Any
        if codes is not None and data is None and root is None:
            values, films = read_ready_codes(codes, table)
        elif codes is None and table is None and data is not None and root is not None:
            films, values = None, read_films(data, root, split, reporter)
        else:
            raise InvalidParameterError(
                "data", data, "--data and --root for films, or --codes (and --table) for codes made elsewhere"
            )
        say_change(index, add_films(index, values, films=films, keep=keep, progress=reporter.progress), reporter)


def remove(
    index: IndexFolder,
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Films of the index.")],
    *,
    keep: Keep = 2,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Remove films from an index; older generations still have them until they are retired, see graphret purge."""
    with report_to_user(as_json=as_json, quiet=quiet) as reporter:
        from graphret.index import remove_films

        say_change(index, remove_films(index, ids, keep=keep, progress=reporter.progress), reporter)


def update_labels(
    index: IndexFolder,
    *,
    table: Annotated[
        Path,
        typer.Option("--table", metavar="FILE.csv", help="A row for each film: its id, and columns label:NAME (1, 0, "
                     "-1) with what is to be said of it; labels without a column, and with an empty cell, stay."),
    ],
    add_labels: Annotated[
        bool, typer.Option("--add-labels", help="Labels that the index does not have become labels of it.")
    ] = False,
    keep: Keep = 2,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:  # fmt: skip
    """Correct the labels of films; codes, graph and communities are not touched."""
    with report_to_user(as_json=as_json, quiet=quiet) as reporter:
        import graphret
        from graphret.data import read_film_labels
        from graphret.index import update_labels as change_labels

        ids, labels = read_film_labels(table, at_most=graphret.open(index).n_films)
        if not labels:
            raise InvalidParameterError("table", str(table), "a table with a column label:NAME")
        change = change_labels(index, ids, labels, None, add_labels=add_labels, keep=keep)
        say_change(index, change, reporter)


def rebuild(
    index: IndexFolder,
    *,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Another parameter of the build, as k=30."),
    ] = None,
    keep: Keep = 2,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:  # fmt: skip
    """Build an index again from its codes, as a whole; communities keep the numbers of those that they continue."""
    with report_to_user(as_json=as_json, quiet=quiet) as reporter:
        from graphret.index import rebuild as build_again

        overrides = parse_assignments("set", set_)
        change = build_again(index, overrides, keep=keep, progress=reporter.progress)
        say_change(index, change, reporter, *_renumbered(change.details))


def purge(
    index: IndexFolder,
    *,
    patient: Annotated[str, typer.Option("--patient", metavar="P", help="As the column patient of the films has it.")],
    lists: Annotated[
        Path | None,
        typer.Option("--lists", metavar="FILE", help="Marks that the service keeps; NAME-lists.sqlite beside the index "
                     "where there is one."),
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:  # fmt: skip
    """Take a patient out of an index for good: of this generation, and of all older ones, which are removed."""
    with report_to_user(as_json=as_json, quiet=quiet) as reporter:
        from graphret.index import purge_patient

        say_change(index, purge_patient(index, patient, lists=lists, progress=reporter.progress), reporter)


def _renumbered(details: dict[str, Any]) -> "Iterator[str]":
    """Say how many films kept the number of their community, and which communities were split or merged."""
    yield f"{details['films_that_kept_their_community']:,} films kept the number of their community"
    for old, parts in details["splits"].items():
        yield f"community {old} was split into {', '.join(map(str, parts))}"
    for new, parts in details["merges"].items():
        yield f"communities {', '.join(map(str, parts))} were merged into {new}"
    hidden = sum(details[f"n_{what}"] - len(details[what]) for what in ("splits", "merges"))
    if hidden:
        yield f"{hidden:,} more splits and merges are not listed"


def say_change(index: Path, change: "Change", reporter: Reporter, *more: str) -> None:
    """Say what a change did, ``more`` about it, and when a rebuild is due."""
    import graphret

    drift = graphret.open(index).info()["drift"]
    advice = [f"a rebuild is due: {reason}" for reason in drift["advice"]]
    reporter.result({"index": str(index), **change.to_dict(), "drift": drift}, f"{index}: {change}", *more, *advice)
