"""What archives of 1, 10 and 100 million films cost, stage by stage: the tables of docs/scaling.md.

    python benchmarks/scaling_plan.py                 prints them
    python benchmarks/scaling_plan.py --write PAGE    puts them into the page, between its markers

Nothing is timed here. Bytes follow from the formulas of the page; seconds are carried on from the record of
`scaling.py` (processor seconds of the largest exact kNN table, and seconds of communities), and the record says on which
machine they were measured.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from record import RESULTS

ARCHIVES = (1_000_000, 10_000_000, 100_000_000)
D, K, SHARE = 256, 50, 0.8
"""Length of a code, neighbours of a film, share of them that become edges at most."""
BLOCK_ROWS, FEWEST_BLOCKS, BLOCK_WIDTH, MARGIN = 65_536, 8, 128, 8
"""Of the join, as graphret.neighbors.join_plan has them; a test compares."""
CORES, GPUS = 64, 8
RATE = 4e14
"""Operations a second that a GPU is assumed to do in products of matrices: assumed, not measured here."""
WIRE = 1.25e9
"""Bytes a second of a network of 10 Gbit."""
BEGIN, END = "<!-- plan -->", "<!-- end of plan -->"


def bytes_of_row(d: int) -> int:
    """Bytes of a rotated row."""
    return 4 * (d + BLOCK_WIDTH + 1 + 2 * (d // BLOCK_WIDTH + 1))


def plan(n: int, record: dict[str, Any]) -> dict[str, float]:
    """All figures of an archive of n films."""
    blocks = 1 if n <= BLOCK_ROWS else max(FEWEST_BLOCKS, -(-n // BLOCK_ROWS))
    pairs, rows = blocks * (blocks - 1) // 2, n / blocks
    best = 8 * (K + MARGIN) + 4
    edges = SHARE * K * n
    largest = [row for row in record["parts"]["neighbors"]["sizes"] if row["method"] == "exact" and not row["skipped"]][
        -1
    ]
    block = rows * (4.0 * D + 12 + bytes_of_row(D) + best)
    reads = pairs + min(pairs, CORES * (blocks - 1))  # the right block of a pair, and a left one for the next pairs
    core_seconds = largest["processor_seconds"] * (n / largest["n"]) ** 2 * D / largest["d"]
    table, graph, links = 8.0 * K * n, 16 * edges + 8 * n, 8.0 * K * n + 208 * n
    return {
        "blocks": blocks,
        "pairs": pairs,
        "core_seconds": core_seconds,
        "operations": float(n) * n * D,
        "communities_seconds": record["archives"]["steps"]["communities, louvain"]["seconds"][str(n)],
        "storage": blocks * block,
        "read": reads * block,
        "index": 4.0 * D * n + 16.0 * n + graph + table + links + 4 * n,
        "worker": 2 * rows * (bytes_of_row(D) + 2 * best) + rows * (4.0 * D + 12),
        "head_neighbors": n * (40.0 + 8 * K + 128),
        "head_graph": table + 32 * edges + 40 * n,
        "head_search": table + graph + max(12.0 * K * n, 8.0 * K * n + 1152 * n) + 40 * n,
        "head_communities": table + graph + links + 1.5 * graph,
    }


def tables(record: dict[str, Any]) -> str:
    """The tables, as Markdown."""
    plans = [plan(n, record) for n in ARCHIVES]
    environment = record["parts"]["neighbors"]["environment"]
    header = f"| {' | '.join(f'{n // 1_000_000} million' for n in ARCHIVES)} |"

    def row(what: str, key: str, form: Any, scale: float = 1.0) -> str:
        return f"| {what} | {' | '.join(form(scale * found[key]) for found in plans)} |"

    lines = [
        BEGIN,
        "",
        f"Codes of {D} values, k = {K}, every one of {SHARE:.0%} of the neighbours an edge of its own (the most there can be).",
        "",
        f"| neighbours, exact {header}",
        "|---|---|---|---|",
        row("blocks", "blocks", lambda value: f"{value:,.0f}"),
        row("pairs of blocks", "pairs", lambda value: f"{value:,.0f}"),
        row("processor time, one core", "core_seconds", duration),
        row(f"the same on {CORES} cores, all busy", "core_seconds", duration, 1 / CORES),
        row("operations of all products", "operations", lambda value: f"{value:.1e}"),
        row(
            f"products alone on {GPUS} GPUs of {RATE:.0e} a second (assumed)", "operations", duration, 1 / (GPUS * RATE)
        ),
        row("bytes in storage", "storage", gigabytes),
        row("bytes that workers read", "read", gigabytes),
        row("the same through one wire of 10 Gbit", "read", duration, 1 / WIRE),
        row("memory of a worker", "worker", gigabytes),
        "",
        f"| the process that was called {header}",
        "|---|---|---|---|",
        row("memory, neighbours", "head_neighbors", gigabytes),
        row("memory, graph", "head_graph", gigabytes),
        row("memory, search structure", "head_search", gigabytes),
        row("memory, communities, one start at a time", "head_communities", gigabytes),
        row(
            f"seconds of one start of Louvain, {record['archives']['density']['edges']:.1f} edges a film",
            "communities_seconds",
            duration,
        ),
        row("bytes of the index", "index", gigabytes),
        "",
        f"Seconds are carried on from {environment['processor']}, measured {environment['date']}.",
        "",
        END,
    ]
    return "\n".join(lines)


def gigabytes(value: float) -> str:
    """Bytes in a unit that can be read."""
    for unit, size in (("PB", 1e15), ("TB", 1e12), ("GB", 1e9)):
        if value >= size:
            return f"{value / size:,.1f} {unit}"
    return f"{value / 1e9:.2f} GB"


def duration(seconds: float) -> str:
    """Seconds in a unit that can be read."""
    for unit, length in (("years", 365.25 * 86_400), ("days", 86_400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.1f} {unit}"
    return f"{seconds:,.1f} s"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of scaling.json")
    parser.add_argument("--write", type=Path, help="page whose tables are replaced")
    options = parser.parse_args(arguments)
    text = tables(json.loads((options.results / "scaling.json").read_text(encoding="utf-8")))
    if options.write is None:
        print(text)
        return
    page = options.write.read_text(encoding="utf-8")
    before, after = page.partition(BEGIN)[0], page.partition(END)[2]
    options.write.write_text(before + text + after, encoding="utf-8")


if __name__ == "__main__":
    main()
