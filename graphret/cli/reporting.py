"""What a command says: results on stdout, everything else (progress, logs, errors) on stderr."""

import json
import logging
import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.segment import Segment
from rich.text import Text

from graphret._plain import plain_json, plain_text

__all__ = ["AsJson", "Quiet", "Reporter", "report_to_user", "without_nan"]

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else there.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no notes; warnings and errors stay.")]

_WIDTH_WITHOUT_TERMINAL = 160
_WAITING = "working"
"""The bar without an end that is drawn while no stage says how far it is."""


class Reporter:
    """The voice of one command.

    Parameters
    ----------
    as_json
        The result is one JSON document; tables and sentences are left out.
    quiet
        No progress.
    """

    def __init__(self, *, as_json: bool, quiet: bool) -> None:
        self.as_json, self.quiet = as_json, quiet
        self.notes = _console(stderr=True)
        self._results = _console(stderr=False)
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._waiting: list[TaskID] = []
        self._began: dict[str, float] = {}
        self._last = ""

    def result(self, document: Any, *shown: RenderableType) -> None:
        """Say the result: the document with ``--json``, what is shown otherwise."""
        if self.as_json:
            text = json.dumps(without_nan(document), indent=2, ensure_ascii=False, allow_nan=False)
            sys.stdout.write(plain_json(text) + "\n")
            return
        for part in shown:
            self._results.print(part, highlight=False, soft_wrap=isinstance(part, str | Text))

    def progress(self, stage: str, done: int, total: int) -> None:
        """Draw a bar while the stage lasts, where somebody looks, and leave a line when it is done.

        This is the `Progress` that every long step takes.
        """
        if self.quiet or (done >= total and stage == self._last and stage not in self._began):
            return  # a stage may say twice that it is done
        began = self._began.setdefault(stage, time.monotonic())
        if self._bars is not None:
            self._draw(self._bars, stage, done, total)
        if done >= total:
            del self._began[stage]
            self._last = stage
            self.note(f"{stage}: {done} of {total}, {time.monotonic() - began:.1f} s")

    def _draw(self, bars: Progress, stage: str, done: int, total: int) -> None:
        if stage not in self._tasks:
            self._tasks[stage] = bars.add_task(stage, total=total, note="")
        bars.update(self._tasks[stage], completed=done, total=total, note=getattr(stage, "note", ""))
        if done >= total:
            bars.remove_task(self._tasks.pop(stage))
        for waiting in self._waiting:  # so that work between the stages is seen too
            if self._tasks:
                bars.reset(waiting, visible=False)
            else:
                bars.update(waiting, visible=True)

    def note(self, text: str) -> None:
        """Say something that is not the result."""
        if not self.quiet:
            _say(self.notes, text)

    @contextmanager
    def drawing(self) -> Iterator[None]:
        """Draw bars inside the block, if somebody looks at a terminal."""
        if self.quiet or not self.notes.is_terminal:
            yield
            return
        columns = TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
        note = TextColumn("{task.fields[note]}", markup=False)
        with Progress(*columns, note, console=self.notes) as bars:
            self._bars, self._waiting = bars, [bars.add_task(_WAITING, total=None, note="")]
            try:
                yield
            finally:
                bars.remove_task(self._waiting.pop())
                self._bars = None
                self._tasks.clear()


class _LogOnConsole(logging.Handler):
    """The package's log, one line a message, above the bars that are being drawn."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        _say(self._console, record.getMessage())


@contextmanager
def report_to_user(*, as_json: bool, quiet: bool) -> Iterator[Reporter]:
    """Give a command its voice, and let the package's log speak on stderr for as long."""
    reporter = Reporter(as_json=as_json, quiet=quiet)
    handler = _LogOnConsole(reporter.notes)
    logger = logging.getLogger("graphret")
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.WARNING if quiet else logging.INFO)
    logger.propagate = False
    try:
        with reporter.drawing():
            yield reporter
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before[0])
        logger.propagate = before[1]


def without_nan(value: Any) -> Any:
    """Replace what JSON has no word for: NaN and infinity become None, numpy values and paths plain ones.

    Examples
    --------
    >>> import numpy as np
    >>> without_nan({"a": np.float32(0.5), "b": [float("nan"), np.arange(2)]})
    {'a': 0.5, 'b': [None, [0, 1]]}
    """
    if isinstance(value, dict):
        return {str(key): without_nan(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(entry) for entry in value]
    if hasattr(value, "tolist"):
        return without_nan(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int) else str(value)


def _say(console: Console, text: str) -> None:
    console.print(f"graphret: {text}", soft_wrap=True)


def _console(*, stderr: bool) -> Console:
    """A console that shows names as they are, and never cuts a path in two where no terminal sets its width."""
    plain: dict[str, Any] = {"stderr": stderr, "markup": False, "emoji": False, "highlight": False}
    console = _PlainConsole(**plain)
    return console if console.is_terminal else _PlainConsole(**plain, width=_WIDTH_WITHOUT_TERMINAL)


class _PlainConsole(Console):
    """A console that shows what a text from outside would make the terminal do, and does not let it happen."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(plain_text(segment.text), segment.style)
