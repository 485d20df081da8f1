"""The commands of the program, in the order in which somebody meets them."""

from typing import Annotated

import typer

from graphret._version import __version__
from graphret.cli.audit import audit
from graphret.cli.audit_phi import audit_phi
from graphret.cli.build import build
from graphret.cli.change import add, purge, rebuild, remove, update_labels
from graphret.cli.compare import compare
from graphret.cli.datasets import datasets
from graphret.cli.demo import demo
from graphret.cli.encode import encode
from graphret.cli.encoders import encoders
from graphret.cli.evaluate import evaluate
from graphret.cli.export import export
from graphret.cli.fetch import fetch
from graphret.cli.flags import FlagCommand
from graphret.cli.info import info, verify
from graphret.cli.pack import pack, unpack
from graphret.cli.plot import plot
from graphret.cli.query import query
from graphret.cli.report import report
from graphret.cli.serve import serve
from graphret.cli.train import train
from graphret.cli.tune import tune
from graphret.cli.watch import watch

__all__ = ["app"]

app = typer.Typer(
    name="graphret",
    help="Find, for a query X-ray, the most similar films of an archive.",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for command in (
    demo,
    datasets,
    encoders,
    train,
    fetch,
    encode,
    build,
    tune,
    query,
    evaluate,
    compare,
    serve,
    audit,
    audit_phi,
    report,
    plot,
    add,
    remove,
    update_labels,
    rebuild,
    purge,
    watch,
    info,
    verify,
    pack,
    unpack,
    export,
):
    app.command(cls=FlagCommand)(command)


def _say_version(asked: bool) -> None:
    if asked:
        typer.echo(f"graphret {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def start(
    context: typer.Context,
    version: Annotated[  # noqa: ARG001 - the callback answers
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Say the version.")
    ] = False,
) -> None:
    """Find, for a query X-ray, the most similar films of an archive."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
