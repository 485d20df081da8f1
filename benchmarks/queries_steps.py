"""One size of the growth of a query, and the memory of an open index, each in a process of its own."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

PROCESS_START = time.perf_counter()

import numpy as np  # noqa: E402  the time of the imports is part of what is measured
from benchmark_codes import generated  # noqa: E402
from communities_process import process_result  # noqa: E402

WARM = 50


def latencies(index: Any, queries: np.ndarray, *, k: int = 10, **options: Any) -> np.ndarray:
    """Seconds of single queries by one thread, from the code to the hits."""
    for query in queries[:WARM]:
        index.query(query, k, n_threads=1, **options)
    seconds = np.empty(len(queries))
    for number, query in enumerate(queries):
        begun = time.perf_counter()
        index.query(query, k, n_threads=1, **options)
        seconds[number] = time.perf_counter() - begun
    return seconds


def recall_of(index: Any, queries: np.ndarray, k: int) -> float:
    """Share of the k nearest films that the index finds, by its own exact search."""
    found = index.query(queries, k).positions
    true = index.query(queries, k, search="exact").positions
    return float((true[:, :, None] == found[:, None, :]).any(axis=2).mean())


def grow(folder: str, *, n: int, d: int, k: int, n_queries: int, n_threads: int) -> dict[str, Any]:
    """Index n generated codes, unless it is there from an earlier run, and time single queries that are not in it."""
    import graphret

    codes = generated(n + n_queries, d)
    out = Path(folder) / f"generated-{n}-{d}-{k}"
    if not (out / "CURRENT").exists():
        graphret.build(codes[:n], out=out, k=k, n_threads=n_threads, method="auto")
    index, queries = graphret.open(out), codes[n:].copy()
    del codes
    hits = index.query(queries, 10)
    seconds = latencies(index, queries)
    return {
        "n": n,
        "d": d,
        "search": index.manifest["search"],
        "median_us": 1e6 * float(np.median(seconds)),
        "p99_us": 1e6 * float(np.percentile(seconds, 99)),
        "recall": recall_of(index, queries[: min(n_queries, 500)], k),
        "compared": float(hits.counts.compared.mean()),
        "visited": float(hits.counts.visited.mean()),
    }


def memory(folder: str, *, ranking: str, queries: str) -> dict[str, Any]:
    """Resident bytes a film of an index that has answered queries, beyond the codes; and its first query."""
    import graphret

    codes = np.load(queries, allow_pickle=False)
    start = time.perf_counter()
    index = graphret.open(folder)
    opened = time.perf_counter()
    index.query(codes[0], 10, ranking=ranking, n_threads=1)
    first = time.perf_counter()
    for query in codes:
        index.query(query, 10, ranking=ranking, n_threads=1)
    n_films = len(index)
    after = resident_bytes()
    index.close()
    del index
    return {
        "ranking": ranking,
        "n": n_films,
        "bytes_a_film": (after - _before(ranking)) / n_films,
        "open_s": opened - start,
        "first_query_s": first - opened,
        "import_to_first_hits_s": first - PROCESS_START,
    }


def _before(ranking: str) -> int:
    """Resident bytes of a process that has done the same on an index of 500 films: libraries, kernels, no films."""
    return int(process_result([__file__, "small", "", json.dumps({"ranking": ranking})], dict(os.environ))["bytes"])


def small(_folder: str, *, ranking: str) -> dict[str, Any]:
    """Answer queries of a small index that walks, and say how much memory that took."""
    import tempfile

    import graphret

    codes = generated(600, 64)
    with tempfile.TemporaryDirectory() as folder:
        process_result([__file__, "index", folder, "{}"], dict(os.environ))
        index = graphret.open(Path(folder) / "index")
        for query in codes[500:]:
            index.query(query, 10, ranking=ranking, n_threads=1, search="walk")
        return {"bytes": resident_bytes()}


def build_small(folder: str) -> dict[str, Any]:
    """Build the small index, in a process of its own so that what building takes is not counted."""
    import graphret

    graphret.build(generated(500, 64), out=Path(folder) / "index", k=20, search="walk")
    return {}


def resident_bytes() -> int:
    """Resident memory of this process without the memory-mapped codes."""
    total, counted = 0, True
    for line in Path("/proc/self/smaps").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if "-" in name.split()[0]:
            counted = not line.endswith("/codes.npy")
        elif name == "Rss" and counted:
            total += int(value.split()[0]) * 1024
    return total


def run_step(step: str, folder: Path | str, **arguments: Any) -> dict[str, Any]:
    """Run a step of this file in a fresh process."""
    return process_result([__file__, step, str(folder), json.dumps(arguments)], dict(os.environ))


STEPS = {"grow": grow, "memory": memory, "small": small, "index": build_small}

if __name__ == "__main__":
    print(json.dumps(STEPS[sys.argv[1]](sys.argv[2], **json.loads(sys.argv[3]))))
