"""`graphret fetch`: films of a PACS by DICOMweb, into a folder."""

from pathlib import Path
from typing import Annotated

import typer

from graphret._errors import InvalidParameterError
from graphret.cli.reporting import AsJson, Quiet, report_to_user
from graphret.data.decoding.limits import MAX_MEMORY

__all__ = ["fetch"]


def fetch(
    url: Annotated[str, typer.Argument(metavar="URL", help="Root of the DICOMweb service: https://pacs/dicom-web.")],
    *,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the films.")],
    filters: Annotated[
        list[str] | None,
        typer.Option("--filter", metavar="TAG=VALUE", help="Only such films: Modality=DX, StudyDate=20240101-."),
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Films at most; all if not given.")] = None,
    token_file: Annotated[Path | None, typer.Option(metavar="FILE", help="File with a bearer token.")] = None,
    salt_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Salt of the files' names; that of --data dicom if not given.")
    ] = None,
    film_memory: Annotated[int, typer.Option(help="Bytes that one film may have.")] = MAX_MEMORY,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Fetch films from a DICOMweb server (QIDO-RS, WADO-RS); the same command goes on where it was stopped.

    Then: graphret build --data dicom --root DIR. Needs the extra "dicomweb".
    """
    with report_to_user(as_json=as_json, quiet=quiet) as reporter:
        from graphret.data.dicomweb import fetch_dicomweb

        wanted = {}
        for entry in filters or []:
            keyword, equals, value = entry.partition("=")
            if not equals:
                raise InvalidParameterError("filter", entry, "TAG=VALUE")
            wanted[keyword] = value
        done = fetch_dicomweb(
            url,
            out,
            filters=wanted,
            limit=limit,
            token_file=token_file,
            salt_file=salt_file,
            film_memory=film_memory,
            progress=reporter.progress,
        )
        if done.problems:
            first = done.problems[0]
            reporter.note(f"{len(done.problems)} films could not be fetched, first {first.id}: {first.reason}")
        reporter.result(
            {
                "folder": str(done.folder),
                "n_found": done.n_found,
                "n_fetched": done.n_fetched,
                "n_there": done.n_there,
                "problems": [{"id": one.id, "reason": one.reason} for one in done.problems],
            },
            f"{done.n_found} films found, {done.n_fetched} fetched, {done.n_there} were there: {done.folder}",
        )
