"""Communities of kNN graphs, k = 50: graphret beside igraph, leidenalg, NetworKit, scikit-network, graspologic, networkx.

    python benchmarks/communities.py [--data d1 d2 d3 small] [--codes FILE.npy] [--runs 7] [--slow-runs 3]
    python benchmarks/communities.py --report                the tables again, from the rows on disk

Every run divides a graph with another seed, once with its nodes as they come and once in another order; all methods run
once, in an order drawn anew, before the next run begins. Only the algorithm is timed, on each library's own graph
object, made outside of the time; ours includes its check for connectedness and its score. Partitions are scored by
``graphret.communities.modularity``, and scipy says which communities are connected. Graphs are kept in the work folder;
times never are: rows of one data set are compared only if one call made them.
"""

from __future__ import annotations

import gc
import hashlib
import random
import tempfile
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse
from benchmark_codes import INDEX, SIZES, codes_of
from communities_process import csr_bytes, fresh, measure_in_process, save_graph
from communities_tables import markdown, record_of
from environment import environment
from peers_communities import LIBRARIES, PEERS, Method, installed, ours, parallel_method
from record import append, name_of, parser_of, progress, read_rows, say, write_results
from scipy.sparse.csgraph import connected_components

from graphret.communities import modularity
from graphret.graph import Graph, similarity_graph
from graphret.neighbors import nearest_neighbors

if TYPE_CHECKING:
    import argparse

SMALL = 5_000
"""Films of d1 in the data set "small", the only one that networkx divides."""
REPEATS = 5


def codes_for(data: str, options: argparse.Namespace) -> np.ndarray:
    """Codes of a data set, or of the file that was given."""
    if data == "codes":
        return np.asarray(np.load(options.codes, allow_pickle=False)[: options.n], dtype=np.float32)
    if data == "small":
        return codes_of("d1", min(SMALL, options.n or SMALL))
    return codes_of(data, options.n, index=options.index)


def graph_of(data: str, options: argparse.Namespace) -> Graph:
    """The similarity graph of a data set, from the work folder if it was made before."""
    size = min(options.n or SMALL, SMALL) if data == "small" else options.n or SIZES.get(data, 0)
    codes, digest = None, ""
    if data in {"codes", "d3"}:  # another file, or another training, under the same name
        codes = codes_for(data, options)
        size, digest = len(codes), f"-{hashlib.sha256(np.ascontiguousarray(codes)).hexdigest()[:12]}"
    file = options.work / f"{data}-{size}-{options.k}-{options.threshold}{digest}.npz"
    if not file.exists():
        say(f"{data}: making the graph")
        table = nearest_neighbors(
            codes_for(data, options) if codes is None else codes, options.k, method="exact", progress=progress()
        )
        graph = similarity_graph(table, threshold=None if options.threshold == "none" else "auto")
        options.work.mkdir(parents=True, exist_ok=True)
        partial = file.with_name(f"partial-{file.name}")
        scipy.sparse.save_npz(partial, graph.to_scipy(), compressed=False)
        partial.replace(file)
    return Graph.from_scipy(scipy.sparse.load_npz(file))


def permuted(graph: Graph, seed: int) -> Graph:
    """The same graph with its nodes in another order."""
    order = np.random.default_rng(seed).permutation(graph.n_nodes)
    return Graph.from_scipy(graph.to_scipy()[order][:, order])


def share_connected(graph: Graph, labels: np.ndarray) -> float:
    """Share of the communities that are connected in themselves, by scipy."""
    rows = np.repeat(np.arange(graph.n_nodes), np.diff(graph.indptr))
    inside = labels[rows] == labels[graph.indices]
    shape = (graph.n_nodes, graph.n_nodes)
    edges = (np.ones(int(inside.sum()), np.int8), (rows[inside], graph.indices[inside]))
    parts = connected_components(scipy.sparse.csr_array(edges, shape=shape), directed=False)[1]
    firsts = np.unique(parts, return_index=True)[1]
    parts_of_community = np.unique(labels[firsts], return_counts=True)[1]
    return float((parts_of_community == 1).mean())


def timed(method: Method, network: Any, seed: int) -> tuple[np.ndarray, float, float]:
    """Run a method; return its labels, the seconds it took, and the seconds of processor time."""
    LIBRARIES[method.library].before(seed, method.threads)
    gc.collect()
    start, processor = time.perf_counter(), time.process_time()
    found = method.run(network, seed, method.threads)
    seconds, processor = time.perf_counter() - start, time.process_time() - processor
    return np.asarray(method.labels(found)), seconds, processor


def chosen_methods(data: str, options: argparse.Namespace) -> dict[str, Method]:
    """The methods of a data set: networkx divides the small one only; what is not installed is left out."""
    own = ours(options.ours_parallel)
    methods = own | PEERS
    wanted = {*own, "igraph", "leidenalg-10", "networkx"} if data == "small" else methods.keys() - {"networkx"}
    wanted &= methods.keys() if options.methods is None else {*own, *options.methods}
    absent = sorted(name for name in wanted if name in methods and not installed(methods[name]))
    if absent:
        say(f"{data}: not installed, left out: {', '.join(absent)}")
    return {name: method for name, method in methods.items() if name in wanted and name not in absent}


