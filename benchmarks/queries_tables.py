"""From the rows of `queries.py` to its tables: medians, ratios, exponents, limits."""

from __future__ import annotations

import statistics
from typing import Any

import numpy as np
from benchmark_codes import TITLES
from environment import environment_line
from record import limits_table, spread

OURS, PEER = "graphret", "faiss-hnsw"
PARTS = ("single", "batch", "growth", "memory", "first")


def record_of(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The latest row of every part, data set and size, and the environments that they were measured in."""
    sessions = {row["session"]: row["environment"] for row in rows if row["part"] == "session"}
    latest = {(row["part"], row["data"], row["n"]): row for row in rows if row["part"] != "session"}
    kept = [row for row in latest.values() if row["session"] in sessions]
    # in the same sizes, except where they grow, the last one counts
    newest = {(row["part"], row["data"]): row["n"] for row in kept if row["part"] != "growth"}
    kept = [row for row in kept if newest.get((row["part"], row["data"]), row["n"]) == row["n"]]
    parts = {part: [row for row in kept if row["part"] == part] for part in PARTS}
    parts["growth"].sort(key=lambda row: row["n"])
    used = {row["session"] for row in kept}
    return {"environments": [sessions[name] for name in sessions if name in used], **parts}


def ratio_of(row: dict[str, Any]) -> float | None:
    """Median of the peer over ours, in one data set."""
    median = {method["method"]: method["median_us"] for method in row["methods"]}
    return median[PEER] / median[OURS] if {PEER, OURS} <= median.keys() else None


def exponent_of(rows: list[dict[str, Any]]) -> float | None:
    """The b of median = a n^b, by least squares in logarithms."""
    if len(rows) < 2:
        return None
    sizes, medians = (np.log([row[key] for row in rows]) for key in ("n", "median_us"))
    return float(np.polyfit(sizes, medians, 1)[0])


def beyond_codes(ranking: dict[str, Any]) -> float:
    """Resident bytes a film that are not pages of the codes."""
    return float(ranking["anonymous_bytes_a_film"] + ranking["mapped_bytes_a_film"])


def limits_of(record: dict[str, Any]) -> list[tuple[str, float, str, float]]:
    """What a query must keep to."""
    limits = []
    for row in record["single"]:
        ratio = ratio_of(row)
        if ratio is not None:
            limits.append((f"{row['data']}: median of Faiss HNSW / ours", ratio, ">=", 0.5))
            limits.append((f"{row['data']}: median of Faiss HNSW / ours (aim)", ratio, ">=", 1.0))
        ours = next(method for method in row["methods"] if method["method"] == OURS)
        limits.append((f"{row['data']}: recall of the 50 edges", ours["recall"], ">=", 0.99))
    for row in record["batch"]:
        ratio = statistics.median(run["flat_s"] / run["ours_s"] for run in row["runs"])
        limits.append((f"{row['data']}: batch, IndexFlatIP / ours", ratio, ">=", 2.0))
        limits.append((f"{row['data']}: batch, IndexFlatIP / ours (aim)", ratio, ">=", 5.0))
        limits.append((f"{row['data']}: recall of the 50 edges of the batch", row["recall"], ">=", 0.99))
        what = f"{row['data']}: queries whose hits depend on threads or batch, of all rankings"
        limits.append((what, sum(row["unequal"].values()), "<", 1))
    exponent = exponent_of(record["growth"])
    if exponent is not None:
        limits.append(("growth of the median, exponent of N", exponent, "<", 0.5))
    for row in record["memory"]:
        for ranking in row["rankings"]:
            what = f"{row['data']}: resident beyond the codes, `{ranking['ranking']}`, bytes a film"
            limits.append((what, beyond_codes(ranking), "<", 1500))
            limits.append((f"{what} (aim)", beyond_codes(ranking), "<", 500))
    return limits


def markdown(record: dict[str, Any]) -> str:
    """The record as Markdown."""
    lines = ["# Queries: one, a thousand, in small archives and large ones", "", *limits_table(limits_of(record)), ""]
    for row in record["single"]:
        lines += _single(row)
    for row in record["batch"]:
        lines += _batch(row)
    if record["growth"]:
        lines += _growth(record["growth"])
    if record["memory"]:
        lines += _memory(record["memory"])
    if record["first"]:
        lines += _first(record["first"])
    environments = dict.fromkeys(map(environment_line, record["environments"]))
    return "\n".join([*lines, *environments]) + "\n"


def _single(row: dict[str, Any]) -> list[str]:
    lines = [
        f"## Single queries: {TITLES[row['data']]}, {row['n']:,} x {row['d']}, one thread, 10 hits",
        "",
        f"Our search: {_say_search(row['search'])}. The recall of a peer is that of its 10 hits, ours that of the "
        "query's 50 edges.",
        "",
        "| method | ef | recall | median us | 99 % us | queries |",
        "|---|---|---|---|---|---|",
    ]
    for method in sorted(row["methods"], key=lambda method: method["median_us"]):
        recall = f"{method['recall']:.4f}" if "recall" in method else ""
        cells = (method["title"], method.get("ef", ""), recall, f"{method['median_us']:.0f}", f"{method['p99_us']:.0f}")
        lines.append(f"| {' | '.join(map(str, cells))} | {method['n_queries']:,} |")
    ours = next(method for method in row["methods"] if method["method"] == OURS)
    counted = (
        f"A query of ours compares {ours['compared']:,.0f} codes, follows the links of {ours['visited']:,.0f} films, and "
        f"scores {ours['rescored']:,.0f} again (`Hits.counts`)."
    )
    return [*lines, "", counted, ""]


def _batch(row: dict[str, Any]) -> list[str]:
    ours, flat = ([run[key] for run in row["runs"]] for key in ("ours_s", "flat_s"))
    unequal = ", ".join(f"{count} by `{ranking}`" for ranking, count in row["unequal"].items())
    return [
        f"## A batch: {TITLES[row['data']]}, {row['n_queries']:,} queries, {row['threads']} threads",
        "",
        "| | seconds, median (least to most) |",
        "|---|---|",
        f"| graphret, `index.query`, recall {row['recall']:.4f} | {spread(ours, 3)} |",
        f"| Faiss IndexFlatIP | {spread(flat, 3)} |",
        f"| ratio, run by run | {spread([a / b for a, b in zip(flat, ours, strict=True)], 2)} |",
        "",
        f"Of 300 queries, asked by one thread, by two, and each alone, with other hits: {unequal}.",
        "",
    ]


def _growth(rows: list[dict[str, Any]]) -> list[str]:
    lines = [
        "## Growth: generated codes, single queries, one thread",
        "",
        "| films | dimensions | search | recall of 50 | codes compared | films visited | median us | 99 % us |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['n']:,} | {row['d']} | {_say_search(row['search'])} | {row['recall']:.4f} | {row['compared']:,.0f} "
        f"| {row['visited']:,.0f} | {row['median_us']:.0f} | {row['p99_us']:.0f} |"
        for row in rows
    ]
    exponent = exponent_of(rows)
    return [*lines, "", "" if exponent is None else f"Median = a N^b with b = {exponent:.2f}.", ""]


def _memory(rows: list[dict[str, Any]]) -> list[str]:
    lines = [
        "## Memory of an open index after 1,000 single queries",
        "",
        "Resident bytes a film, less those of a process that did the same with 500 films. *Anonymous* memory is the "
        "process's own. *Mapped* pages of the index's files are shared by all processes that have it open, and the system "
        "may drop them; they are counted as well. Pages of the codes are not part of the sum.",
        "",
        "| data | ranking | anonymous | mapped files | sum | codes that were touched |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        for ranking in row["rankings"]:
            values = (
                ranking["anonymous_bytes_a_film"],
                ranking["mapped_bytes_a_film"],
                beyond_codes(ranking),
                ranking["codes_bytes_a_film"],
            )
            cells = " | ".join(f"{value:.0f}" for value in values)
            lines.append(f"| {row['data']}, {row['n']:,} films | {ranking['ranking']} | {cells} |")
    return [*lines, ""]


def _first(rows: list[dict[str, Any]]) -> list[str]:
    lines = [
        "## The first query of a fresh process, Numba's cache warm",
        "",
        "Seconds, median (least to most). The last column begins when the process has imported nothing yet.",
        "",
        "| data | ranking | import graphret | open | first query | import to first hits |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        for ranking in dict.fromkeys(run["ranking"] for run in row["runs"]):
            runs = [run for run in row["runs"] if run["ranking"] == ranking]
            keys = ("import_s", "open_s", "first_query_s", "import_to_first_hits_s")
            cells = " | ".join(spread([run[key] for run in runs], 2) for key in keys)
            lines.append(f"| {row['data']}, {row['n']:,} films | {ranking} | {cells} |")
    return [*lines, ""]


def _say_search(about: dict[str, Any]) -> str:
    if about["method"] == "exact":
        return "every code"
    return f"graph search, beam {about['beam']}, {about['width']} bytes a film"
