"""From the rows of `knn_graph.py` to its tables: medians, ratios run by run, limits."""

from __future__ import annotations

import statistics
from typing import Any

from benchmark_codes import TITLES
from environment import environment_line
from knn_graph_run import OURS
from peers_knn import BRUTE_FORCE, PEERS
from record import limits_table, spread

ENOUGH = 0.99
"""The recall at which a peer is a peer of ours."""
LIMITS = {
    "graphret-exact": (0.9999, BRUTE_FORCE, 2, 5),
    "graphret-approximate": (ENOUGH, "the fastest peer", 1.3, 3),
    "graphret-auto": (0.999, BRUTE_FORCE, 4, 8),
}
"""Of our methods: the recall they must have, what they are compared with, floor and aim of the ratio."""


def last_survey(rows: list[dict[str, Any]], *, data: str, n: int, k: int, threads: int) -> list[dict[str, Any]]:
    """The latest row of every method in the surveys of one set of codes."""
    wanted = {"data": data, "n": n, "k": k, "threads": threads}
    found = [row for row in rows if all(row.get(key) == value for key, value in wanted.items())]
    return [*{row["method"]: row for row in found}.values()]


def survey_markdown(rows: list[dict[str, Any]]) -> str:
    """The surveys as Markdown; a setting that was measured again shows its latest row."""
    lines = [
        "# kNN graphs: settings of the peers, one run each",
        "",
        "Only to choose who races: seconds of single runs, some of them from different sessions, are no comparison. "
        "**Bold**: the fastest at a recall of at least 0.99.",
        "",
    ]
    sets = dict.fromkeys((row["data"], row["n"], row["d"], row["k"], row["threads"]) for row in rows if "data" in row)
    for data, n, d, k, threads in sets:
        found = last_survey(rows, data=data, n=n, k=k, threads=threads)
        measured = sorted((row for row in found if row["status"] == "measured"), key=lambda row: row["seconds"])
        best = next((row["method"] for row in measured if row["recall"] >= ENOUGH), "")
        lines += [
            f"## {TITLES[data]}: {n:,} x {d}, k = {k}, {threads} threads",
            "",
            "| method | seconds | recall | largest error of a cosine | peak memory beyond the rows, GB |",
            "|---|---|---|---|---|",
        ]
        for row in measured:
            name = f"**{row['method']}**" if row["method"] == best else row["method"]
            lines.append(
                f"| {name} | {row['seconds']:.2f} | {row['recall']:.5f} | {row['similarity_error']:.0e} "
                f"| {row['peak_growth_gb']:.2f} |"
            )
        lines += [
            f"| {row['method']} | {row['status']} | {_cell(row['reason'])} | | |"
            for row in found
            if row not in measured
        ]
        lines.append("")
    sessions = [row for row in rows if "environment" in row]
    return "\n".join([*lines, *(f"- {environment_line(row['environment'])}" for row in sessions[-3:]), ""])


