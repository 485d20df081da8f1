"""`graphret query`: the most similar films."""

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from graphret._errors import InvalidParameterError
from graphret.cli.info import IndexFolder
from graphret.cli.options import config_options, parse_assignments
from graphret.cli.reporting import AsJson, Quiet, report_to_user
from graphret.index import QueryConfig
from graphret.index.examples import NEGATIVE_WEIGHT

if TYPE_CHECKING:
    from graphret.index import Hits, Index, QueryHits

__all__ = ["query"]

logger = logging.getLogger(__name__)
_FINDINGS = 3


@config_options(QueryConfig)
def query(
    index: IndexFolder,
    films: Annotated[
        list[str] | None, typer.Argument(metavar="FILE...", help="Films, or ids of the index with --id.")
    ] = None,
    *,
    like: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE", help="In the place of FILE...: an example of one query, several allowed; an id with --id."
        ),
    ] = None,
    unlike: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE", help="With --like: an example of what the hits should not be like."),
    ] = None,
    unlike_weight: Annotated[
        float, typer.Option(help="Weight of the mean of --unlike against that of --like, >= 0.")
    ] = NEGATIVE_WEIGHT,
    by_id: Annotated[bool, typer.Option("--id", help="The queries are ids of films of the index.")] = False,
    where: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN=VALUE", help="Only films with this value (view=PA); several allowed."),
    ] = None,
    exclude_same_patient: Annotated[
        bool, typer.Option("--exclude-same-patient", help="Never films of the query's own patient.")
    ] = False,
    patients: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...", help="Patients of queries that are not in the index: one each, or one for all."
        ),
    ] = None,
    options: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Option of the ranking, in the place of --ranking NAME:NAME=VALUE,..."),
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    config: QueryConfig,
) -> None:
    """Find the films of an index that are most similar to each query, best first."""
    with report_to_user(as_json=as_json, quiet=quiet) as reporter:
        import graphret

        opened = graphret.open(index)
        asked = _asked(films, like, unlike)
        if by_id:
            _check_ids(opened, asked)
        if patients is not None and not exclude_same_patient:
            raise InvalidParameterError("patients", patients, "it with --exclude-same-patient", "nothing else uses it")
        names: list[Any] | None = None if patients is None else [name.strip() for name in patients.split(",")]
        if exclude_same_patient and names is None and not by_id:
            names = _patients_of_data_set(opened, asked)
        how: dict[str, Any] = {
            "ranking": config.ranking,
            "fill": config.fill,
            "search": config.search,
            "n_threads": config.n_threads,
            "alarm_level": config.alarm_level,
            "where": _filters(opened, where),
            "exclude": "patient" if exclude_same_patient else None,
            "options": parse_assignments("options", options) if options else None,
            "patients": names * len(asked) if names is not None and len(names) == 1 else names,
        }
        what: list[Any] = [*asked] if by_id else [Path(film) for film in asked]
        if like:
            positives, negatives = what[: len(like)], what[len(like) :] or None
            hits = opened.query_examples(positives, negatives, config.k, negative_weight=unlike_weight, **how)
        else:
            hits = opened.query(what, config.k, **how)
        shown = hits.queries if like else asked
        answers = [_answer(opened, name, of_query) for name, of_query in zip(shown, hits, strict=True)]
        ranking = {**hits.choice.to_dict(), "notes": list(hits.notes)}
        examples = {"like": like, "unlike": unlike or [], "unlike_weight": unlike_weight} if like else {}
        document = {
            "index": str(index), **ranking, "k": config.k, "alarm_level": config.alarm_level, **examples,
            "queries": answers,
        }  # fmt: skip
        if config.alarm_level < opened.novelty.smallest:
            reporter.note(
                f"--alarm-level {config.alarm_level:g} is never reached with so few films: whether there is nothing "
                f"similar can be told from {opened.novelty.smallest:.2g} on"
            )
        reporter.result(document, *map(_table, answers), f"ranking: {_described(hits)}")


