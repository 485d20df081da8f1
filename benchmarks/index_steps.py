"""Build an index of simulated codes, or query one, in a process of its own: times and peak memory of that step alone.

The scripts `build_index.py` and `reproducible.py` start this file; ``run_step`` is what they call.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

PROCESS_START = time.perf_counter()

import numpy as np  # noqa: E402  the time of the imports is part of what is measured
from record import progress, say  # noqa: E402
from simulated_codes import FINDINGS, simulate  # noqa: E402

RANKINGS = ("nearest", "region_growing", "alpha_qe", "diffusion")


def simulate_step(work: Path, *, n: int, n_queries: int) -> dict[str, Any]:
    """Write codes, their films, and queries that are other exposures of the first films."""
    archive = simulate(n)
    np.savez(work / "films.npz", ids=archive.ids, labels=archive.labels, patients=archive.patients)
    np.save(work / "queries.npy", simulate(min(n, n_queries), exposure=1).codes)
    np.save(work / "codes.npy", archive.codes)
    return {"n": len(archive.ids)}


def build_step(work: Path, *, n_threads: int, seed: int, name: str) -> dict[str, Any]:
    """Build the index anew, and time its stages by the progress they report."""
    import graphret

    reported: list[tuple[str, float]] = []
    say_progress = progress()

    def note(stage: str, done: int, total: int) -> None:
        say_progress(stage, done, total)
        if done == total:
            reported.append((stage, time.perf_counter()))

    described = np.load(work / "films.npz", allow_pickle=False)
    codes = np.load(work / "codes.npy", allow_pickle=False)
    films = {key: described[key] for key in ("ids", "labels", "patients")}
    start = time.perf_counter()
    index = graphret.build(
        codes,
        tune=False,
        out=work / name,
        **films,
        label_names=FINDINGS,
        n_threads=n_threads,
        seed=seed,
        resume=False,
        progress=note,
    )
    stop = time.perf_counter()
    stages, before = {}, start
    for stage, end in dict(reported).items():
        stages[stage], before = end - before, end
    info = index.info()
    return {
        "n_threads": n_threads,
        "seed": seed,
        "seconds": stop - start,
        "stages_s": stages,
        "peak_memory_gb": peak_memory_gb(),
        "index_mb": info["n_bytes"] / 2**20,
        "parameters": info["parameters"],
        "counts": info["counts"],
        "graph_sha256": info["graph"]["sha256"],
        "communities_sha256": info["communities"]["sha256"],
        "files_sha256": {file: entry["sha256"] for file, entry in index.manifest["files"].items()},
    }


def query_step(work: Path, *, name: str) -> dict[str, Any]:
    """Open the index in this fresh process, and time single queries from codes, 10 hits each."""
    import graphret

    queries = np.load(work / "queries.npy", allow_pickle=False)
    start = time.perf_counter()
    index = graphret.open(work / name)
    opened = time.perf_counter()
    index.query(queries[0], k=10)
    answered = time.perf_counter()
    times: dict[str, dict[str, dict[str, float]]] = {}
    for n_threads in (1, None):
        label = "all" if n_threads is None else str(n_threads)
        times[label] = {}
        for ranking in RANKINGS:
            milliseconds = []
            for query in queries:
                begun = time.perf_counter()
                index.query(query, k=10, ranking=ranking, n_threads=n_threads)
                milliseconds.append(1e3 * (time.perf_counter() - begun))
            times[label][ranking] = {
                "first_ms": milliseconds[0],
                "median_ms": float(np.median(milliseconds[1:])),
                "p99_ms": float(np.percentile(milliseconds[1:], 99)),
            }
            say(f"{ranking}, threads {label}: {times[label][ranking]['median_ms']:.1f} ms")
    return {
        "open_s": opened - start,
        "first_query_s": answered - opened,
        "import_to_first_hits_s": answered - PROCESS_START,
        "peak_memory_gb": peak_memory_gb(),
        "default_ranking": index.default_ranking,
        "n_queries": len(queries),
        "threads": times,
    }


def peak_memory_gb() -> float:
    """Largest resident memory of this process so far, mapped files included.

    Not ``resource.getrusage``: its ru_maxrss begins with that of the process that started this one.
    """
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 2**20
    raise SystemExit("this system does not say the peak memory of a process (VmHWM in /proc/self/status)")


def run_step(step: str, work: Path, *, n_threads: int | None = None, **arguments: Any) -> dict[str, Any]:
    """Run a step of this file in a fresh process, with at most ``n_threads`` threads in every library."""
    say(f"{step} {arguments}" + ("" if n_threads is None else f", {n_threads} threads"))
    settings = dict(os.environ)
    if n_threads is not None:
        arguments["n_threads"] = n_threads
        settings |= {"OMP_NUM_THREADS": str(n_threads), "OPENBLAS_NUM_THREADS": str(n_threads)}
    command = [sys.executable, __file__, step, str(work), json.dumps(arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=settings)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


STEPS = {"simulate": simulate_step, "build": build_step, "query": query_step}

if __name__ == "__main__":
    print(json.dumps(STEPS[sys.argv[1]](Path(sys.argv[2]), **json.loads(sys.argv[3]))))
