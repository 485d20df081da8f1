"""`graphret join-shards`: one graph and one division into communities for the films of several indexes."""

from pathlib import Path
from typing import Annotated

import typer

from graphret.cli.build import Address, EngineName, Storage
from graphret.cli.info import show_info
from graphret.cli.options import config_options
from graphret.cli.reporting import AsJson, Quiet, report_to_user
from graphret.index import BuildConfig

__all__ = ["join_shards"]

_OF_THE_GRAPH = (
    "k",
    "threshold",
    "edge_weights",
    "method",
    "backend",
    "communities",
    "objective",
    "resolution",
    "n_starts",
    "seed",
    "n_threads",
    "max_memory",
)


@config_options(BuildConfig, only=_OF_THE_GRAPH)
def join_shards(
    shards: Annotated[
        list[Path], typer.Argument(metavar="INDEX...", help="The indexes, in the order of the positions.")
    ],
    *,
    out: Annotated[
        Path,
        typer.Option(
            "--out", metavar="DIR", help="Folder of graph and communities; codes and films stay where they are."
        ),
    ],
    engine: EngineName = "local",
    address: Address = None,
    storage: Storage = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    config: BuildConfig,
) -> None:
    """Join indexes: neighbours, graph and communities of all their films; DIR is then asked as one index.

    Stop it at any time, the same command goes on. After films of an index were added or removed, join them again.
    """
    with report_to_user(as_json=as_json, quiet=quiet) as reporter:
        import graphret

        index = graphret.join_shards(
            shards, out=out, config=config, engine=engine, address=address, storage=storage, progress=reporter.progress
        )
        about = index.info()
        reporter.result({**about, "shards": list(map(str, index.shards))}, show_info(about))
