"""`graphret evaluate`: how well an index finds films that share findings with held-out queries."""

from pathlib import Path
from typing import Annotated

import typer

from graphret.cli.info import IndexFolder
from graphret.cli.options import parse_names
from graphret.cli.reporting import AsJson, Quiet, report_to_user

__all__ = ["JudgementsFile", "evaluate"]

JudgementsFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="What people judged: TREC judgements (qrels), or a list of `graphret serve` as CSV. It names the queries, "
        "and what is relevant for them, in the place of labels.",
    ),
]


def evaluate(
    index: IndexFolder,
    *,
    split: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Query films: those of the index, or else those of the data set it was built from; test if not given.",
        ),
    ] = None,
    judgements: JudgementsFile = None,
    measures: Annotated[
        str | None,
        typer.Option(
            metavar="NAME@K,...",
            help="P, ACG, DCG, nDCG, mAP, gmAP, R or HR, each with its K; P@10,ACG@10,nDCG@100,mAP@100 if not given, "
            "with judgements without ACG.",
        ),
    ] = None,
    rankings: Annotated[
        str | None,
        typer.Option(
            metavar="NAME[:OPTION=VALUE,...],...",
            help="Rankings to compare, as alpha_qe:n=20,alpha=2 or tuned or NAME:default; if not given, what the index "
            "was tuned to, or nearest.",
        ),
    ] = None,
    reference: Annotated[
        str | None, typer.Option(metavar="NAME", help="The ranking that the others are compared with.")
    ] = None,
    baselines: Annotated[
        str, typer.Option(metavar="NAME,...|none", help="Rows beside them: random, or none.")
    ] = "random",
    exclude_same_patient: Annotated[
        bool,
        typer.Option(
            "--exclude-same-patient/--include-same-patient",
            help="Never films of the query's own patient, or also those.",
        ),
    ] = True,
    n_resamples: Annotated[int, typer.Option(help="Bootstrap samples for the 95 % intervals.")] = 2000,
    seed: Annotated[int, typer.Option(help="Of the bootstrap and of the random baseline.")] = 0,
    device: Annotated[
        str | None,
        typer.Option(
            metavar="auto|cpu|cuda",
            help="Compare queries with every code by torch there, as exact search does; if not given, without torch.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write report.json, report.md, TREC files and a contact sheet here."),
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Measure rankings of an index on films with known findings; means, 95 % intervals, differences, and chance."""
    with report_to_user(as_json=as_json, quiet=quiet) as reporter:
        from rich.markdown import Markdown  # here: other commands need it not, and it takes long to import

        import graphret

        report = graphret.evaluate(
            index,
            split,
            judgements=judgements,
            measures=None if measures is None else parse_names(measures),
            rankings=rankings,
            reference=reference,
            baselines=() if baselines == "none" else parse_names(baselines),
            exclude="patient" if exclude_same_patient else None,
            n_resamples=n_resamples,
            seed=seed,
            device=device,
            progress=reporter.progress,
        )
        document = report.to_dict()
        for problem in document["queries"]["problems"]:
            reporter.note(f"left out {problem['id']}: {problem['reason']}")
        if out is not None:
            written = report.save(out)
            document["files"] = [str(path) for path in written]
            reporter.note(f"wrote {', '.join(str(path) for path in written)}")
        reporter.result(document, Markdown(report.to_markdown()))
