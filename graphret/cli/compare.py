"""`graphret compare`: the graph engine and hashing on the same films."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from graphret._errors import InvalidParameterError
from graphret.cli.options import parse_names
from graphret.cli.reporting import AsJson, Quiet, Reporter, report_to_user

if TYPE_CHECKING:
    from graphret.comparison import Comparison, Experiment

__all__ = ["compare"]

_SHOWN = ("P@10", "ACG@10", "nDCG@100", "mAP@100")


def compare(
    *,
    data: Annotated[
        str, typer.Option("--data", metavar="SPEC", help="Dataset spec; that of the experiment if not given.")
    ] = "",
    roots: Annotated[
        str,
        typer.Option(
            metavar="NAME=DIR,...",
            help="Every row of the published table, for these archives: dataset specs or readers, as "
            "nih=DIR,chexpert=DIR; instead of --data, --root and --size.",
        ),
    ] = "",
    root: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder with the files of the data set.")] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for encoders, codes, figures and the report.")
    ] = None,
    experiment: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Experiment file (TOML), see docs/comparison.md.")
    ] = None,
    template: Annotated[
        str | None, typer.Option(metavar="NAME", help="An experiment that comes along, as cai2019-table1.")
    ] = None,
    list_templates: Annotated[
        bool, typer.Option("--list-templates", help="List the experiments that come along, and nothing else.")
    ] = False,
    methods: Annotated[
        str,
        typer.Option(
            metavar="NAME,...",
            help="Only these: labels of the experiment, encoders, hashers, untrained:ENCODER, random.",
        ),
    ] = "",
    bits: Annotated[str, typer.Option(metavar="N,...", help="Lengths of the codes.")] = "",
    size: Annotated[int | None, typer.Option(help="Side of every encoder's input in px.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Of every training: passes over the training films.")] = None,
    max_minutes: Annotated[float | None, typer.Option(help="Of every training: minutes; 0 for no limit.")] = None,
    costs: Annotated[
        bool,
        typer.Option(
            "--costs", help="When all is trained, time every row alone, one after the other, and report that."
        ),
    ] = False,
    pool: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="REPORT",
            help="Only answer questions from reports of other runs (folders or JSON files), given again for each: "
            "sets and "
            "seeds are pooled. --experiment FILE states the questions, else the first report's experiment does.",
        ),
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Compare encoders, hashers and rankings on the same films, with the same budget; stopped, it goes on.

    Without an experiment: the encoder of the engine, the hash encoders of the papers, every hasher on the engine's
    codes, an untrained encoder, and random codes. Writes comparison.json, comparison.md and comparison.html; with
    --pool pooled.json, pooled.md and pooled.html.
    """
    with report_to_user(as_json=as_json, quiet=quiet) as reporter:
        if list_templates:
            _list(reporter)
            return
        from graphret.comparison import changed, missing_methods, open_experiment
        from graphret.comparison import compare as run

        if experiment is not None and template is not None:
            raise InvalidParameterError("template", template, "either --experiment or --template")
        if out is None:
            raise InvalidParameterError("out", None, "--out DIR, a folder for everything that is made")
        if pool:
            given = {"data": data, "root": root, "methods": methods, "bits": bits, "size": size, "epochs": epochs,
                     "max_minutes": max_minutes, "costs": costs or None}  # fmt: skip
            for name, value in given.items():
                if value:
                    raise InvalidParameterError(name, value, "it without --pool", "which measures nothing")
            _pool(reporter, pool, experiment, template, out)
            return
        settings = changed(
            open_experiment(_template(template) if template is not None else experiment),
            spec=data,
            root="" if root is None else str(root),
            size=size,
            bits=_numbers(bits),
            methods=parse_names(methods),
            epochs=epochs,
            max_minutes=max_minutes,
        )
        if not roots:
            _check_data(settings)
        missing = missing_methods(settings)
        if missing:
            reporter.note(f"not registered, so without figures: {', '.join(dict.fromkeys(missing))}")
        if roots:
            _whole_table(settings, _folders(roots, data or root or size), out, reporter)
            return
        comparison = run(out=out, experiment=settings, costs=costs, progress=reporter.progress)
        written = comparison.save(out)
        document = {**comparison.to_dict(), "files": [str(path) for path in written]}
        shown: list[Table | str] = [*_answers(comparison.answers), _table(comparison), *_failures(comparison)]
        shown += _other_starts(document["rows"])
        shown += [f"warning: {warning}" for warning in comparison.costs_of.get("warnings", [])]
        reporter.result(document, *shown, f"Report: {written[2]}")


def _pool(reporter: Reporter, reports: list[Path], experiment: Path | None, template: str | None, out: Path) -> None:
    from graphret.comparison import open_experiment, pool_reports

    source = template or experiment
    asked = None if source is None else open_experiment(source)
    pooled = pool_reports(reports, experiment=asked)
    written = pooled.save(out)
    document = {**pooled.to_dict(), "files": [str(path) for path in written]}
    reporter.result(document, *_answers(pooled.answers), *pooled.notes, f"Answers: {written[2]}")


