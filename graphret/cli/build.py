"""`graphret build`: an index from films and an encoder."""

from pathlib import Path
from typing import Annotated

import typer

from graphret.cli.films import Bits, Data, Device, EncoderSource, InputSize, Root, Splits, read_films
from graphret.cli.info import show_info
from graphret.cli.options import config_options, parse_word
from graphret.cli.reporting import AsJson, Quiet, report_to_user
from graphret.index import BuildConfig

__all__ = ["build"]


@config_options(BuildConfig)
def build(
    *,
    data: Data,
    root: Root,
    encoder: EncoderSource,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the index.")],
    split: Splits = None,
    size: InputSize = None,
    bits: Bits = None,
    device: Device = "auto",
    tune: Annotated[
        bool | None,
        typer.Option(
            "--tune/--no-tune",
            help="Then choose the ranking on these films, as graphret tune does; "
            "not given: where enough of them have a finding.",
            show_default=False,
        ),
    ] = None,
    tune_budget: Annotated[
        str,
        typer.Option(
            metavar="auto|SECONDS|none", help="Time for that; auto: a quarter of the build's, at least 30 seconds."
        ),
    ] = "auto",
    as_json: AsJson = False,
    quiet: Quiet = False,
    config: BuildConfig,
) -> None:
    """Build an index: codes of all films, graph, communities; stop it at any time, the same command goes on.

    Leave the test films out (--split train,valid) where the index is to be evaluated on them.
    """
    with report_to_user(as_json=as_json, quiet=quiet) as reporter:
        films = read_films(data, root, split, reporter)
        import graphret

        loaded = graphret.load_encoder(encoder, n_bits=bits, device=device, size=size)
        index = graphret.build(
            films,
            loaded,
            out=out,
            config=config,
            tune="auto" if tune is None else tune,
            tune_budget=parse_word(tune_budget, number=float, nothing=True),
            progress=reporter.progress,
        )
        reporter.result(
            index.info(),
            show_info(index.info()),
            f"Next: graphret query {out} FILE -k 10",
        )
