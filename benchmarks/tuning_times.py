"""Seconds of tuning at several archive sizes: the complete grid, without a limit of time.

    python benchmarks/tuning_times.py [--sizes 2000 20000 112120]

Simulated NIH codes with their findings, k 50, all processors. Each size is built untuned, then tuned in a process that
has compiled its kernels on a small archive before. Wall-clock time of one run each.
"""

from __future__ import annotations

import shutil
import time
from typing import Any

from environment import environment, environment_line
from record import limits_table, parser_of, say, write_results
from simulated_codes import FINDINGS, simulate

import graphret

SIZES = (2_000, 20_000, 112_120)
FLOORS = dict(zip(SIZES, (10.0, 30.0, 90.0), strict=True))
AIMS = dict(zip(SIZES, (5.0, 15.0, 40.0), strict=True))
WARM = 600


def tuned(n: int, options: Any) -> dict[str, Any]:
    """Build an index of n films and tune it."""
    archive = simulate(n)
    folder = options.work / f"tuning-{n}"
    shutil.rmtree(folder, ignore_errors=True)
    index = graphret.build(
        archive.codes, out=folder, k=50, tune=False, ids=archive.ids, labels=archive.labels, label_names=FINDINGS,
        patients=archive.patients,
    )  # fmt: skip
    began = time.perf_counter()
    found = graphret.tune(index, budget=None)
    seconds = time.perf_counter() - began
    shutil.rmtree(folder)
    return {"n": n, "seconds": seconds, "ranking": found.ranking, "options": dict(found.options)}


def markdown(record: dict[str, Any]) -> str:
    """The record as a page."""
    rows = record["rows"]
    limits = [
        (f"tuning {row['n']:,} films, seconds ({kind})", row["seconds"], "<", bounds[row["n"]])
        for row in rows
        for kind, bounds in (("floor", FLOORS), ("aim", AIMS))
        if row["n"] in bounds
    ]
    lines = [
        "# Seconds of tuning",
        "",
        *(limits_table(limits) if limits else []),
        "",
        "| films | seconds | chosen |",
        "|---|---|---|",
        *(f"| {row['n']:,} | {row['seconds']:.1f} | {row['ranking']} |" for row in rows),
        "",
        environment_line(record["environment"]),
    ]
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> None:
    """Run the benchmark."""
    parser = parser_of(__doc__, work="tuning")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    options = parser.parse_args(arguments)
    options.work.mkdir(parents=True, exist_ok=True)
    tuned(WARM, options)
    rows = []
    for n in options.sizes:
        rows.append(tuned(n, options))
        say(f"{n:,} films: {rows[-1]['seconds']:.1f} s")
    record = {"rows": rows, "environment": environment()}
    text = markdown(record)
    write_results(options.results, "tuning_times", record, text)
    print(text)


if __name__ == "__main__":
    main()
