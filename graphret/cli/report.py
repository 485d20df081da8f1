"""`graphret report`: an archive on one page, to be looked at and passed on."""

from pathlib import Path
from typing import Annotated

import typer

from graphret.cli.info import IndexFolder
from graphret.cli.reporting import AsJson, Quiet, report_to_user

__all__ = ["report"]


def report(
    index: IndexFolder,
    *,
    out: Annotated[Path, typer.Option(metavar="FILE.html", help="The page that is written.")],
    n_communities: Annotated[int, typer.Option(help="Communities that are shown with a picture, the largest.")] = 24,
    n_points: Annotated[
        int, typer.Option(help="Films on the map, at most; evenly taken where there are more.")
    ] = 20_000,
    n_queries: Annotated[
        int, typer.Option(help="Films of the archive that are asked for among the others, to measure; 0 for none.")
    ] = 300,
    near_duplicates: Annotated[
        bool, typer.Option("--near-duplicates/--no-near-duplicates", help="Look for near duplicates, or not.")
    ] = True,
    thumbnails: Annotated[
        bool, typer.Option("--thumbnails/--no-thumbnails", help="Pictures of films, or none.")
    ] = True,
    show_ids: Annotated[
        bool, typer.Option("--show-ids", help="Name films by their ids, which often hold the number of the patient.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of the films that are asked for.")] = 0,
    n_threads: Annotated[int | None, typer.Option(help="Threads; all processors if not given.")] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Write one HTML page of an archive: counts, findings, communities, map, measures, near duplicates.

    Pictures are inside, nothing is loaded from outside.
    """
    with report_to_user(as_json=as_json, quiet=quiet) as reporter:
        import graphret

        made = graphret.report(
            index,
            n_communities=n_communities,
            n_points=n_points,
            n_queries=n_queries,
            near_duplicates=near_duplicates,
            thumbnails=thumbnails,
            show_ids=show_ids,
            seed=seed,
            n_threads=n_threads,
            progress=reporter.progress,
        )
        made.save(out)
        if made.why_not:
            reporter.note(f"nothing was measured: {made.why_not}")
        missing = len(made.paths) - sum(path in made.pictures.pictures for path in made.paths)
        if thumbnails and missing:
            reporter.note(f"{missing} of {len(made.paths)} films have no picture")
        reporter.result({"index": str(index), "file": str(out), **made.to_dict()}, f"{made!r}: wrote {out}")
