"""``--html`` and ``--csv``: hits as files, whose places are checked before anything is encoded."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphret.cli.output_files import check_output_file

if TYPE_CHECKING:
    from graphret.cli.reporting import Reporter
    from graphret.index import QueryConfig

__all__ = ["Csv", "HitFiles", "Html", "Sr"]

Html = Annotated[
    Path | None,
    typer.Option(
        "--html",
        metavar="FILE",
        help="Also write a page: every query beside its hits, with labels, similarity, score and why; one file.",
    ),
]
Csv = Annotated[
    Path | None, typer.Option("--csv", metavar="FILE", help="Also write the hits as a table, one row a hit.")
]
Sr = Annotated[
    Path | None,
    typer.Option(
        "--sr",
        metavar="FILE",
        help="Also write the hits of one DICOM query as a structured report (.dcm), or their UIDs as JSON (.json).",
    ),
]
_SUFFIXES = {"html": (".html", ".htm"), "csv": (".csv",), "sr": (".dcm", ".json")}


@dataclass(frozen=True)
class HitFiles:
    """Where hits are to be written to.

    Raises
    ------
    InvalidParameterError
        A name of another kind of file.
    MissingFileError
        The folder of a file is not there.
    """

    html: Path | None
    csv: Path | None
    sr: Path | None

    def __post_init__(self) -> None:
        for name, suffixes in _SUFFIXES.items():
            path: Path | None = getattr(self, name)
            if path is not None:
                check_output_file(name, path, suffixes)

    def write(self, document: dict[str, Any], config: "QueryConfig", reporter: "Reporter") -> list[str]:
        """Write what was asked for, say so, and return the files; films are decoded as the config says."""
        from graphret.index import write_dicom_results, write_hits_csv, write_hits_html

        if self.sr is not None:
            n_left = len(document["queries"][0]["hits"]) - write_dicom_results(self.sr, document)
            if n_left:
                reporter.note(f"{n_left} hits are not in {self.sr}: their films are no DICOM files")
        written = [path for path in (self.html, self.csv, self.sr) if path is not None]
        if self.csv is not None:
            write_hits_csv(self.csv, document)
        if self.html is not None:
            thumbnails = write_hits_html(
                self.html,
                document,
                decoding=config.decoding,
                n_threads=config.n_threads,
                progress=reporter.progress,
            )
            if thumbnails.problems:
                name, reason = next(iter(thumbnails.problems.items()))
                reporter.note(
                    f"{len(thumbnails.problems)} films cannot be shown in {self.html}, first "
                    f"{name or 'one without a file'}: {reason}"
                )
        if written:
            reporter.note(f"wrote {', '.join(map(str, written))}")
        return [str(path) for path in written]
