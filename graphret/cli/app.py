"""The commands of the program, in the order in which somebody meets them."""

from collections.abc import Collection
from importlib import import_module
from typing import Annotated

import typer

from graphret._imports import importing
from graphret._version import __version__
from graphret.cli.flags import FlagCommand

__all__ = ["COMMANDS", "command_app"]

COMMANDS = {
    "demo": "demo",
    "datasets": "datasets",
    "encoders": "encoders",
    "train": "train",
    "fetch": "fetch",
    "encode": "encode",
    "build": "build",
    "tune": "tune",
    "query": "query",
    "evaluate": "evaluate",
    "compare": "compare",
    "serve": "serve",
    "audit": "audit",
    "audit-phi": "audit_phi",
    "report": "report",
    "plot": "plot",
    "add": "change",
    "remove": "change",
    "update-labels": "change",
    "rebuild": "change",
    "join-shards": "join",
    "purge": "change",
    "watch": "watch",
    "info": "info",
    "verify": "info",
    "pack": "pack",
    "unpack": "pack",
    "export": "export",
}
"""Command -> module of this package that has its function."""


def command_app(names: Collection[str] = tuple(COMMANDS)) -> typer.Typer:
    """Return the program with some of its commands; modules of the others are not imported, which takes seconds.

    Examples
    --------
    >>> [command.callback.__name__ for command in command_app(["pack"]).registered_commands]
    ['pack']
    """
    app = typer.Typer(
        name="graphret",
        help="Find, for a query X-ray, the most similar films of an archive.",
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(invoke_without_command=True)(_start)
    with importing():
        for name, module in COMMANDS.items():
            if name in names:
                function = getattr(import_module(f"graphret.cli.{module}"), name.replace("-", "_"))
                app.command(cls=FlagCommand)(function)
    return app


def _say_version(asked: bool) -> None:
    if asked:
        typer.echo(f"graphret {__version__}")
        raise typer.Exit


def _start(
    context: typer.Context,
    version: Annotated[  # noqa: ARG001 - the callback answers
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Say the version.")
    ] = False,
) -> None:
    """Find, for a query X-ray, the most similar films of an archive."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