def _asked(films: list[str] | None, like: list[str] | None, unlike: list[str] | None) -> list[str]:
    """Everything that is asked with: queries, or positive and then negative examples."""
    if films and (like or unlike):
        raise InvalidParameterError("films", " ".join(films), "either FILE..., or --like (and --unlike) FILE")
    if unlike and not like:
        raise InvalidParameterError("unlike", " ".join(unlike), "it with --like FILE, which says what is looked for")
    asked = [*(films or ()), *(like or ()), *(unlike or ())]
    if not asked:
        raise InvalidParameterError("films", "nothing", "at least one FILE, or --like FILE")
    return asked


def _patients_of_data_set(index: "Index", films: list[str]) -> list[str | None] | None:
    """Look up films that are not in the index in the data set that it was built from (its test films, say)."""
    import graphret

    archived = {os.path.realpath(path) for path in index.films.paths.tolist() if path}
    paths = [os.path.realpath(film) for film in films]
    origin = index.films.origin
    if archived.issuperset(paths) or origin is None:
        return None
    if origin.changed:
        logger.warning("%s", origin.changed)
    try:
        table = graphret.read_dataset(origin.spec, index.source["root"])
    except graphret.GraphretError:  # it was moved or deleted; the index then asks for --patients
        return None
    known = dict(zip(map(os.path.realpath, table.paths.tolist()), table.patients.tolist(), strict=True))
    return [known.get(path) for path in paths]


def _check_ids(index: "Index", ids: list[str]) -> None:
    known = set(index.films.ids.tolist())
    for name in ids:
        if name not in known:
            raise InvalidParameterError("id", name, f"the id of one of the {len(known):,} films of {index.path}")


def _filters(index: "Index", where: list[str] | None) -> dict[str, list[Any]] | None:
    """Read COLUMN=VALUE pairs; values of one column are alternatives, and numbers where the column holds numbers."""
    filters: dict[str, list[Any]] = {}
    for entry in where or ():
        column, equals, text = entry.partition("=")
        if not equals or not column:
            raise InvalidParameterError("where", entry, "COLUMN=VALUE, for example view=PA")
        filters.setdefault(column, []).append(_value(entry, text, index.films.column(column).dtype.kind))
    return filters or None


def _value(entry: str, text: str, kind: str) -> Any:
    if kind in "UT":
        return text
    if kind == "b" and text.lower() in {"true", "false"}:
        return text.lower() == "true"
    try:
        return int(text) if kind in "iu" and text.strip("+- ").isdecimal() else float(text)
    except ValueError as error:
        raise InvalidParameterError("where", entry, "COLUMN=NUMBER (or true, false), as the column holds") from error


def _answer(index: "Index", name: str, hits: "QueryHits") -> dict[str, Any]:
    films = index.films
    return {
        "query": name,
        **({"findings": hits.findings} if hits.findings else {}),
        **hits.novelty(),
        "hits": [
            {**hit.to_dict(why=True), "path": str(films.paths[hit.position]), "labels": films.label_texts(hit.position)}
            for hit in hits
        ],
    }


def _described(hits: "Hits") -> str:
    learned = ["in a metric that was learned from the archive's labels"] if hits.choice.learns else []
    return "; ".join([str(hits.choice), *learned, *hits.notes])


def _table(answer: dict[str, Any]) -> Table:
    table = Table("rank", "id", "similarity", "community", "source", "labels", title=answer["query"])
    if "findings" in answer:
        likeliest = ", ".join(f"{name} {share:.0%}" for name, share in list(answer["findings"].items())[:_FINDINGS])
        table.caption = f"uses the archive's labels; by those of its neighbours the query shows: {likeliest}"
    if answer["nothing_similar"]:
        alarm = f"nothing similar in this archive: its own films are as far from all others in {answer['p_value']:.1%}"
        table.caption = f"{alarm}; {table.caption}" if table.caption else alarm
    for hit in answer["hits"]:
        labels = ", ".join(hit["labels"]) or "-"
        table.add_row(
            str(hit["rank"]), hit["id"], f"{hit['similarity']:.4f}", str(hit["community"]), hit["source"], labels
        )
    return table