def race_record(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The latest race of every set of codes, with its summary; ratios come from runs of one session."""
    latest: dict[tuple[Any, ...], str] = {}
    for row in rows:
        if row.get("status") == "measured":
            latest[row["data"], row["n"], row["k"], row["threads"]] = row["session"]
    environments = {row["session"]: row["environment"] for row in rows if "environment" in row}
    sets = []
    for (data, n, k, threads), name in latest.items():
        key = {"data": data, "n": n, "k": k, "threads": threads, "session": name}
        of_set = [row for row in rows if all(row.get(part) == value for part, value in key.items())]
        runs = {row["run"] for row in of_set}
        methods = list(dict.fromkeys(row["method"] for row in of_set if row["status"] == "measured"))
        sets.append({
            **key,
            "d": of_set[0]["d"],
            "environment": environments[name],
            "runs": len(runs),
            "summary": {method: _summary(of_set, method) for method in methods},
            "ratios": {method: _ratios(of_set, method) for method in methods if method in OURS},
            "rows": of_set,
        })  # fmt: skip
    return {"sets": sets}


def _measured(rows: list[dict[str, Any]], method: str) -> dict[int, dict[str, Any]]:
    """The measured rows of a method by run."""
    return {row["run"]: row for row in rows if row["method"] == method and row["status"] == "measured"}


def _summary(rows: list[dict[str, Any]], method: str) -> dict[str, Any]:
    found = [*_measured(rows, method).values()]
    tables = {row["table_sha256"] for row in found if "table_sha256" in row}
    return {
        "seconds": [row["seconds"] for row in found],
        "processor_seconds": [row["processor_seconds"] for row in found],
        "recall": min(row["recall"] for row in found),
        "similarity_error": max(row["similarity_error"] for row in found),
        "peak_growth_gb": max(row["peak_growth_gb"] for row in found),
        "table": found[-1].get("table"),
        "same_bits": len(tables) == 1 if tables else None,
    }


def _ratios(rows: list[dict[str, Any]], method: str) -> dict[str, Any] | None:
    """How many times faster than what the limit names, run by run; None where that was not measured.

    "The fastest peer" is the fastest of that run among those whose recall is enough in every run.
    """
    ours, (_, other, _, _) = _measured(rows, method), LIMITS[method]
    names = [BRUTE_FORCE] if other == BRUTE_FORCE else list(PEERS)
    peers = [found for name in names if (found := _measured(rows, name))]
    peers = [found for found in peers if min(row["recall"] for row in found.values()) >= ENOUGH]
    ratios, compared = [], set()
    for run, row in ours.items():
        beside = [found[run] for found in peers if run in found]
        if beside:
            fastest = min(beside, key=lambda peer: peer["seconds"])
            ratios.append(fastest["seconds"] / row["seconds"])
            compared.add(fastest["method"])
    return {"runs": ratios, "compared_with": sorted(compared)} if ratios else None


def race_markdown(record: dict[str, Any]) -> str:
    """The race as Markdown."""
    lines = [
        "# kNN graphs: graphret beside its peers",
        "",
        "Median (smallest to largest) of runs in which the methods take turns, every run in a process of its own. Peers start from unit "
        "rows, ours from the codes as they are. Recall is the lowest of the runs, judged in float64 on 1,000 rows; peak memory "
        "is beyond the codes that the method was given, the largest of the runs.",
        "",
    ]
    for measured in record["sets"]:
        lines += _section(measured)
    return "\n".join(lines)


def _section(measured: dict[str, Any]) -> list[str]:
    summary = measured["summary"]
    lines = [
        f"## {TITLES[measured['data']]}: {measured['n']:,} x {measured['d']}, k = {measured['k']}, "
        f"{measured['threads']} threads, {measured['runs']} runs",
        "",
        "| method | seconds | processor seconds | recall | largest error of a cosine | peak memory beyond the codes, GB |",
        "|---|---|---|---|---|---|",
    ]
    for method, found in sorted(summary.items(), key=lambda entry: statistics.median(entry[1]["seconds"])):
        lines.append(
            f"| {method} | {spread(found['seconds'], 2)} | {spread(found['processor_seconds'], 1)} | {found['recall']:.5f} "
            f"| {found['similarity_error']:.0e} | {found['peak_growth_gb']:.2f} |"
        )
    for method, found in summary.items():
        if found["table"] is not None:
            said = ", ".join(f"{name} {value}" for name, value in found["table"].items())
            bits = "the same bits in every run" if found["same_bits"] else "**different bits in different runs**"
            lines += ["", f"`{method}` says of its table: {said}; {bits}."]
    failures = [row for row in measured["rows"] if row["status"] != "measured"]
    lines += [f"\n**{row['method']}, run {row['run']}: {row['status']}**: {_cell(row['reason'])}" for row in failures]
    return [*lines, "", *limits_table(_limits(measured)), "", environment_line(measured["environment"]), ""]


def _limits(measured: dict[str, Any]) -> list[tuple[str, float, str, float]]:
    limits: list[tuple[str, float, str, float]] = []
    for method, ratios in measured["ratios"].items():
        recall, _, floor, aim = LIMITS[method]
        limits.append((f"{method}: recall", measured["summary"][method]["recall"], ">=", recall))
        if ratios is not None:
            runs = ratios["runs"]
            beside = " or ".join(ratios["compared_with"])
            what = f"{method}: times faster than {beside}, median of the runs ({min(runs):.2f} to {max(runs):.2f})"
            median = statistics.median(runs)
            limits += [(f"{what}, floor", median, ">=", floor), ("the same, aim", median, ">=", aim)]
    return limits


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
