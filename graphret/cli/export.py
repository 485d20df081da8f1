"""`graphret export`: the graph of an index for other programs."""

from pathlib import Path
from typing import Annotated

import typer

from graphret._errors import MissingFileError
from graphret.cli.info import IndexFolder
from graphret.cli.reporting import AsJson, report_to_user

__all__ = ["export"]


def export(
    index: IndexFolder,
    out: Annotated[
        Path, typer.Argument(metavar="FILE", help="GraphML file to write (.graphml or .xml); replaced when complete.")
    ],
    *,
    as_json: AsJson = False,
) -> None:
    """Write graph and communities as GraphML (Gephi, Cytoscape, yEd); nodes carry id, community, patient, labels."""
    with report_to_user(as_json=as_json, quiet=True) as reporter:
        import graphret

        if not out.parent.is_dir():
            raise MissingFileError(out.parent, "folder", "make it first")
        opened = graphret.open(index)
        opened.export_graph(out)
        counts = opened.info()["counts"]
        reporter.result(
            {"file": str(out), "n_nodes": counts["films"], "n_edges": counts["edges"]},
            f"{out}: {counts['films']:,} nodes, {counts['edges']:,} edges",
        )
