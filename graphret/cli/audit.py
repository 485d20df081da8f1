"""`graphret audit`: near duplicates, leaks, and labels that their neighbours deny."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from graphret.cli.info import IndexFolder
from graphret.cli.options import parse_word
from graphret.cli.output_files import check_output_file
from graphret.cli.reporting import AsJson, Quiet, report_to_user

if TYPE_CHECKING:
    from graphret.auditing import Audit
    from graphret.cli.reporting import Reporter
    from graphret.index import Index

__all__ = ["audit"]


def audit(
    index: IndexFolder,
    *,
    k: Annotated[int, typer.Option("--k", "-k", help="Neighbours of each film that are looked at.")] = 10,
    threshold: Annotated[
        str,
        typer.Option(
            metavar="auto|COSINE",
            help="From which two films are near duplicates; auto: chosen from the archive, and said.",
        ),
    ] = "auto",
    n_shown: Annotated[
        int, typer.Option("--show", help="Rows of each list that are printed; the files hold all.")
    ] = 10,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write audit.json, duplicates.csv, groups.csv, patients.csv, labels.csv."),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html",
            metavar="FILE",
            help="Write one page: counts, the first rows of every list, and the films of the strongest suspicions.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of neighbours that are approximate.")] = 0,
    n_threads: Annotated[int | None, typer.Option(help="Threads; all processors if not given.")] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Look through an archive for near duplicates, leaks between splits or patients, and labels that neighbours deny.

    What it lists are suspicions, not verdicts. For leaks between the splits of a data set, build an index of all of
    them.
    """
    with report_to_user(as_json=as_json, quiet=quiet) as reporter:
        import graphret

        if html is not None:
            check_output_file("html", html, (".html", ".htm"))
        opened = graphret.open(index)
        cosine: Any = parse_word(threshold, number=float, nothing=False)
        found = graphret.audit(
            opened, k=k, threshold=cosine, seed=seed, n_threads=n_threads, progress=reporter.progress
        )
        document = {"index": str(index), **found.to_dict()}
        written = [] if out is None else found.save(out)
        if html is not None:
            _write_page(html, found, opened, n_threads, reporter)
            written.append(html)
        if written:
            document["files"] = [str(path) for path in written]
            reporter.note(f"wrote {', '.join(document['files'])}")
        reporter.result(document, *_shown(found, n_shown))


def _write_page(path: Path, found: "Audit", index: "Index", n_threads: int | None, reporter: "Reporter") -> None:
    from graphret.auditing import write_audit_html

    made = write_audit_html(path, found, index.films, index.path.name, n_threads=n_threads, progress=reporter.progress)
    if made.problems.pop("", ""):
        reporter.note("films without a file (their codes were made elsewhere) have no picture")
    if made.problems:
        film, reason = next(iter(made.problems.items()))
        reporter.note(f"{len(made.problems)} films cannot be shown in {path}, first {film}: {reason}")


def _shown(found: "Audit", n: int) -> Iterator[RenderableType]:
    counts = found.counts
    source = "chosen from the archive" if found.threshold_from == "data" else "as given"
    yield (
        f"{found.n_films:,} films, {found.k} neighbours each; near duplicates have a cosine of at least "
        f"{found.threshold:.6f} ({source})"
    )
    title = f"{counts['near_duplicates']:,} near duplicates"
    pairs = Table("first", "second", "cosine", "patient", "splits", "labels", title=title)
    for pair in found.pairs[:n]:
        pairs.add_row(
            *map(Text, (pair.first, pair.second, f"{pair.similarity:.6f}", "same" if pair.same_patient else "other")),
            Text(" / ".join(dict.fromkeys(pair.splits))),
            Text(f"differ: {', '.join(pair.labels_differ)}" if pair.labels_differ else "agree"),
        )
    yield pairs
    yield (
        f"{counts['films_in_groups']:,} films in {counts['groups']:,} groups; {counts['across_splits']:,} pairs in "
        f"different splits; {counts['across_patients']:,} of different patients (a copy, or a patient with two "
        f"numbers); {counts['labels_differ']:,} with different labels"
    )
    if found.n_full:
        yield f"{found.n_full:,} films have {found.k} near duplicates or more: a larger -k may show further ones"
    several = counts["patients_in_several_splits"]
    if several:
        names = list(found.patients_in_several_splits)[:n]
        yield f"{several:,} patients have films in several splits: {', '.join(names)}{', ...' if several > n else ''}"
    title = f"{counts['doubtful_labels']:,} doubtful labels"
    doubts = Table("film", "label", "given", "neighbours agree", "suspicion", title=title)
    for entry in found.doubtful_labels[:n]:
        given = "yes" if entry.given else "no"
        agree = f"{entry.agree} of {entry.asked}"
        doubts.add_row(*map(Text, (entry.id, entry.label, given, agree, f"{entry.suspicion:.2f}")))
    doubts.caption = "0.9: such neighbours are 9 times as frequent among films labelled the other way"
    yield doubts
    if found.n_without_neighbors:
        yield f"{found.n_without_neighbors:,} films have too few neighbours of other patients: labels not judged"
    yield "These are suspicions, not verdicts: look at the films."
