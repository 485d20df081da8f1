"""`graphret tune`: the ranking that suits an archive, chosen on the archive itself."""

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from graphret.cli.evaluate import JudgementsFile
from graphret.cli.info import IndexFolder
from graphret.cli.options import parse_names, parse_word
from graphret.cli.reporting import AsJson, Quiet, report_to_user

if TYPE_CHECKING:
    from graphret.tuning import Tuning

__all__ = ["tune"]

_SHOWN = 12


def tune(
    index: IndexFolder,
    *,
    judgements: JudgementsFile = None,
    measures: Annotated[
        str, typer.Option(metavar="NAME@K,...", help="The mean of these is compared.")
    ] = "P@10,nDCG@100,mAP@100",
    learn: Annotated[
        bool,
        typer.Option("--learn/--no-learn", help="Also try metrics that are learned from labels."),
    ] = True,
    split: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Queries of this split only (valid: the encoder was not trained on it); all if not given.",
        ),
    ] = None,
    n_queries: Annotated[int, typer.Option(help="Queries, at most.")] = 1000,
    budget: Annotated[str, typer.Option(metavar="SECONDS|none", help="Time for the trials.")] = "300",
    variety: Annotated[
        float,
        typer.Option(help="Share of nearest's number of different films, among all first ten hits, that must be kept."),
    ] = 0.5,
    seed: Annotated[int, typer.Option(help="Draws the queries.")] = 0,
    n_threads: Annotated[int | None, typer.Option(help="Threads; all processors if not given.")] = None,
    device: Annotated[
        str | None,
        typer.Option(
            metavar="auto|cpu|cuda",
            help="Compare queries with every code by torch there, as exact search does; if not given, without torch.",
        ),
    ] = None,
    label_aware: Annotated[
        bool,
        typer.Option(
            "--label-aware",
            help="Tune label_aware instead, which uses the archive's labels at query time: apart, never the default.",
        ),
    ] = False,
    reset: Annotated[bool, typer.Option("--reset", help="Only remove the tuning that the index has.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Choose the ranking of an index on its own films, and keep it: `graphret query` then uses it.

    The queries are films of the archive, each without the films of its own patient; labels or judgements say which hits
    are right. No other film is read.
    """
    with report_to_user(as_json=as_json, quiet=quiet) as reporter:
        import graphret
        from graphret.index.tuned import forget_tuning
        from graphret.tuning import label_aware_candidates

        if reset:
            removed = forget_tuning(index)
            reporter.result({"index": str(index), "removed": removed}, _say_removed(removed))
            return
        opened = graphret.open(index)
        seconds: Any = parse_word(budget, number=float, nothing=True)
        found = graphret.tune(
            opened,
            judgements=judgements,
            measures=parse_names(measures),
            candidates=label_aware_candidates() if label_aware else None,
            learn=learn,
            split=split,
            n_queries=n_queries,
            budget=seconds,
            variety=variety,
            seed=seed,
            n_threads=n_threads,
            device=device,
            progress=reporter.progress,
        )
        document = found.to_dict()
        # with label_aware, another ranking says that no strength of it was clearly better than nearest
        if not label_aware or found.ranking == "label_aware":
            opened.record_tuning(document)
        if found.metric is not None:  # its numbers are for ranking.json
            document["metric"] = {name: value for name, value in document["metric"].items() if name != "numbers"}
        sentence = f"{_sentence(found)}; {_apart(found)}" if label_aware else _sentence(found)
        reporter.result({"index": str(index), "uses_labels": label_aware, **document}, _table(found), sentence)


def _say_removed(removed: bool) -> str:
    return "the tuning was removed: queries use nearest again" if removed else "there was no tuning"


def _apart(found: "Tuning") -> str:
    if found.ranking != "label_aware":
        return "label_aware uses the archive's labels at query time; nothing was kept"
    return (
        "it uses the archive's labels at query time: kept for `graphret query --ranking label_aware`, the default "
        "ranking stays as it was"
    )


def _options(options: Any) -> str:
    return ", ".join(f"{name}={value}" for name, value in options.items()) or "-"


def _table(found: "Tuning") -> Table:
    scores = list(found.trials[0].scores)
    table = Table("ranking", "options", *scores, "variety", title=f"best of {len(found.trials)} trials")
    last = [trial for trial in found.trials if trial.n_queries == found.trials[0].n_queries]
    shown = last[:_SHOWN]
    shown += [trial for trial in last[_SHOWN:] if trial.ranking == "nearest"]
    for trial in shown:
        values = [f"{trial.scores[name]:.4f}" for name in scores]
        table.add_row(
            trial.ranking, _options({**trial.options, **(trial.metric or {})}), *values, f"{trial.variety:.2f}"
        )
    return table


def _sentence(found: "Tuning") -> str:
    difference = found.difference
    text = (
        f"chosen: {found.choice}, by {found.criterion}; {found.n_queries} queries, best "
        f"candidate {difference.mean:+.4f} ({difference.low:+.4f} to {difference.high:+.4f}) from nearest"
    )
    if found.own_gain is not None and found.ranking == "nearest":
        text += f", but only {found.own_gain.mean:+.4f} beyond what the same lists gain for other queries"
    if found.metric is not None:
        text += "; its metric was learned from the archive's labels"
    return text if found.complete else f"{text}; the time was over before all rounds were done"
