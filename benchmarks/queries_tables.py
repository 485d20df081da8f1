"""From the rows of `queries.py` to its tables: medians, ratios, exponents, limits."""

from __future__ import annotations

import statistics
from typing import Any

import numpy as np
from benchmark_codes import TITLES
from environment import environment_line
from record import limits_table, spread

OURS, PEER = "graphret", "faiss-hnsw"


def record_of(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The latest session of every part and data set."""
    sessions = {row["session"]: row["environment"] for row in rows if row["part"] == "session"}
    latest: dict[tuple[str, str], str] = {}
    for row in rows:
        if row["part"] != "session":
            latest[row["part"], row.get("data", "")] = row["session"]
    kept = [row for row in rows if latest.get((row["part"], row.get("data", ""))) == row["session"]]
    parts = {part: [row for row in kept if row["part"] == part] for part in ("single", "batch", "growth", "memory")}
    used = {row["session"] for row in kept}
    return {"environments": [sessions[name] for name in sessions if name in used], **parts}


def ratio_of(rows: list[dict[str, Any]]) -> float | None:
    """Median of the peer over ours, in one data set."""
    median = {row["method"]: row["median_us"] for row in rows}
    return median[PEER] / median[OURS] if {PEER, OURS} <= median.keys() else None


def exponent_of(rows: list[dict[str, Any]]) -> float | None:
    """The b of median = a n^b, by least squares in logarithms."""
    if len({row["n"] for row in rows}) < 2:
        return None
    sizes, medians = (np.log([row[key] for row in rows]) for key in ("n", "median_us"))
    return float(np.polyfit(sizes, medians, 1)[0])


def limits_of(record: dict[str, Any]) -> list[tuple[str, float, str, float]]:
    """What a query must keep to."""
    limits = []
    for data, rows in _by_data(record["single"]).items():
        ratio = ratio_of(rows)
        if ratio is not None:
            limits.append((f"{data}: median of Faiss HNSW / ours", ratio, ">=", 0.5))
            limits.append((f"{data}: median of Faiss HNSW / ours (aim)", ratio, ">=", 1.0))
        limits += [
            (f"{data}: recall of the 50 edges", row["recall"], ">=", 0.99) for row in rows if row["method"] == OURS
        ]
    for data, rows in _by_data(record["batch"]).items():
        ratio = statistics.median(row["flat_s"] / row["ours_s"] for row in rows)
        limits.append((f"{data}: batch, IndexFlatIP / ours", ratio, ">=", 2.0))
        limits.append((f"{data}: batch, IndexFlatIP / ours (aim)", ratio, ">=", 5.0))
    exponent = exponent_of(record["growth"])
    if exponent is not None:
        limits.append(("growth of the median, exponent of N", exponent, "<", 0.5))
    for row in record["memory"]:
        what = f"{row['data']}: memory beyond the codes, `{row['ranking']}`, bytes a film"
        limits.append((what, row["bytes_a_film"], "<", 1500))
        limits.append((f"{what} (aim)", row["bytes_a_film"], "<", 500))
    return limits


def markdown(record: dict[str, Any]) -> str:
    """The record as Markdown."""
    lines = ["# Queries: one, a thousand, in small archives and large ones", "", *limits_table(limits_of(record)), ""]
    for data, rows in _by_data(record["single"]).items():
        about = rows[0]["search"]
        lines += [
            f"## Single queries: {TITLES[data]}, {rows[0]['n']:,} x {rows[0]['d']}, one thread, 10 hits",
            "",
            f"Our search: {_say_search(about)}. The recall of a peer is that of its 10 hits, ours that of the query's 50 edges.",
            "",
            "| method | ef | recall | median us | 99 % us | queries |",
            "|---|---|---|---|---|---|",
        ]
        for row in sorted(rows, key=lambda row: row["median_us"]):
            recall = f"{row['recall']:.4f}" if "recall" in row else ""
            lines.append(
                f"| {row['title']} | {row.get('ef', '')} | {recall} | {row['median_us']:.0f} | {row['p99_us']:.0f} "
                f"| {row['n_queries']:,} |"
            )
        lines.append("")
    for data, rows in _by_data(record["batch"]).items():
        ours, flat = ([row[key] for row in rows] for key in ("ours_s", "flat_s"))
        lines += [
            f"## A batch: {TITLES[data]}, {rows[0]['n_queries']:,} queries, {rows[0]['threads']} threads",
            "",
            "| | seconds, median (least to most) |",
            "|---|---|",
            f"| graphret, `index.query` | {spread(ours, 3)} |",
            f"| Faiss IndexFlatIP | {spread(flat, 3)} |",
            f"| ratio, run by run | {spread([a / b for a, b in zip(flat, ours, strict=True)], 2)} |",
            "",
        ]
    if record["growth"]:
        lines += [
            "## Growth: generated codes, single queries, one thread",
            "",
            "| films | dimensions | search | recall of 50 | codes compared | films visited | median us | 99 % us |",
            "|---|---|---|---|---|---|---|---|",
        ]
        for row in record["growth"]:
            lines.append(
                f"| {row['n']:,} | {row['d']} | {_say_search(row['search'])} | {row['recall']:.4f} | {row['compared']:,.0f} "
                f"| {row['visited']:,.0f} | {row['median_us']:.0f} | {row['p99_us']:.0f} |"
            )
        exponent = exponent_of(record["growth"])
        lines += ["", "" if exponent is None else f"Median = a N^b with b = {exponent:.2f}.", ""]
    if record["memory"]:
        lines += [
            "## Memory of an open index, and the first query of a fresh process",
            "",
            "Resident memory after the queries, without the mapped codes, less that of a process that did the same with 500 films.",
            "",
            "| data | ranking | bytes a film | open, s | first query, s | import to first hits, s |",
            "|---|---|---|---|---|---|",
        ]
        for row in record["memory"]:
            lines.append(
                f"| {row['data']} | {row['ranking']} | {row['bytes_a_film']:.0f} | {row['open_s']:.3f} "
                f"| {row['first_query_s']:.2f} | {row['import_to_first_hits_s']:.2f} |"
            )
        lines.append("")
    return "\n".join([*lines, *map(environment_line, record["environments"])]) + "\n"


def _by_data(rows: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    return {data: [row for row in rows if row["data"] == data] for data in dict.fromkeys(row["data"] for row in rows)}


def _say_search(about: dict[str, Any]) -> str:
    if about["method"] == "exact":
        return "every code"
    return f"walk, beam {about['beam']}, {about['width']} bytes a film"
