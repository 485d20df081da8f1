"""One size of `scaling.py` in a process of its own: a kNN graph of generated codes, or the making of a planted graph."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from benchmark_codes import generated
from communities_process import memory_bytes, process_result, reset_peak, save_graph
from planted_graph import planted_graph

WARM = 3_000


def plant(folder: str, *, n: int, edges_per_node: float) -> dict[str, Any]:
    """Write a planted graph; in a process of its own because making it needs several times its memory."""
    graph, planted = planted_graph(n, edges_per_node=edges_per_node)
    save_graph(graph, Path(folder))
    from graphret.communities import modularity

    return {"planted_communities": int(planted.max()) + 1, "planted_modularity": modularity(graph, planted)}


def neighbors(folder: str, *, n: int, d: int, k: int, method: str, n_threads: int, runs: int) -> dict[str, Any]:
    """Time the kNN table of n generated codes, and the graph of it; the memory is that of the first run."""
    from graphret.graph import similarity_graph
    from graphret.neighbors import nearest_neighbors

    Path(folder).mkdir(parents=True, exist_ok=True)
    codes = generated(n, d)
    similarity_graph(nearest_neighbors(codes[:WARM].copy(), k, method=method, n_threads=n_threads))  # compiles
    measured = []
    extra, graph_extra = 0, 0
    for run in range(runs):
        before = 0 if run else reset_peak()
        start, processor = time.perf_counter(), time.process_time()
        table = nearest_neighbors(codes, k, method=method, n_threads=n_threads)
        seconds, processor = time.perf_counter() - start, time.process_time() - processor
        if not run:
            extra = max(0, memory_bytes("VmHWM") - before)
        found = {"seconds": seconds, "processor_seconds": processor}
        before = 0 if run else reset_peak()
        start = time.perf_counter()
        graph = similarity_graph(table)
        found |= {"graph_seconds": time.perf_counter() - start, "n_edges": graph.n_edges}
        if not run:
            graph_extra = max(0, memory_bytes("VmHWM") - before)
        measured.append({**found, "method": str(table.method), "recall": float(table.recall)})
        del table, graph
    return {"codes_bytes": codes.nbytes, "extra_bytes": extra, "graph_extra_bytes": graph_extra, "runs": measured}


def run_step(step: str, folder: Path, *, n_threads: int | None = None, **arguments: Any) -> dict[str, Any]:
    """Run a step of this file in a fresh process, with at most ``n_threads`` threads in every library."""
    settings = dict(os.environ)
    if n_threads is not None:
        arguments["n_threads"] = n_threads
        settings |= {"OMP_NUM_THREADS": str(n_threads), "OPENBLAS_NUM_THREADS": str(n_threads)}
    return process_result([__file__, step, str(folder), json.dumps(arguments)], settings)


STEPS = {"plant": plant, "neighbors": neighbors}

if __name__ == "__main__":
    print(json.dumps(STEPS[sys.argv[1]](sys.argv[2], **json.loads(sys.argv[3]))))
