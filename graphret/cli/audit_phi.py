"""`graphret audit-phi`: what in an archive looks like personal data."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from graphret._errors import InvalidParameterError
from graphret.cli.films import read_films
from graphret.cli.reporting import AsJson, Quiet, report_to_user

__all__ = ["audit_phi"]


def audit_phi(
    index: Annotated[Path | None, typer.Argument(metavar="[INDEX]", help="Folder of an index.")] = None,
    *,
    data: Annotated[
        str | None, typer.Option(metavar="SPEC", help="In the place of INDEX: a dataset spec, with --root.")
    ] = None,
    root: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder with the files of the data set.")] = None,
    n_films: Annotated[
        int, typer.Option("--films", help="Films that are opened for their tags and for burned-in text, at random.")
    ] = 200,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Also write what was found, as JSON.")] = None,
    seed: Annotated[int, typer.Option(help="Of the draw of those films.")] = 0,
    n_threads: Annotated[int | None, typer.Option(help="Threads; all processors if not given.")] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """List columns, DICOM tags and films that look like personal data; by row, without a single value.

    What it lists are suspicions. What it does not find is no proof that there is none.
    """
    with report_to_user(as_json=as_json, quiet=quiet) as reporter:
        import graphret
        from graphret import auditing
        from graphret.files import write_text

        if (index is None) == (data is None) or (data is None) != (root is None):
            raise InvalidParameterError("index", str(index), "either INDEX, or --data SPEC and --root DIR")
        if data is not None and root is not None:
            films = read_films(data, root, None, reporter)
        else:
            films = graphret.open(str(index)).films
        found = auditing.audit_phi(films, n_films=n_films, seed=seed, n_threads=n_threads, progress=reporter.progress)
        document = found.to_dict()
        if out is not None:
            write_text(out, json.dumps(document, indent=1) + "\n")
            reporter.note(f"wrote {out}")
        table = Table("kind", "place", "looks like", "films", "first rows")
        for entry in found.suspicions:
            rows = ", ".join(map(str, entry.rows))
            table.add_row(*map(Text, (entry.kind, entry.place, entry.what, f"{entry.n_films:,}", rows)))
        unread = f", {found.n_unreadable:,} could not be read" if found.n_unreadable else ""
        reporter.result(
            document,
            table,
            f"{found.n_films:,} films, {found.n_looked_at:,} opened{unread}",
            "These are suspicions; what is not listed is no proof.",
        )
