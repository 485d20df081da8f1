"""`graphret watch`: films that arrive in a folder are added to an index."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from graphret.cli.change import Keep
from graphret.cli.info import IndexFolder
from graphret.cli.reporting import AsJson, Quiet, report_to_user

__all__ = ["watch"]


def watch(
    index: IndexFolder,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where films arrive; folders in it are searched.")],
    *,
    once: Annotated[bool, typer.Option("--once", help="Add what is there, and end, as for cron.")] = False,
    every: Annotated[float, typer.Option("--every", metavar="SECONDS", help="Seconds between two looks.")] = 60.0,
    batch: Annotated[int, typer.Option("--batch", metavar="N", help="Films that are added at once, at most.")] = 256,
    settled: Annotated[
        float,
        typer.Option("--settled", metavar="SECONDS", help="A file that changed within so many seconds waits: it may "
                     "still be written to."),
    ] = 2.0,
    keep: Keep = 2,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:  # fmt: skip
    """Add the films that arrive in a folder to an index, in batches; Ctrl-C or SIGTERM ends it after the batch.

    Films are known by their place under the folder, DICOM films by their headers, as graphret add has them. A film that
    cannot be read is reported, and never ends the watch.
    """
    with report_to_user(as_json=as_json, quiet=quiet) as reporter, _stopped_by_signals() as asked_to_stop:
        from graphret.index import watch_folder

        changes = []
        watched = watch_folder(
            index,
            folder,
            batch=batch,
            every=every,
            once=once,
            settled=settled,
            keep=keep,
            stop=lambda: bool(asked_to_stop),
            progress=reporter.progress,
        )
        for change in watched:
            reporter.note(str(change))
            changes.append(change.to_dict())
        names = ("added", "replaced", "left_out")
        total = {name: sum(change[name] for change in changes) for name in names}
        reporter.result(
            {"index": str(index), "folder": str(folder), **total, "changes": changes},
            f"{index}: {total['added']:,} added, {total['replaced']:,} replaced, {total['left_out']:,} left out",
        )


@contextmanager
def _stopped_by_signals() -> Iterator[list[int]]:
    """A list that is not empty from SIGINT or SIGTERM on; a second one ends the program as always."""
    received: list[int] = []

    def remember(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        for signal_number, handler in before.items():
            signal.signal(signal_number, handler)

    before = {number: signal.signal(number, remember) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
