"""`graphret plot`: one figure of an index, a data set or a training, and its numbers."""

from pathlib import Path
from typing import Annotated, Any

import typer

from graphret._errors import InvalidParameterError
from graphret.cli.films import DataIfAny, say_left_out
from graphret.cli.options import parse_names
from graphret.cli.reporting import AsJson, Quiet, report_to_user

__all__ = ["plot"]


def plot(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND",
            help="archive-map, class-balance, confusion, hamming-radius, map-at-k, precision-at-k, precision-recall, "
            "roc, saliency, segmentation, training, tsne or umap.",
        ),
    ],
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE",
            help="Folder of an index; for training, what graphret train wrote; with --data, the folder of a data set.",
        ),
    ],
    *,
    out: Annotated[Path, typer.Option(metavar="FILE.svg|FILE.png", help="The figure that is written.")],
    data: DataIfAny = None,
    csv: Annotated[Path | None, typer.Option(metavar="FILE.csv", help="Write the numbers of the figure here.")] = None,
    split: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Query films, as in graphret evaluate; test if not given. Of sheets: their films; all if not given.",
        ),
    ] = None,
    rankings: Annotated[
        str | None, typer.Option(metavar="NAME[:OPTION=VALUE,...],...", help="Rankings, as in graphret evaluate.")
    ] = None,
    ranking: Annotated[
        str | None,
        typer.Option(
            metavar="NAME[:OPTION=VALUE,...]",
            help="Of roc and confusion: whose hits vote; that of the index if not given.",
        ),
    ] = None,
    k: Annotated[
        int | None, typer.Option("--k", "-k", help="Of roc (20 if not given) and confusion (10): hits that vote.")
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Of roc: whose score is drawn, neighbors (if not given) or encoder. Of class-balance: split.",
        ),
    ] = None,
    encoder: Annotated[
        str | None,
        typer.Option(
            metavar="PATH|NAME", help="Of saliency and segmentation: what draws, where it is not that of the index."
        ),
    ] = None,
    n_films: Annotated[
        int | None,
        typer.Option(help="Films of a sheet (6 if not given); of tsne and umap, a sample of larger archives (3000)."),
    ] = None,
    depths: Annotated[
        str | None, typer.Option(metavar="K,...", help="Each K that is measured; 1,2,5,10,20,50,100 if not given.")
    ] = None,
    colour: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Of archive-map, tsne and umap: community (if not given), split, view or a finding."
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Of the bootstrap, the random baseline, tsne, and films that are drawn; 0 if not given."),
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Draw one figure: measures, ROC curves, confusion, codes in the plane, class balance, sheets, or a training."""
    with report_to_user(as_json=as_json, quiet=quiet) as reporter:
        from graphret import plotting, read_dataset

        given: dict[str, Any] = {"split": split, "rankings": rankings, "ranking": ranking, "k": k, "by": by}
        given |= {"encoder": encoder, "n_films": n_films, "colour": colour, "seed": seed}
        given["depths"] = None if depths is None else _whole_numbers(depths)
        options = {name: value for name, value in given.items() if value is not None}
        films = None if data is None else read_dataset(data, source)
        if films is not None:
            say_left_out(films, reporter)
        drawn = plotting.plot(kind, source if films is None else films, progress=reporter.progress, **options)
        drawn.save(out)
        if csv is not None:
            drawn.save_csv(csv)
        for note in drawn.notes:
            reporter.note(note)
        document = {"kind": kind, "source": str(source), "file": str(out), "csv": None if csv is None else str(csv)}
        numbers = {"columns": list(drawn.columns), "rows": [list(row) for row in drawn.rows]}
        reporter.result({**document, "notes": list(drawn.notes), **numbers}, f"wrote {out}")


def _whole_numbers(text: str) -> list[int]:
    try:
        return [int(name) for name in parse_names(text)]
    except ValueError:
        raise InvalidParameterError("depths", text, "whole numbers with commas between them, as 1,10,100") from None