def measure(data: str, options: argparse.Namespace, shared: dict[str, Any], file: Path) -> None:
    """All runs on the graph of one data set; every row is on the disk before the next method runs."""
    graph = graph_of(data, options)
    shared |= {"data": data}
    about = {"n_nodes": graph.n_nodes, "n_edges": graph.n_edges, "csr_bytes": csr_bytes(graph)}
    append(file, {**shared, "kind": "graph", **about, "k": options.k, "threshold": options.threshold})
    say(f"{data}: {graph.n_nodes:,} nodes, {graph.n_edges:,} edges")
    methods = chosen_methods(data, options)
    as_given = {name: LIBRARIES[name].graph(graph) for name in {method.library for method in methods.values()}}
    for name in ours(options.ours_parallel):
        timed(methods[name], as_given["graphret"], 0)  # compiles
    for run in range(options.runs):
        turn = {name: method for name, method in methods.items() if name not in options.slow or run < options.slow_runs}
        for order in ("as given", "permuted"):
            nodes = graph if order == "as given" else permuted(graph, run)
            networks = as_given if nodes is graph else {}
            for name in random.Random(f"{run} {order}").sample([*turn], len(turn)):
                library = turn[name].library
                if library not in networks:
                    networks[library] = LIBRARIES[library].graph(nodes)
                labels, seconds, processor = timed(turn[name], networks[library], run)
                row = {
                    "seconds": seconds,
                    "processor_seconds": processor,
                    "modularity": modularity(nodes, labels),
                    "communities": len(np.unique(labels)),
                    "connected": share_connected(nodes, labels),
                }
                about = {"method": name, "title": turn[name].title, "threads": turn[name].threads}
                append(file, {**shared, "kind": "run", "run": run, "order": order, **about, **row})
                say(f"{data} {run} {order}, {name}: {seconds:.3f} s, Q {row['modularity']:.4f}")
    if data != "small":
        promises(graph, methods, shared, file)


def promises(graph: Graph, methods: dict[str, Method], shared: dict[str, Any], file: Path) -> None:
    """What ours promises beside speed: the same partition again, and little memory beyond the graph."""
    with tempfile.TemporaryDirectory() as folder:
        save_graph(graph, Path(folder))
        for name in [name for name in methods if name.startswith("graphret")]:
            method = methods[name]
            found = {method.run(fresh(graph), 1, method.threads).tobytes() for _ in range(REPEATS)}
            registered = method.title.split("`")[1]
            arguments = {"method": registered, "n_starts": method.starts, "n_threads": method.threads, "seeds": [1]}
            measured = measure_in_process(Path(folder), **arguments)
            row = {"runs": REPEATS, "partitions": len(found), "extra_bytes": measured["extra_bytes"]}
            append(file, {**shared, "kind": "promises", "method": name, **row})
            say(f"{shared['data']} {name}: {row}")


def report(options: argparse.Namespace) -> None:
    """Write the record and its tables from the rows on disk."""
    name = name_of("communities", options.n)
    rows = read_rows(options.results / f"{name}.jsonl")
    if not rows:
        raise SystemExit(f"there are no rows of {name} in {options.results}")
    record = record_of(rows)
    write_results(options.results, name, record, markdown(record))


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = parser_of(__doc__, work="communities")
    parser.add_argument("--data", choices=[*SIZES, "small"], nargs="*", default=[*SIZES, "small"])
    parser.add_argument("--codes", type=Path, help="further data set: float32 codes (n, d) in a .npy file")
    parser.add_argument("--index", type=Path, default=INDEX, help="index of real films that d3 is made of")
    parser.add_argument("--n", type=int, help="only the first n codes of each set; results have a name of their own")
    parser.add_argument("--k", type=int, default=50)
    parser.add_argument("--threshold", choices=("auto", "none"), default="auto")
    parser.add_argument("--runs", type=int, default=7, help="seeds, each on two orders of the nodes")
    parser.add_argument("--slow", choices=[*PEERS], nargs="*", default=["leidenalg", "leidenalg-10"], metavar="METHOD")
    parser.add_argument("--slow-runs", type=int, default=3, help="seeds of the --slow methods")
    parser.add_argument("--methods", choices=[*PEERS], nargs="*", metavar="PEER", help=f"of {', '.join(PEERS)}")
    parser.add_argument("--ours-parallel", default=parallel_method(), metavar="NAME", help="our method for two threads")
    parser.add_argument("--report", action="store_true", help="only write the tables again")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    options = parse(arguments)
    name = name_of("communities", options.n)
    if not options.report:
        shared = {"session": uuid.uuid4().hex[:12]}
        file = options.results / f"{name}.jsonl"
        append(file, {**shared, "kind": "session", "environment": environment()})
        for data in [*options.data, *(["codes"] if options.codes else [])]:
            measure(data, options, dict(shared), file)
            report(options)
    report(options)
    print((options.results / f"{name}.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
