"""What the scripts have in common: where results go, how they are written, what is said meanwhile."""

from __future__ import annotations

import argparse
import gzip
import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

RESULTS = Path(__file__).parent / "results"
LONG_RECORD = 100_000
"""Bytes above which a record is compressed: nobody reads it line by line."""
WORK = Path.home() / ".cache/graphret-benchmarks"


def parser_of(document: str | None, *, work: str | None = None) -> argparse.ArgumentParser:
    """Make a parser with the options that every script has."""
    parser = argparse.ArgumentParser(description=document, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder for the .json and .md files")
    if work is not None:
        parser.add_argument("--work", type=Path, default=WORK / work, help="folder for runs, indexes and caches")
    return parser


def say(text: object) -> None:
    """Print a line with the time to stderr."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def progress() -> Callable[[str, int, int], None]:
    """Make a progress function that says every finished stage once."""
    last = ""

    def report(stage: str, done: int, total: int) -> None:
        nonlocal last
        if done < total:
            last = ""
        elif stage != last:
            last = stage
            say(f"{stage}: {done} of {total}")

    return report


def write_results(folder: Path, name: str, record: dict[str, Any], text: str) -> None:
    """Write NAME.json and NAME.md, each complete or not at all; a long record is compressed, as NAME.json.gz."""
    folder.mkdir(parents=True, exist_ok=True)
    content = (json.dumps(record, indent=1, allow_nan=False) + "\n").encode()
    suffix, other = (".json", ".json.gz") if len(content) <= LONG_RECORD else (".json.gz", ".json")
    if suffix == ".json.gz":
        content = gzip.compress(content, mtime=0)
    for file, written in ((f"{name}{suffix}", content), (f"{name}.md", text.encode())):
        partial = folder / f".{file}.partial"
        partial.write_bytes(written)
        partial.replace(folder / file)
    (folder / f"{name}{other}").unlink(missing_ok=True)


def append(file: Path, row: dict[str, Any]) -> None:
    """Append a row as a JSON line that is on the disk when this returns."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(row, allow_nan=False) + "\n")
        lines.flush()
        os.fsync(lines.fileno())


def read_rows(file: Path) -> list[dict[str, Any]]:
    """The rows of a file of JSON lines; a last line that a kill cut short is left out."""
    rows = []
    for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else []:
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            say(f"{file.name}: a line was cut short, left out")
    return rows


def write_report(
    options: argparse.Namespace,
    record_of: Callable[[list[dict[str, Any]]], dict[str, Any]],
    markdown: Callable[[dict[str, Any]], str],
) -> str:
    """Write the record and its tables from the rows on disk; ends the program where there are none."""
    rows = read_rows(options.results / f"{options.name}.jsonl")
    if not rows:
        raise SystemExit(f"there are no rows of {options.name} in {options.results}")
    record = record_of(rows)
    text = markdown(record)
    write_results(options.results, options.name, record, text)
    return text


def kept(file: Path, make: Callable[[], np.ndarray]) -> np.ndarray:
    """An array from its file; made and written there the first time."""
    if not file.exists():
        say(f"making {file.name}")
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_name(f"partial-{file.name}")
        np.save(partial, make())
        partial.replace(file)
    array: np.ndarray = np.load(file, allow_pickle=False)
    return array


def name_of(kind: str, n: int | None) -> str:
    """Name of the result files; another size has files of its own."""
    return kind if n is None else f"{kind}_{n}"


def spread(values: Sequence[float], digits: int) -> str:
    """Say the median, and the smallest and largest in brackets."""
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def limits_table(limits: Sequence[tuple[str, float, str, float]]) -> list[str]:
    """Markdown of (what, measured, "<" or ">=", limit) rows, with whether each holds."""
    lines = ["| limit | measured | holds |", "|---|---|---|"]
    for what, measured, relation, limit in limits:
        holds = measured < limit if relation == "<" else measured >= limit
        lines.append(f"| {what} {relation} {limit:g} | {measured:.4g} | {'yes' if holds else '**no**'} |")
    return lines
