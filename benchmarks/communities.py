"""Communities of a kNN graph of 50,000 nodes, k = 30: our Louvain beside igraph's multilevel, one thread each.

    python benchmarks/communities.py [--films fashion simulated] [--n 50000] [--k 30] [--runs 7] [--leiden]

Every run divides the same graph with another seed, once with its nodes as they come and once in another order; the
methods take turns in being first. Only the algorithm is timed, on each library's own graph object, made outside of the
time; ours includes its check for connectedness and its score. All partitions are scored by
``graphret.communities.modularity``. Graphs are kept in the work folder; times never are: a ratio needs one run.
"""

from __future__ import annotations

import gc
import gzip
import random
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse
from environment import environment, environment_line
from record import limits_table, parser_of, progress, say, spread, write_results
from simulated_codes import simulate

from graphret.communities import louvain, modularity
from graphret.graph import Graph, nearest_neighbors, similarity_graph, to_igraph

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

FASHION = Path("/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz")
TITLES = {
    "fashion": "Fashion-MNIST, pixels",
    "simulated": "codes simulated from the real NIH labels",
    "graphret": "graphret `louvain`",
    "igraph": "igraph `community_multilevel`",
    "leiden": "leidenalg, 2 iterations",
}


def codes_of(films: str, n: int) -> np.ndarray:
    """Fashion-MNIST pixels (Debian package dataset-fashion-mnist), or simulated NIH codes; float32 (n, d)."""
    if films == "simulated":
        return simulate(n).codes
    if not FASHION.exists():
        raise SystemExit("install the Debian package dataset-fashion-mnist, or give --films simulated")
    with gzip.open(FASHION) as file:
        pixels = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 784)
    return pixels[:n].astype(np.float32)


def graph_of(films: str, options: argparse.Namespace) -> Graph:
    """The similarity graph of the films, from the work folder if it was made before."""
    file = options.work / f"{films}-{options.n}-{options.k}-{options.threshold}.npz"
    if file.exists():
        return Graph.from_scipy(scipy.sparse.load_npz(file))
    say(f"{films}: making the graph")
    threshold = None if options.threshold == "none" else "auto"
    table = nearest_neighbors(codes_of(films, options.n), options.k, progress=progress())
    graph = similarity_graph(table, threshold=threshold)
    options.work.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f"partial-{file.name}")
    scipy.sparse.save_npz(partial, graph.to_scipy())
    partial.replace(file)
    return graph


def permuted(graph: Graph, seed: int) -> Graph:
    """The same graph with its nodes in another order."""
    order = np.random.default_rng(seed).permutation(graph.n_nodes)
    return Graph.from_scipy(graph.to_scipy()[order][:, order])


def methods_of(graph: Graph, seed: int, *, leiden: bool) -> dict[str, Callable[[], Any]]:
    """The methods, each ready to run on a graph object of its own; every one returns a community per node."""
    import igraph

    network = to_igraph(graph)

    def ours() -> Any:
        return louvain(graph, seed=seed, n_threads=1).labels

    def multilevel() -> Any:
        igraph.set_random_number_generator(random.Random(seed))
        return network.community_multilevel(weights="weight").membership

    def leidenalg_two() -> Any:
        import leidenalg

        kind = leidenalg.ModularityVertexPartition
        return leidenalg.find_partition(network, kind, weights="weight", n_iterations=2, seed=seed).membership

    return {"graphret": ours, "igraph": multilevel} | ({"leiden": leidenalg_two} if leiden else {})


def timed(method: Callable[[], Any]) -> tuple[Any, float, float]:
    """Run a method; return its result, the seconds it took, and the seconds of processor time."""
    gc.collect()
    start, processor = time.perf_counter(), time.process_time()
    result = method()
    return result, time.perf_counter() - start, time.process_time() - processor


