"""`graphret query`: the most similar films."""

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from graphret._errors import InvalidParameterError
from graphret.cli.asked import AskedFilms
from graphret.cli.hit_files import Csv, HitFiles, Html, Sr
from graphret.cli.hit_table import hit_reasons, hit_table, score_legend
from graphret.cli.info import IndexFolder
from graphret.cli.options import config_options, parse_assignments
from graphret.cli.reporting import AsJson, Quiet, report_to_user
from graphret.cli.where import parse_where
from graphret.index import QueryConfig, describe_hits
from graphret.index.examples import NEGATIVE_WEIGHT
from graphret.index.filters import PATIENTS_ARE_NAMED

if TYPE_CHECKING:
    from graphret.index import Hits, Index, ShardedIndex

__all__ = ["query"]

logger = logging.getLogger(__name__)


@config_options(QueryConfig)
def query(
    index: IndexFolder,
    films: Annotated[
        list[str] | None,
        typer.Argument(metavar="FILE...", help="Films, folders of films, or ids of the index with --id."),
    ] = None,
    *,
    shards: Annotated[
        list[Path] | None,
        typer.Option(
            "--shard", metavar="INDEX", help="A further index that is asked with the first as one, several allowed."
        ),
    ] = None,
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
        typer.Option(
            metavar="COLUMN=VALUE",
            help="Only films with this value (view=PA, label=Edema), or in a range with !=, <, <=, >, >= and quotes "
            "('age>=60'). Several values of a column are alternatives, all else must hold together.",
        ),
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
    group_by: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="At most one film of each value of this column, the best (patient)."),
    ] = None,
    why: Annotated[
        bool, typer.Option("--why", help="Also say why each hit is where it is; --json, --html and --csv always do.")
    ] = False,
    html: Html = None,
    csv: Csv = None,
    sr: Sr = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    config: QueryConfig,
) -> None:
    """Find the films of an index that are most similar to each query, best first."""
    with report_to_user(as_json=as_json, quiet=quiet) as reporter:
        import graphret

        files = HitFiles(html, csv, sr)
        opened = graphret.open([index, *(shards or [])])
        conditions = parse_where(opened.films, where) if where else None
        given, asked = _asked(films, like, unlike), AskedFilms()
        if by_id:
            _check_ids(opened, given)
        else:
            asked = AskedFilms.of(given, reporter, folders=not like)
        if patients is not None and not exclude_same_patient:
            raise InvalidParameterError("patients", patients, "it with --exclude-same-patient", "nothing else uses it")
        names: list[Any] | None = None if patients is None else [name.strip() for name in patients.split(",")]
        if exclude_same_patient and names is None and not by_id:
            names = _patients_of_data_set(opened, asked.paths)
        what: list[Any] = given if by_id else asked.paths
        how: dict[str, Any] = {
            "ranking": config.ranking,
            "fill": config.fill,
            "search": config.search,
            "device": config.device,
            "n_threads": config.n_threads,
            "alarm_level": config.alarm_level,
            "isolate": config.isolate,
            "decode_seconds": config.decode_seconds,
            "where": conditions,
            "exclude": "patient" if exclude_same_patient else None,
            "options": parse_assignments("options", options) if options else None,
            "patients": names * len(what) if names is not None and len(names) == 1 else names,
            "group_by": group_by,
        }
        if like:
            positives, negatives = what[: len(like)], what[len(like) :] or None
            hits = opened.query_examples(positives, negatives, config.k, negative_weight=unlike_weight, **how)
        else:
            hits = opened.query(what, config.k, on_problem=asked.leave_out, **how)
        asked.say_unreadable(reporter)
        if patients is not None:
            _say_unknown_patients(opened, names)
        examples = {"like": like, "unlike": unlike or [], "unlike_weight": unlike_weight} if like else {}
        problems = [*asked.unreadable, *asked.others]
        named: dict[str, Any] = {"index": str(index), **({"shards": list(map(str, shards))} if shards else {})}
        document = {**describe_hits(opened, hits), **named, **examples, "problems": problems}
        if config.alarm_level < opened.novelty.smallest:
            reporter.note(
                f"--alarm-level {config.alarm_level:g} is never reached with so few films: whether there is nothing "
                f"similar can be told from {opened.novelty.smallest:.2g} on"
            )
        document["files"] = files.write(document, config, reporter)
        shown: list[Any] = []
        for answer in document["queries"]:
            shown += [hit_table(answer, group_by), *([hit_reasons(answer)] if why else [])]
        reporter.result(document, *shown, score_legend(document), Text(f"ranking: {_described(hits)}"))


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


def _patients_of_data_set(index: "Index | ShardedIndex", films: list[Path]) -> list[str | None] | None:
    """Look up films that are not in the index in the data set that it was built from (its test films, say)."""
    import graphret
    from graphret.index import ShardedIndex

    if isinstance(index, ShardedIndex):  # each shard may be of another data set
        return None
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


def _say_unknown_patients(index: "Index | ShardedIndex", patients: list[str] | None) -> None:
    """Warn of patients that were named on the command line, and of whom the index has no film."""
    known = set(index.films.patients.tolist())
    for name in dict.fromkeys(patients or ()):
        if name not in known:
            logger.warning("no film of the index is of patient %s; %s", name, PATIENTS_ARE_NAMED)


def _check_ids(index: "Index | ShardedIndex", ids: list[str]) -> None:
    known = set(index.films.ids.tolist())
    for name in ids:
        if name not in known:
            raise InvalidParameterError("id", name, f"the id of one of the {len(known):,} films of {index.path}")


def _described(hits: "Hits") -> str:
    learned = ["in a metric that was learned from the archive's labels"] if hits.choice.learns else []
    return "; ".join([str(hits.choice), *learned, *hits.notes])
