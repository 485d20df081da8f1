"""`graphret pack` and `graphret unpack`: a whole index as one file with checksums, and back."""

from pathlib import Path
from typing import Annotated

import typer

from graphret.cli.info import IndexFolder
from graphret.cli.reporting import AsJson, Quiet, report_to_user

__all__ = ["pack", "unpack"]


def pack(
    index: IndexFolder,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="File to write, as archive.tar.")],
    *,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Write the current generation of an index, and its tuning, into one file; every byte is compared on the way.

    The file is a tar without compression. The index may be asked and written meanwhile.
    """
    with report_to_user(as_json=as_json, quiet=quiet) as reporter:
        import graphret

        done = graphret.pack(index, file, progress=reporter.progress)
        reporter.result(
            {"index": str(index), **done},
            f"{done['generation']} of {index}, {done['n_files']} files, {done['n_bytes']:,} bytes: {file}",
        )


def unpack(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that `graphret pack` wrote.")],
    out: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to make; it may not be there yet.")],
    *,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Make an index of a file that `graphret pack` wrote; it appears when every byte of it was verified."""
    with report_to_user(as_json=as_json, quiet=quiet) as reporter:
        import graphret

        index = graphret.unpack(file, out, progress=reporter.progress)
        reporter.result({"index": str(out), "n_films": len(index)}, f"{len(index)} films, all verified: {out}")
