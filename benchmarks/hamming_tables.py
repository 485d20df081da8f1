"""From the rows of `hamming.py` to its tables: medians, ratios run by run, limits."""

from __future__ import annotations

import statistics
from typing import Any

from environment import environment_line
from record import limits_table, spread

CASES = {"search": ("bits", "threads", "queries", "hits", "n"), "encode": ("hasher", "n", "d", "bits")}
PEER = {"search": "faiss_s", "encode": "product_s"}


def record_of(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The last row of every case, with the environments of their sessions."""
    sessions = {row["session"]: row["environment"] for row in rows if row["part"] == "session"}
    record: dict[str, Any] = {}
    used: set[str] = set()
    for part, keys in CASES.items():
        last = {tuple(row[key] for key in keys): row for row in rows if row["part"] == part}
        record[part] = [last[case] for case in sorted(last)]
        used |= {row["session"] for row in record[part]}
    return {"environments": [sessions[name] for name in sessions if name in used], **record}


def ratios_of(row: dict[str, Any]) -> list[float]:
    """Times that ours is as fast as the other, run by run."""
    return [peer / ours for peer, ours in zip(row[PEER[row["part"]]], row["ours_s"], strict=True)]


def limits_of(record: dict[str, Any]) -> list[tuple[str, float, str, float]]:
    """What issue 5 asks for: Faiss's speed for 64 bits, half the speed of a product for every hasher."""
    limits = [
        (f"{row['bits']} bits, {_case(row)}: Faiss / ours", statistics.median(ratios_of(row)), ">=", 1.0)
        for row in record["search"]
        if row["bits"] == 64
    ]
    limits += [
        (f"`{row['hasher']}`: speed in products of its size", statistics.median(ratios_of(row)), ">=", 0.5)
        for row in record["encode"]
    ]
    return limits


def markdown(record: dict[str, Any]) -> str:
    """The record as Markdown."""
    lines = ["# Hamming search and shallow hashers", "", *limits_table(limits_of(record)), ""]
    if record["search"]:
        lines += [
            "## Search: random codes, ours beside Faiss's IndexBinaryFlat",
            "",
            "Milliseconds of one call: median (least to most) of runs that take turns.",
            "",
            "| codes | bits | case | graphret, ms | Faiss, ms | Faiss / ours, run by run |",
            "|---|---|---|---|---|---|",
        ]
        for row in record["search"]:
            ours, theirs = ([1e3 * value / row["calls"] for value in row[key]] for key in ("ours_s", "faiss_s"))
            lines.append(
                f"| {row['n']:,} | {row['bits']} | {_case(row)} | {spread(ours, 3)} | {spread(theirs, 3)} | {spread(ratios_of(row), 2)} |"
            )
        lines.append("")
    if record["encode"]:
        lines += [
            "## Encoding: `transform` beside the matrix product of its size, one thread",
            "",
            "| hasher | codes | product | graphret, s | product, s | product / ours, run by run |",
            "|---|---|---|---|---|---|",
        ]
        for row in record["encode"]:
            inner = "" if row["anchors"] is None else f" x {row['anchors']}"
            lines.append(
                f"| {row['hasher']} | {row['n']:,} x {row['d']} | {row['d']}{inner} x {row['bits']} | {spread(row['ours_s'], 3)} "
                f"| {spread(row['product_s'], 3)} | {spread(ratios_of(row), 2)} |"
            )
        lines.append("")
    return "\n".join([*lines, *map(environment_line, record["environments"])]) + "\n"


def _case(row: dict[str, Any]) -> str:
    queries = "one query" if row["queries"] == 1 else f"{row['queries']:,} queries"
    threads = "1 thread" if row["threads"] == 1 else f"{row['threads']} threads"
    return f"{queries}, {row['hits']} hits, {threads}"
