"""From the rows of `communities.py` to its record and tables: medians, ratios run by run, limits."""

from __future__ import annotations

import statistics
from typing import Any

from benchmark_codes import TITLES
from environment import environment_line
from record import spread

LIMITS = (
    ("igraph", "graphret", 15, 30),
    ("networkit-plm-refined", "graphret", 4, 8),
    ("networkit-leiden-2", "graphret", 1.2, 2),
    ("networkit-leiden-2", "graphret-parallel", 1.5, 3),
)
"""Peer, ours, and how many times faster ours must and should be, at no lower median modularity."""
QUALITY = (("leidenalg-10", "graphret-starts"), ("networkit-plm-refined", "graphret-starts"))
"""Peer, and ours whose median modularity must not be lower."""
MEMORY_LIMIT = 1.5
"""Peak memory beyond the graph, in sizes of the graph's CSR arrays."""
KEYS = ("seconds", "processor_seconds", "modularity", "communities", "connected")
ORDERS = ("as given", "permuted")


def record_of(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The record of the last call that ran each data set."""
    environments = {row["session"]: row["environment"] for row in rows if row["kind"] == "session"}
    last = {row["data"]: row["session"] for row in rows if row["kind"] == "run"}
    sets = []
    for data, session in last.items():
        found = [row for row in rows if row["session"] == session and row.get("data") == data]
        graph = next(row for row in found if row["kind"] == "graph")
        runs = [row for row in found if row["kind"] == "run"]
        sets.append(
            {
                "data": data,
                "environment": environments[session],
                "graph": {key: graph[key] for key in ("n_nodes", "n_edges", "csr_bytes", "k", "threshold")},
                "methods": {name: _method(runs, name) for name in dict.fromkeys(row["method"] for row in runs)},
                "ratios": _ratios(runs),
                "promises": {row["method"]: row for row in found if row["kind"] == "promises"},
            }
        )
    return {"sets": sets}


def _method(runs: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """Medians and ranges of a method, by order of the nodes."""
    of_method = [row for row in runs if row["method"] == name]
    by_order = {
        order: {key: _range([row[key] for row in of_method if row["order"] == order]) for key in KEYS}
        for order in ORDERS
        if any(row["order"] == order for row in of_method)
    }
    used = statistics.median(row["processor_seconds"] / row["seconds"] for row in of_method)
    about = {key: of_method[0][key] for key in ("title", "threads")}
    return {**about, "runs": len(of_method), "threads_used": used, "orders": by_order}


def _range(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def _ratios(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every peer beside every method of ours: seconds run by run, medians of the modularity on the same runs."""
    table = {(row["method"], row["run"], row["order"]): row for row in runs}
    names = dict.fromkeys(row["method"] for row in runs)
    compared = []
    for peer in [name for name in names if not name.startswith("graphret")]:
        for own in [name for name in names if name.startswith("graphret")]:
            both = [
                (row, table[own, run, order])
                for (name, run, order), row in table.items()
                if name == peer and (own, run, order) in table
            ]
            if not both:  # a call that was cut short
                continue
            times = _range([row["seconds"] / of_ours["seconds"] for row, of_ours in both])
            quality = [statistics.median(pair[side]["modularity"] for pair in both) for side in (1, 0)]
            compared.append(
                {
                    "peer": peer,
                    "ours": own,
                    "pairs": len(both),
                    "times": times,
                    "modularity_ours": quality[0],
                    "modularity_peer": quality[1],
                }
            )
    return compared


def markdown(record: dict[str, Any]) -> str:
    """The record as Markdown."""
    lines = [
        "# Communities of kNN graphs: graphret beside its peers",
        "",
        "Only the algorithm is timed, on each library's own graph object; ours includes its check for connectedness and its "
        "score. Every run has another seed, and once the nodes as they come, once permuted; in a run all methods take turns, in "
        "an order drawn anew. Median (smallest to largest). `threads used` is processor seconds over seconds: above the threads "
        "asked for it would show threads that nobody controls, below one a machine that others use.",
        "",
    ]
    for measured in record["sets"]:
        lines += _section(measured)
    return "\n".join(lines)


def _section(measured: dict[str, Any]) -> list[str]:
    graph, methods = measured["graph"], measured["methods"]
    kept = "the most similar 80 % of the neighbours" if graph["threshold"] == "auto" else "every neighbour"
    title = TITLES.get(
        measured["data"], {"small": "a part of d1, for networkx", "codes": "codes from a file"}.get(measured["data"])
    )
    titles = {name: _titled(method) for name, method in methods.items()}
    lines = [
        f"## {title}: {graph['n_nodes']:,} nodes, {graph['n_edges']:,} edges",
        "",
        f"k = {graph['k']}, {kept}, cosine weights.",
        "",
        "| method | runs | seconds, as given | seconds, permuted | threads used | modularity, as given | modularity, permuted | communities | connected |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    order_of_rows = sorted(methods, key=lambda name: (not name.startswith("graphret"), methods[name]["title"], name))
    for name in order_of_rows:
        method = methods[name]
        orders = method["orders"]
        cells = [
            _cell(orders[order][key], digits) if order in orders else ""
            for key, digits in (("seconds", 3), ("modularity", 4))
            for order in ORDERS
        ]
        counts = [orders[order]["communities"] for order in orders]
        connected = min(orders[order]["connected"]["min"] for order in orders)
        lines.append(
            f"| {titles[name]} | {method['runs']} | {cells[0]} | {cells[1]} | {method['threads_used']:.2f} | {cells[2]} | {cells[3]} | "
            f"{min(c['min'] for c in counts):.0f} to {max(c['max'] for c in counts):.0f} | {_percent(connected)} |"
        )
    lines += ["", "`connected` is the share of connected communities in the worst run.", ""]
    if measured["data"] != "small":
        lines += _limits(measured)
    lines += [
        "| peer | ours | runs of both | peer's seconds / ours | modularity, ours minus peer's (medians of these runs) |",
        "|---|---|---|---|---|",
        *(
            f"| {titles[row['peer']]} | {titles[row['ours']]} | {row['pairs']} | {_cell(row['times'], 2)} | "
            f"{row['modularity_ours'] - row['modularity_peer']:+.4f} |"
            for row in sorted(measured["ratios"], key=lambda row: order_of_rows.index(row["peer"]))
        ),
        "",
    ]
    return [*lines, environment_line(measured["environment"]), ""]


def _limits(measured: dict[str, Any]) -> list[str]:
    """The floors and aims of a data set; a limit whose methods did not run says so."""
    methods, promises = measured["methods"], measured["promises"]
    lines = ["| limit | floor | aim | measured | holds |", "|---|---|---|---|---|"]
    for peer, own, floor, aim in LIMITS:
        row = _pair(measured, peer, own)
        if row is None:
            lines.append(f"| {peer} / {own} | {floor} | {aim} | not measured | |")
            continue
        difference = row["modularity_ours"] - row["modularity_peer"]
        lines += [
            f"| times faster: {_titled(methods[peer])} / {_titled(methods[own])} | {floor} | {aim} | "
            f"{_cell(row['times'], 2)} | {_holds(row['times']['median'] >= floor)} |",
            f"| the same, modularity minus the peer's | 0 | | {difference:+.4f} | {_holds(difference >= 0)} |",
        ]
    for peer, own in QUALITY:
        row = _pair(measured, peer, own)
        if row is None:
            lines.append(f"| modularity of {own} minus that of {peer} | 0 | | not measured | |")
            continue
        difference = row["modularity_ours"] - row["modularity_peer"]
        pair = f"{_titled(methods[own])}, minus that of {_titled(methods[peer])}"
        lines.append(f"| modularity of {pair} | 0 | | {difference:+.4f} | {_holds(difference >= 0)} |")
    for name, method in methods.items():
        if not name.startswith("graphret"):
            continue
        connected = min(order["connected"]["min"] for order in method["orders"].values())
        lines.append(
            f"| {method['title']}: communities that are connected | 100 % | | {_percent(connected)} | {_holds(connected == 1)} |"
        )
        if name not in promises:
            continue
        promise = promises[name]
        share = promise["extra_bytes"] / measured["graph"]["csr_bytes"]
        partitions = promise["partitions"]
        lines += [
            f"| {method['title']}: memory beyond the graph, in sizes of its CSR, at most | {MEMORY_LIMIT} | | {share:.2f} | {_holds(share <= MEMORY_LIMIT)} |",
            f"| {method['title']}: different partitions in {promise['runs']} runs with one seed | 1 | | {partitions} | {_holds(partitions == 1)} |",
        ]
    return [*lines, ""]


def _pair(measured: dict[str, Any], peer: str, own: str) -> dict[str, Any] | None:
    return next((row for row in measured["ratios"] if (row["peer"], row["ours"]) == (peer, own)), None)


def _titled(method: dict[str, Any]) -> str:
    return f"{method['title']}, {_threads(method['threads'])}"


def _holds(value: bool) -> str:
    return "yes" if value else "**no**"


def _percent(share: float) -> str:
    return "100 %" if share == 1 else f"{100 * share:.1f} %"


def _threads(number: int) -> str:
    return "1 thread" if number == 1 else f"{number} threads"


def _cell(values: dict[str, float], digits: int) -> str:
    return spread([values["min"], values["median"], values["max"]], digits)
