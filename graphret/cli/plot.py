"""`graphret plot`: one figure of an index or a training, and its numbers."""

from pathlib import Path
from typing import Annotated, Any

import typer

from graphret._errors import InvalidParameterError
from graphret.cli.options import parse_names
from graphret.cli.reporting import AsJson, Quiet, report_to_user

__all__ = ["plot"]


def plot(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND",
            help="archive-map, class-balance, map-at-k, precision-at-k, precision-recall or training.",
        ),
    ],
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE", help="Folder of an index; for training, what graphret train wrote.")
    ],
    *,
    out: Annotated[Path, typer.Option(metavar="FILE.svg|FILE.png", help="The figure that is written.")],
    csv: Annotated[Path | None, typer.Option(metavar="FILE.csv", help="Write the numbers of the figure here.")] = None,
    split: Annotated[
        str | None, typer.Option(metavar="NAME", help="Query films, as in graphret evaluate; test if not given.")
    ] = None,
    rankings: Annotated[
        str | None, typer.Option(metavar="NAME[:OPTION=VALUE,...],...", help="Rankings, as in graphret evaluate.")
    ] = None,
    depths: Annotated[
        str | None, typer.Option(metavar="K,...", help="Each K that is measured; 1,2,5,10,20,50,100 if not given.")
    ] = None,
    colour: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Of archive-map: community (if not given), split, view or a finding."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Of the bootstrap and of the random baseline; 0 if not given.")
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Draw one figure: a measure against K, precision against recall, the map, class balance, or a training."""
    with report_to_user(as_json=as_json, quiet=quiet) as reporter:
        from graphret import plotting

        given: dict[str, Any] = {"split": split, "rankings": rankings, "colour": colour, "seed": seed}
        given["depths"] = None if depths is None else _whole_numbers(depths)
        options = {name: value for name, value in given.items() if value is not None}
        drawn = plotting.plot(kind, source, progress=reporter.progress, **options)
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
