"""Divide a graph in a process of its own: seconds, modularity, and the memory beyond the graph.

``measure_in_process`` is what `communities.py` (memory) and `scaling.py` call; the process starts this file.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from planted_graph import planted_graph

from graphret.communities import modularity, partition
from graphret.graph import Graph

ARRAYS = ("indptr", "indices", "weights")


def save_graph(graph: Graph, folder: Path) -> None:
    """Write the arrays of a graph as .npy files, which load without any memory beside themselves."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ARRAYS:
        np.save(folder / f"{name}.npy", getattr(graph, name))


def load_graph(folder: Path) -> Graph:
    """Read what `save_graph` wrote."""
    return Graph(*(np.load(folder / f"{name}.npy", allow_pickle=False) for name in ARRAYS))


def fresh(graph: Graph) -> Graph:
    """The same arrays without what the graph remembers (degrees, total weight), so that no run profits from another."""
    return Graph(graph.indptr, graph.indices, graph.weights)


def csr_bytes(graph: Graph) -> int:
    """Bytes of the three arrays of a graph."""
    return int(graph.indptr.nbytes + graph.indices.nbytes + graph.weights.nbytes)


def measure(folder: Path, *, method: str, n_starts: int, n_threads: int, seeds: list[int]) -> dict[str, Any]:
    """Divide the graph once a seed, in this process; the memory is that of the first run, before the heap is warm."""
    graph = load_graph(folder)
    small = planted_graph(1000, edges_per_node=10)[0]
    partition(small, method=method, n_starts=n_starts, n_threads=n_threads)  # compiles, or reads the cache of numba
    runs = []
    extra = 0
    for seed in seeds:
        nodes = fresh(graph)
        before = reset_peak() if not runs else 0
        start, processor = time.perf_counter(), time.process_time()
        found = partition(nodes, method=method, seed=seed, n_starts=n_starts, n_threads=n_threads)
        seconds, processor = time.perf_counter() - start, time.process_time() - processor
        if not runs:
            extra = max(0, memory_bytes("VmHWM") - before)
        runs.append(
            {
                "seed": seed,
                "seconds": seconds,
                "processor_seconds": processor,
                "modularity": modularity(nodes, found.labels),
                "communities": found.n_communities,
                "labels_sha256": hashlib.sha256(np.ascontiguousarray(found.labels)).hexdigest(),
            }
        )
    return {
        "n_nodes": graph.n_nodes,
        "n_edges": graph.n_edges,
        "csr_bytes": csr_bytes(graph),
        "extra_bytes": extra,
        "runs": runs,
    }


def measure_in_process(folder: Path, **arguments: Any) -> dict[str, Any]:
    """Run `measure` in a fresh process, with at most ``n_threads`` threads in every library."""
    threads = str(arguments["n_threads"])
    return process_result(
        [__file__, str(folder), json.dumps(arguments)], dict(os.environ) | {"OMP_NUM_THREADS": threads}
    )


def process_result(arguments: list[str], settings: dict[str, str]) -> dict[str, Any]:
    """Run a file of this folder with this Python; return the JSON document that it prints last."""
    done = subprocess.run([sys.executable, *arguments], stdout=subprocess.PIPE, text=True, check=True, env=settings)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def reset_peak() -> int:
    """Forget the largest resident memory so far; return the resident memory in bytes.

    What the allocator keeps of freed memory goes back to the system first: else what comes next would seem to need less.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc
    if trim is not None:
        trim(0)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return memory_bytes("VmRSS")


def memory_bytes(key: str) -> int:
    """Resident memory of this process, now (VmRSS) or at its peak (VmHWM)."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024
    raise SystemExit(f"this system does not say {key} in /proc/self/status")


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1]), **json.loads(sys.argv[2]))))
