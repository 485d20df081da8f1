"""`graphret serve`: pages and an API over indexes."""

from pathlib import Path
from typing import Annotated

import typer

from graphret.cli.options import config_options
from graphret.cli.reporting import Quiet, report_to_user
from graphret.serve import ServeConfig
from graphret.serve import serve as run_service

__all__ = ["serve"]


@config_options(ServeConfig)
def serve(
    indexes: Annotated[
        list[Path], typer.Argument(metavar="INDEX...", help="Folders of indexes; the first is asked if none is named.")
    ],
    *,
    quiet: Quiet = False,
    config: ServeConfig,
) -> None:
    """Serve indexes to people (pages) and programs (a JSON API) until Ctrl-C; no generation of an index is changed."""
    with report_to_user(as_json=False, quiet=quiet) as reporter:
        run_service(indexes, config, on_start=lambda address: reporter.result({}, f"graphret is at {address}"))