def measure(films: str, options: argparse.Namespace) -> dict[str, Any]:
    """All runs on the graph of one set of films."""
    graph = graph_of(films, options)
    say(f"{films}: {graph.n_nodes} nodes, {graph.n_edges} edges")
    louvain(graph)  # compiles
    rows = []
    for run in range(options.runs):
        for number, order in enumerate(("as given", "permuted")):
            nodes = permuted(graph, run) if number else graph
            methods = methods_of(nodes, run, leiden=options.leiden)
            turn = (run + number) % len(methods)
            row: dict[str, Any] = {"seed": run, "order": order}
            for name in [*methods][turn:] + [*methods][:turn]:
                labels, seconds, processor = timed(methods[name])
                row[name] = {
                    "seconds": seconds,
                    "processor_seconds": processor,
                    "modularity": modularity(nodes, labels),
                    "communities": len(np.unique(labels)),
                }
            rows.append(row)
            say(", ".join(f"{name} {row[name]['seconds']:.2f} s Q {row[name]['modularity']:.4f}" for name in methods))
    about = {"n_nodes": graph.n_nodes, "n_edges": graph.n_edges, "k": options.k, "threshold": options.threshold}
    return {"films": films, "graph": about, "runs": rows, "summary": summary(rows)}


def summary(rows: list[dict[str, Any]]) -> dict[str, float]:
    """How many times faster, run by run, and how much better at the median."""
    ratios = [row["igraph"]["seconds"] / row["graphret"]["seconds"] for row in rows]
    quality = {name: statistics.median(row[name]["modularity"] for row in rows) for name in ("graphret", "igraph")}
    return {
        "ratio_median": statistics.median(ratios),
        "ratio_min": min(ratios),
        "ratio_max": max(ratios),
        "modularity_difference": quality["graphret"] - quality["igraph"],
    }


def section(measured: dict[str, Any]) -> list[str]:
    """The Markdown of one set of films."""
    graph, rows, found = measured["graph"], measured["runs"], measured["summary"]
    kept = "the most similar 80 % of the neighbours" if graph["threshold"] == "auto" else "every neighbour"
    lines = [
        f"## {TITLES[measured['films']]}: {graph['n_nodes']:,} nodes, {graph['n_edges']:,} edges",
        "",
        f"k = {graph['k']}, {kept}, cosine weights; {len(rows)} runs, seed changed in each.",
        "",
        "| method | nodes | seconds | processor seconds | modularity |",
        "|---|---|---|---|---|",
    ]
    for name in [name for name in ("graphret", "igraph", "leiden") if name in rows[0]]:
        for order in ("as given", "permuted"):
            of_order = [row[name] for row in rows if row["order"] == order]
            cells = [
                spread([cell[key] for cell in of_order], digits)
                for key, digits in (("seconds", 3), ("processor_seconds", 3), ("modularity", 4))
            ]
            lines.append(f"| {TITLES[name]} | {order} | {' | '.join(cells)} |")
    return [
        *lines,
        "",
        *limits_table(
            [
                (
                    "times faster than igraph, median of the runs "
                    f"({found['ratio_min']:.1f} to {found['ratio_max']:.1f})",
                    found["ratio_median"],
                    ">=",
                    5,
                ),
                ("modularity minus igraph's, medians", found["modularity_difference"], ">=", -0.001),
            ]
        ),
        "",
    ]


def markdown(record: dict[str, Any]) -> str:
    """The result as Markdown."""
    lines = [
        "# Communities: graphret beside igraph, one thread each",
        "",
        "Median (smallest to largest). Only the algorithm is timed; the methods take turns in one process. Processor seconds "
        "above seconds would show a second thread, below them a machine that others use.",
        "",
    ]
    for measured in record["sets"]:
        lines += section(measured)
    return "\n".join([*lines, environment_line(record["environment"]), ""])


def main() -> None:
    parser = parser_of(__doc__, work="communities")
    parser.add_argument("--films", choices=("fashion", "simulated"), nargs="+", help="default: both, if both are there")
    parser.add_argument("--n", type=int, default=50_000)
    parser.add_argument("--k", type=int, default=30)
    parser.add_argument("--threshold", choices=("auto", "none"), default="auto")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--leiden", action="store_true", help="also leidenalg (slow)")
    options = parser.parse_args()
    record: dict[str, Any] = {"environment": environment(), "sets": []}
    for films in options.films or (["fashion"] if FASHION.exists() else []) + ["simulated"]:
        record["sets"].append(measure(films, options))
        write_results(options.results, "communities", record, markdown(record))
    print(markdown(record))


if __name__ == "__main__":
    main()
