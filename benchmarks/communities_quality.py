"""How good partitions are, whatever time they take: our default number of starts beside leidenalg and NetworKit.

    python benchmarks/communities_quality.py [--data small d1 d2 d3] [--seeds 7]
    python benchmarks/communities_quality.py --report         the tables again, from the rows on disk

Every method divides the graphs of `communities.py` (nodes as they come) once with each seed. No time is taken, so it may
run beside other work; every row is on the disk when it is known, and the same command goes on where it was stopped.
"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

import numpy as np
from benchmark_codes import INDEX, SIZES
from communities import graph_of, share_connected
from communities_process import fresh
from environment import environment, environment_line
from peers_communities import LIBRARIES, PEERS, installed
from record import append, parser_of, read_rows, say, spread, write_report

from graphret.communities import louvain, modularity
from graphret.communities.louvain import N_STARTS

if TYPE_CHECKING:
    import argparse

    from graphret.graph import Graph

OURS = "graphret"
RIVALS = ("networkit-plm-refined", "networkit-leiden", "igraph", "leidenalg-10")
"""Peers, the slowest last."""
NOT_BELOW = ("networkit-plm-refined", "leidenalg-10")
"""Peers below whose median ours must not be."""


def labels_of(name: str, graph: Graph, network: Any, seed: int) -> np.ndarray:
    """Divide a graph by a method."""
    if name == OURS:
        return louvain(fresh(graph), seed=seed).labels
    method = PEERS[name]
    LIBRARIES[method.library].before(seed, method.threads)
    return np.asarray(method.labels(method.run(network, seed, method.threads)))


def measure(data: str, options: argparse.Namespace) -> None:
    """Add the rows of a data set that are not there yet."""
    file = options.results / f"{options.name}.jsonl"
    there = {(row["data"], row["method"], row["seed"]) for row in read_rows(file) if row["kind"] == "run"}
    graph = graph_of(data, options)
    for name in (OURS, *options.methods):
        if name != OURS and not installed(PEERS[name]):
            say(f"{name}: not installed, left out")
            continue
        wanted = [seed for seed in range(options.seeds) if (data, name, seed) not in there]
        network = LIBRARIES[PEERS[name].library].graph(graph) if wanted and name != OURS else None
        for seed in wanted:
            labels = labels_of(name, graph, network, seed)
            row = {"quality": modularity(graph, labels), "connected": share_connected(graph, labels)}
            about = {"n_nodes": graph.n_nodes, "n_edges": graph.n_edges, "communities": len(np.unique(labels))}
            append(file, {"kind": "run", "data": data, "method": name, "seed": seed, **about, **row})
            say(f"{data}, {name}, seed {seed}: Q {row['quality']:.4f}")


def record_of(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """What the tables need."""
    runs = [row for row in rows if row["kind"] == "run"]
    sessions = [row["environment"] for row in rows if row["kind"] == "session"]
    found: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for row in runs:
        found.setdefault(row["data"], {}).setdefault(row["method"], []).append(row)
    return {"environment": sessions[-1], "data": found}


def title_of(name: str) -> str:
    """How a table names a method."""
    return f"**graphret** `louvain`, {N_STARTS} starts" if name == OURS else PEERS[name].title


def markdown(record: dict[str, Any]) -> str:
    """The tables."""
    lines = [
        "# Quality of partitions",
        "",
        "Modularity of kNN graphs (k = 50), nodes as they come: median (smallest to largest) over seeds, by one scorer. No time was taken.",
        "",
        "| graph | nodes | edges | method | seeds | modularity | communities | connected, worst run |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for data, methods in record["data"].items():
        for name, rows in methods.items():
            quality, communities = (
                spread([row[key] for row in rows], digits) for key, digits in (("quality", 4), ("communities", 0))
            )
            about = f"{data} | {rows[0]['n_nodes']:,} | {rows[0]['n_edges']:,} | {title_of(name)}"
            lines.append(
                f"| {about} | {len(rows)} | {quality} | {communities} | {min(row['connected'] for row in rows):.1%} |"
            )
    lines += ["", "| graph | peer | ours minus peer's, medians | seeds of both | not below |", "|---|---|---|---|---|"]
    for data, methods in record["data"].items():
        for name in (name for name in NOT_BELOW if name in methods and OURS in methods):
            ours, peers = ([row["quality"] for row in methods[who]] for who in (OURS, name))
            difference = statistics.median(ours) - statistics.median(peers)
            verdict = "yes" if difference >= 0 else "**no**"
            lines.append(f"| {data} | {title_of(name)} | {difference:+.5f} | {len(ours)}, {len(peers)} | {verdict} |")
    return "\n".join([*lines, "", environment_line(record["environment"]), ""])


def main(arguments: list[str] | None = None) -> None:
    """Run the benchmark."""
    parser = parser_of(__doc__, work="communities")
    parser.add_argument("--data", choices=[*SIZES, "small"], nargs="*", default=["small", "d1", "d2"])
    parser.add_argument("--index", default=INDEX, help="index of real films that d3 is made of")
    parser.add_argument("--n", type=int, help="only the first n codes of each set")
    parser.add_argument("--k", type=int, default=50)
    parser.add_argument("--threshold", choices=("auto", "none"), default="auto")
    parser.add_argument("--seeds", type=int, default=7)
    parser.add_argument("--methods", choices=RIVALS, nargs="*", default=RIVALS)
    parser.add_argument("--report", action="store_true", help="only write the tables again")
    options = parser.parse_args(arguments)
    options.name = "communities_quality"
    if not options.report:
        append(options.results / f"{options.name}.jsonl", {"kind": "session", "environment": environment()})
        for data in options.data:
            measure(data, options)
            write_report(options, record_of, markdown)
    print(write_report(options, record_of, markdown))


if __name__ == "__main__":
    main()
