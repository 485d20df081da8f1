"""Communities of a kNN graph of 50,000 nodes, k = 30: our Louvain beside igraph's multilevel, one thread each.

    python benchmarks/communities.py [--films fashion|simulated] [--n 50000] [--k 30] [--runs 7]

Runs alternate in one process, each on another order of the nodes and with another seed; only the algorithm is
timed, on each library's own graph object; both partitions are scored by ``graphret.communities.modularity``.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import statistics
import sys
import time
from pathlib import Path

import numpy as np
from environment import environment, environment_line
from simulated_codes import simulate

from graphret.communities import louvain, modularity
from graphret.graph import Graph, nearest_neighbors, similarity_graph, to_igraph

RESULTS = Path(__file__).parent / "results"
FASHION = Path("/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz")


def codes_of(films: str, n: int) -> np.ndarray:
    """Fashion-MNIST pixels (Debian package dataset-fashion-mnist), or simulated NIH codes; float32 (n, d)."""
    if films == "simulated":
        return simulate(n).codes
    if not FASHION.exists():
        raise SystemExit("install the Debian package dataset-fashion-mnist, or give --films simulated")
    with gzip.open(FASHION) as file:
        pixels = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 784)
    return pixels[:n].astype(np.float32)


def permuted(graph: Graph, seed: int) -> Graph:
    """The same graph with its nodes in another order."""
    order = np.random.default_rng(seed).permutation(graph.n_nodes)
    return Graph.from_scipy(graph.to_scipy()[order][:, order])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--films", choices=("fashion", "simulated"), default="fashion")
    parser.add_argument("--n", type=int, default=50_000)
    parser.add_argument("--k", type=int, default=30)
    parser.add_argument("--runs", type=int, default=7)
    options = parser.parse_args()
    import igraph

    print("making the graph ...", file=sys.stderr)
    graph = similarity_graph(nearest_neighbors(codes_of(options.films, options.n), options.k))
    louvain(graph)  # compiles
    rows = []
    for run in range(options.runs):
        shuffled = permuted(graph, run)
        network = to_igraph(shuffled)
        start = time.perf_counter()
        ours = louvain(shuffled, seed=run, n_threads=1)
        middle = time.perf_counter()
        igraph.set_random_number_generator(random.Random(run))
        again = time.perf_counter()
        theirs = network.community_multilevel(weights="weight").membership
        stop = time.perf_counter()
        rows.append(
            {
                "run": run,
                "graphret_s": middle - start,
                "igraph_s": stop - again,
                "graphret_q": modularity(shuffled, ours.labels),
                "igraph_q": modularity(shuffled, theirs),
                "n_split": ours.n_split,
            }
        )
        print(rows[-1], file=sys.stderr)
    ratios = [row["igraph_s"] / row["graphret_s"] for row in rows]
    found = environment()
    name = f"communities_{options.films}"
    record = {
        "environment": found,
        "graph": {"films": options.films, "n_nodes": graph.n_nodes, "n_edges": graph.n_edges, "k": options.k},
        "runs": rows,
        "ratio_median": statistics.median(ratios),
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    (RESULTS / f"{name}.md").write_text(table(record, ratios, found), encoding="utf-8")
    print((RESULTS / f"{name}.md").read_text(encoding="utf-8"))


def table(record: dict, ratios: list[float], found: dict) -> str:
    """The result as Markdown: medians, with the smallest and largest in brackets."""
    graph = record["graph"]
    lines = [
        f"# Communities of {graph['n_nodes']:,} nodes and {graph['n_edges']:,} edges ({graph['films']}, k = {graph['k']})",
        "",
        f"{len(ratios)} alternating runs, nodes permuted and seed changed in each; median (smallest to largest); one thread each.",
        "",
        "| method | seconds | modularity |",
        "|---|---|---|",
    ]
    for name, label in (("graphret", "graphret `louvain`"), ("igraph", "igraph `community_multilevel`")):
        cells = []
        for unit, digits in (("s", 3), ("q", 4)):
            values = [row[f"{name}_{unit}"] for row in record["runs"]]
            middle, low, high = (f"{x:.{digits}f}" for x in (statistics.median(values), min(values), max(values)))
            cells.append(f"{middle} ({low} to {high})")
        lines.append(f"| {label} | {cells[0]} | {cells[1]} |")
    lines += [
        "",
        f"igraph / graphret, run by run: median {statistics.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f}).",
    ]
    return "\n".join([*lines, "", environment_line(found), ""])


if __name__ == "__main__":
    main()
