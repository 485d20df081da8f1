"""What one change of a large archive costs beside building it again, and what opening, checking and packing it cost.

    python benchmarks/living_costs.py [--n 112120] [--dimensions 1024] [--changed 1000] [--repeat 7] [--no-rebuild]

Simulated NIH codes; beyond 112,120 films they are those films at other exposures, cut to the dimensions that are asked
for. Films are added and removed by their codes, so that no decoding hides the cost of the index. A rebuild is the warm
one of the same films; a full build makes the index of all films from their codes. Wall-clock times; medians where an
operation is repeated, with the fastest and the slowest, and the processor time of the program and of the system: that
of the system depends on how the machine gets memory for the pages of new files.
"""

from __future__ import annotations

import os
import shutil
import statistics
from functools import partial
from typing import Any

import numpy as np
from environment import environment, environment_line
from living import own_bytes, timed
from record import limits_table, name_of, parser_of, say, write_results
from simulated_codes import simulate

import graphret
from graphret.index import pack, unpack

N_ARCHIVE, N_CHANGED, REPEAT = 112_120, 1_000, 7


def codes_of(n: int, dimensions: int) -> np.ndarray:
    """Codes of n films, float32 (n, dimensions)."""
    parts = []
    for exposure in range(-(-n // N_ARCHIVE)):
        left = n - exposure * N_ARCHIVE
        parts.append(np.ascontiguousarray(simulate(min(left, N_ARCHIVE), exposure=exposure).codes[:, :dimensions]))
    return np.concatenate(parts)


def measure(options: Any) -> dict[str, Any]:
    """Run every operation."""
    n, changed = options.n or N_ARCHIVE, options.changed
    codes = codes_of(n + changed, options.dimensions)
    root = options.work / f"costs-{n}"
    shutil.rmtree(root, ignore_errors=True)
    say("full build")
    index, full = timed(lambda: graphret.build(codes[:n], out=root / "index", k=50, tune=False))
    seconds: dict[str, list[float]] = {name: [] for name in ("add", "remove", "open", "verify")}
    processor: dict[str, list[tuple[float, float]]] = {"add": [], "remove": []}
    sizes: dict[str, list[int]] = {"add": [], "remove": []}
    for turn in range(options.repeat):
        say(f"turn {turn + 1} of {options.repeat}")
        names = [f"new-{turn}-{row}" for row in range(changed)]
        before = os.times()
        index, took = timed(partial(index.add, codes[n:], ids=names))
        seconds["add"].append(took)
        processor["add"].append(_since(before))
        sizes["add"].append(own_bytes(index))
        before = os.times()
        index, took = timed(partial(index.remove, names))
        seconds["remove"].append(took)
        processor["remove"].append(_since(before))
        sizes["remove"].append(own_bytes(index))
        seconds["open"].append(timed(lambda: graphret.open(root / "index"))[1])
        seconds["verify"].append(timed(index.verify)[1])
    once = {"full build": full}
    if not options.no_rebuild:
        say("rebuild")
        index, once["rebuild, warm"] = timed(index.rebuild)
    say("pack, unpack")
    once["pack"] = timed(lambda: pack(root / "index", root / "archive.tar"))[1]
    once["unpack"] = timed(lambda: unpack(root / "archive.tar", root / "unpacked"))[1]
    packed = (root / "archive.tar").stat().st_size
    shutil.rmtree(root)
    return {
        "n": n,
        "dimensions": options.dimensions,
        "changed": changed,
        "seconds": {name: statistics.median(values) for name, values in seconds.items()} | once,
        "all seconds": seconds,
        "processor seconds": processor,
        "bytes": {name: statistics.median(values) for name, values in sizes.items()} | {"pack": packed},
        "environment": environment(),
    }


def _since(before: os.times_result) -> tuple[float, float]:
    """Processor seconds of the program and of the system since then."""
    now = os.times()
    return now.user - before.user, now.system - before.system


def _row(record: dict[str, Any], name: str) -> str:
    """One operation of the table."""
    found = record["all seconds"].get(name, [])
    spread = f"{min(found):.2f} to {max(found):.2f}" if found else ""
    both = record["processor seconds"].get(name)
    own, system = (
        ("", "") if both is None else (f"{statistics.median(values):.2f}" for values in zip(*both, strict=True))
    )
    written = f"{record['bytes'][name] / 1e6:.1f}" if name in record["bytes"] else ""
    return f"| {name} | {record['seconds'][name]:.2f} | {spread} | {own} | {system} | {written} |"


def markdown(record: dict[str, Any]) -> str:
    """The record as a page."""
    seconds, changed = record["seconds"], record["changed"]
    against = min(seconds["full build"], seconds.get("rebuild, warm", np.inf))
    limits = [
        (f"adding {changed:,} films, share of a rebuild", seconds["add"] / against, "<", 0.05),
        (f"removing {changed:,} films, share of a rebuild", seconds["remove"] / against, "<", 0.02),
    ]
    lines = [
        f"# What a change costs ({record['n']:,} x {record['dimensions']} codes)",
        "",
        "A rebuild is the faster of a warm rebuild and a full build from codes."
        if "rebuild, warm" in seconds
        else "A rebuild is a full build from codes; a warm rebuild was left out.",
        "",
        *limits_table(limits),
        "",
        "| operation | seconds | fastest to slowest | processor, program | processor, system | MB written |",
        "|---|---|---|---|---|---|",
        *(_row(record, name) for name in seconds),
        "",
        environment_line(record["environment"]),
    ]
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> None:
    """Run the benchmark."""
    parser = parser_of(__doc__, work="living")
    parser.add_argument("--n", type=int, help=f"films ({N_ARCHIVE:,} if not given)")
    parser.add_argument("--dimensions", type=int, default=1024)
    parser.add_argument("--changed", type=int, default=N_CHANGED)
    parser.add_argument("--repeat", type=int, default=REPEAT)
    parser.add_argument(
        "--no-rebuild", action="store_true", help="leave the warm rebuild out, which takes as long as a build"
    )
    options = parser.parse_args(arguments)
    record = measure(options)
    text = markdown(record)
    write_results(options.results, name_of("living_costs", options.n), record, text)
    print(text)


if __name__ == "__main__":
    main()
