"""Costs of all rows, measured one after the other in one process when all trainings are done.

Times that are taken while methods are trained depend on what else the machine did then. Here every row is timed on the
same machine, with the same threads, with nothing of the comparison beside it. What was measured on another machine,
with other threads or by another version, is never put beside it: it has another key, and all rows are measured again.
"""

from __future__ import annotations

import itertools
import logging
import os
import platform
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._errors import ExperimentError
from graphret._threads import available_threads
from graphret._version import __version__
from graphret.files import Stages, digest, safe_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graphret._types import Progress
    from graphret.comparison.experiment import MethodSettings
    from graphret.comparison.representation import Representations
    from graphret.comparison.rows import MeasuredRow, RowMaker

__all__ = ["REPLACED", "CostRun", "busy_processors"]

logger = logging.getLogger(__name__)

REPLACED = ("films_per_second", "query_milliseconds", "bytes_per_film", "encoder_bytes")
"""Costs that are measured here."""
_BUSY = 0.1
"""Processors that others may use before the machine counts as not idle."""
_WATCHED_SECONDS = 0.5
_STAT = Path("/proc/stat")


def busy_processors(seconds: float = _WATCHED_SECONDS) -> float | None:
    """Processors that were busy while this process slept; None where the system does not tell (it is no Linux).

    Examples
    --------
    >>> busy = busy_processors(0.02)
    >>> busy is None or busy >= 0
    True
    """

    def ticks() -> tuple[float, float]:
        fields = [float(entry) for entry in _STAT.read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]]
        return sum(fields), fields[3] + fields[4]  # all, and idle or waiting for a disk

    try:
        before = ticks()
        time.sleep(seconds)
        after = ticks()
    except (OSError, ValueError, IndexError):
        return None
    spent = after[0] - before[0]
    if spent <= 0:
        return None
    return (1 - (after[1] - before[1]) / spent) * (os.cpu_count() or 1)


class CostRun:
    """One measurement of all costs; it can be stopped, and goes on on the same machine.

    Parameters
    ----------
    home
        Folder of the comparison.
    representations, maker
        Of the first seed: costs do not depend on it.
    progress
        Called as ``progress("measure costs", done, total)``.
    """

    def __init__(
        self, home: Path, representations: Representations, maker: RowMaker, progress: Progress | None = None
    ) -> None:
        self.representations, self.maker, self.progress = representations, maker, progress
        self.folder = home / "costs"
        self.machine = {
            "graphret": __version__,
            "numpy": np.__version__,
            "processor": _processor(),
            "processors": available_threads(),
            "threads of encoding": available_threads(),
            "threads of a query": 1,
            "device": str(maker.experiment.training.get("device", "auto")),
        }

    def measure(self, rows: Sequence[MeasuredRow]) -> tuple[list[MeasuredRow], dict[str, Any]]:
        """Measure all rows that are not measured yet, and return them with these costs.

        Raises
        ------
        ExperimentError
            No row has figures.
        """
        if not any(row.values for row in rows):
            raise ExperimentError("no row has figures, so there are no costs to measure: see what each of them says")
        load = _load()
        wanted = [row for row in rows if row.values]
        for _, of_codes in itertools.groupby(wanted, lambda row: (row.method, row.n_bits)):
            self._measure(list(of_codes))
            if self.progress is not None:
                done = sum(self._known(row) is not None for row in wanted)
                self.progress("measure costs", done, len(wanted))
        found, record = self._put_in(rows)
        record["load_before"] = load
        for warning in record["warnings"]:
            logger.warning("%s", warning)
        return found, record

    def known(self, rows: Sequence[MeasuredRow]) -> tuple[list[MeasuredRow], dict[str, Any]]:
        """Rows with their costs where all of them were measured on this machine; else as they are."""
        measured = [row for row in rows if row.values]
        if not measured or not self.folder.is_dir() or any(self._known(row) is None for row in measured):
            return list(rows), {"alone": False}
        return self._put_in(rows)

    def _put_in(self, rows: Sequence[MeasuredRow]) -> tuple[list[MeasuredRow], dict[str, Any]]:
        found, watched = [], []
        for row in rows:
            costs = self._known(row) if row.values else None
            if costs is None:
                found.append(row)
                continue
            watched.append(costs["busy_processors"])
            found.append(replace(row, costs={**row.costs, **{name: costs[name] for name in REPLACED}}))
        busy = [number for number in watched if number is not None and number > _BUSY]
        warnings = []
        if busy:
            warnings.append(
                f"the machine was not idle: before {len(busy)} of {len(watched)} rows up to {max(busy):.1f} "
                f"processors were "
                "busy with other work; times of these rows may be too long (remove the folder costs of --out and "
                "measure "
                "again on an idle machine)"
            )
        if any(number is None for number in watched):
            warnings.append("this system does not say whether its processors are idle: nothing was watched")
        record = {"alone": True, "run": digest(self.machine)[:16], **self.machine, "warnings": warnings}
        return found, record

    def _method(self, row: MeasuredRow) -> MethodSettings:
        return next(one for one in self.maker.experiment.methods if one.label == row.method)

    def _stage(self, row: MeasuredRow) -> tuple[str, str]:
        codes = self.representations.key_of(self._method(row), row.n_bits)
        return f"costs-{safe_name(row.name)}", digest(self.maker.key(codes, row.ranking), self.machine, row.chosen)

    def _known(self, row: MeasuredRow) -> dict[str, Any] | None:
        done = Stages(self.folder).load(*self._stage(row))
        return None if done is None else done.record

    def _measure(self, rows: Sequence[MeasuredRow]) -> None:
        """Measure the rows of one representation that are not measured yet."""
        missing = [row for row in rows if self._known(row) is None]
        if not missing:
            return
        method, n_bits = self._method(rows[0]), rows[0].n_bits
        made = self.representations.make(method, n_bits)
        of_codes: dict[str, Any] = {}
        for row in missing:
            watched = busy_processors()
            of_codes = of_codes or self.representations.costs_of_encoding(made)
            costs = {**of_codes, **self.maker.costs_of_search(made, row), "busy_processors": watched}
            Stages(self.folder).save(*self._stage(row), costs)
        self.maker.clear(made.stages.folder)
        self.representations.forget(method, n_bits)


def _load() -> list[float] | None:
    """Mean number of waiting processes over 1, 5 and 15 minutes; None where the system has no such number."""
    try:
        return [round(number, 2) for number in os.getloadavg()]
    except (OSError, AttributeError):
        return None


def _processor() -> str:
    """Name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