def _answers(answers: list[dict[str, Any]]) -> list[Table]:
    if not answers:
        return []
    table = Table("question", "answer", "difference", "p", title="Answers")
    for answer in answers:
        interval = "" if answer["low"] is None else f" [{answer['low']:+.4f}, {answer['high']:+.4f}]"
        difference = answer["note"] if answer["mean"] is None else f"{answer['mean']:+.4f}{interval}"
        p_value = "" if answer["p_adjusted"] is None else f"{answer['p_adjusted']:.4f}"
        table.add_row(*(escape(text) for text in (answer["title"], answer["answer"], difference, p_value)))
    return [table]


def _whole_table(settings: "Experiment", folders: dict[str, str], out: Path, reporter: Reporter) -> None:
    from graphret.comparison import compare_whole_table

    whole = compare_whole_table(settings, folders, out=out, progress=reporter.progress)
    written = whole.save(out)
    table = Table("data set", "px", "measure", "published", "measured here", title=whole.title)
    for entry in whole.entries:
        figures = f"{entry['published']:g}", _figure(entry["mean"])
        table.add_row(entry["spec"], str(entry["size"]), entry["measure"], *figures)
    reporter.result(
        {**whole.to_dict(), "files": [str(path) for path in written]},
        table,
        *(f"{entry['spec']}, {entry['measure']}: {entry['error']}" for entry in whole.entries if entry["error"]),
        f"Table: {written[1]}",
    )


def _folders(text: str, other: object) -> dict[str, str]:
    if other:
        raise InvalidParameterError("roots", text, "either --roots, or --data, --root and --size")
    pairs = [name.partition("=") for name in parse_names(text)]
    if not all(name and folder for name, _, folder in pairs):
        raise InvalidParameterError("roots", text, "NAME=DIR with commas between them, as nih=DIR,chexpert=DIR")
    return {name: folder for name, _, folder in pairs}


def _list(reporter: Reporter) -> None:
    from graphret.comparison import list_templates, missing_methods, read_template

    table = Table("template", "what it is", "spec", "not registered", title="Experiments that come along")
    documents = []
    for name in list_templates():
        found = read_template(name)
        missing = list(dict.fromkeys(missing_methods(found)))
        table.add_row(name, found.title, found.data.spec, ", ".join(missing))
        labels = [method.label for method in found.methods]
        documents.append(
            {"name": name, "title": found.title, "spec": found.data.spec, "methods": labels, "missing": missing}
        )
    reporter.result(documents, table, "graphret compare --template NAME --root DIR --out DIR runs one.")


def _template(name: str) -> "Experiment":
    from graphret.comparison import read_template

    return read_template(name)


def _check_data(experiment: "Experiment") -> None:
    """Refuse a call that names no films, in the words of its options."""
    for option, value in (("data", experiment.data.spec), ("root", experiment.data.root)):
        if not value:
            key = {"data": "data.spec"}.get(option, "data.root")
            raise InvalidParameterError(option, value, f"--{option}, or {key} in the experiment")


def _numbers(text: str) -> list[int]:
    try:
        return [int(name) for name in parse_names(text)]
    except ValueError:
        raise InvalidParameterError("bits", text, "whole numbers with commas between them, as 16,32,64") from None


def _table(comparison: "Comparison") -> Table:
    measures = [name for name in comparison.experiment.measures if name in _SHOWN]
    measures = measures or list(comparison.experiment.measures[:4])
    table = Table("method", "bits", "ranking", *measures, "ms", "bytes", title=comparison.experiment.title)
    for row in comparison.rows:
        if row.error:
            continue
        cells = [_figure(row.measures[name]["mean"]) for name in measures]
        bits = "" if row.n_bits is None else str(row.n_bits)
        costs = f"{row.costs['query_milliseconds']:.3f}", f"{row.costs['bytes_per_film']:.0f}"
        table.add_row(row.method, bits, row.ranking, *cells, *costs)
    return table


def _figure(value: Any) -> str:
    return "undefined" if value is None else f"{value:.4f}"


def _failures(comparison: "Comparison") -> list[str]:
    return [f"{row.name}: no figures: {row.error}" for row in comparison.rows if row.error]


def _other_starts(rows: list[dict[str, Any]]) -> list[str]:
    from graphret.comparison.starts import fallbacks

    found = fallbacks(rows)
    if not found:
        return []
    method, bits, start = found[0]
    first = f"{method}, {bits} bits" if bits else method
    begun = f"{len(found)} trainings began from {start['had']} weights, not from {start['wanted']}"
    return [f"{begun}; first {first}: {start['why']}"]
