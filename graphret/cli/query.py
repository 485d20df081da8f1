"""`graphret query`: the most similar films."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from rich.table import Table

from graphret._errors import InvalidParameterError, MissingFileError
from graphret.cli.options import config_options
from graphret.cli.reporting import AsJson, Quiet, report_to_user
from graphret.index import QueryConfig

if TYPE_CHECKING:
    from graphret.index import Hits, Index

__all__ = ["query"]


@config_options(QueryConfig)
def query(
    index: Annotated[Path, typer.Argument(metavar="INDEX", help="Folder of an index.")],
    films: Annotated[list[str], typer.Argument(metavar="FILE...", help="Films, or ids of the index with --id.")],
    *,
    by_id: Annotated[bool, typer.Option("--id", help="The queries are ids of films of the index.")] = False,
    where: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN=VALUE", help="Only films with this value (view=PA); several allowed."),
    ] = None,
    exclude_same_patient: Annotated[
        bool, typer.Option("--exclude-same-patient", help="Never films of the query's own patient.")
    ] = False,
    patient: Annotated[
        str | None, typer.Option(metavar="NAME", help="The patient of the queries, if they are not in the index.")
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    config: QueryConfig,
) -> None:
    """Find the films of an index that are most similar to each query, best first."""
    with report_to_user(as_json=as_json, quiet=quiet) as reporter:
        import graphret

        if not by_id:
            for film in films:
                if not Path(film).is_file():
                    raise MissingFileError(film, "film", "give the path of a film, or --id for a film of the index")
        opened = graphret.open(index)
        exclude = None
        if exclude_same_patient or patient is not None:
            exclude = {"patient": _patients(opened, films, patient, by_id=by_id)}
        hits = opened.query(films, config=config, where=_filters(where), exclude=exclude)
        answers = [_answer(opened, hits, row, film) for row, film in enumerate(films)]
        reporter.result(
            {"index": str(index), "ranking": hits.ranking, "k": config.k, "queries": answers},
            *(_table(answer) for answer in answers),
        )


def _filters(where: list[str] | None) -> dict[str, list[str]] | None:
    filters: dict[str, list[str]] = {}
    for entry in where or ():
        column, equals, value = entry.partition("=")
        if not equals or not column:
            raise InvalidParameterError("where", entry, "COLUMN=VALUE, for example view=PA")
        filters.setdefault(column, []).append(value)
    return filters or None


def _patients(index: "Index", films: list[str], patient: str | None, *, by_id: bool) -> list[str]:
    """Patient of every query: as told, or as the index knows it.

    Raises
    ------
    InvalidParameterError
        A query is not in the index, and its patient was not given.
    """
    if patient is not None:
        return [patient] * len(films)
    column = index.films.ids if by_id else index.films.paths
    wanted = films if by_id else [str(Path(film).absolute()) for film in films]
    found = []
    for film, name in zip(films, wanted, strict=True):
        rows = np.flatnonzero(column == name)
        if not rows.size:
            raise InvalidParameterError(
                "exclude-same-patient", film, "films of the index, whose patients are known", "or say --patient NAME"
            )
        found.append(str(index.films.patients[rows[0]]))
    return found
