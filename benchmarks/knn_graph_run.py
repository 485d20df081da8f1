"""One run of one kNN method in a process of its own: seconds, peak memory, recall; `knn_graph.py` starts this file.

A fresh process owes nothing to the methods before it: no warm allocator, no threads that spin, no memory kept. Before
the time is taken the method runs on a few rows, so that imports and numba's compilation are not in it.
"""

from __future__ import annotations

import gc
import hashlib
import json
import math
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from benchmark_codes import CODES, INDEX, codes_of, unit_rows
from knn_truth import Truth
from peers_knn import PEERS

if TYPE_CHECKING:
    from collections.abc import Iterator

OURS = {f"graphret-{method}": method for method in ("exact", "approximate", "auto")}
WARM = 3_000
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
OUT_OF_TIME = -signal.SIGALRM


@dataclass(frozen=True)
class Job:
    """What one process runs; ``options`` go to our method only, ``truth`` is a file that `Truth.save` wrote."""

    data: str
    method: str
    k: int
    threads: int
    n: int | None = None
    truth: str | None = None
    seconds_allowed: float | None = None
    options: dict[str, Any] = field(default_factory=dict)
    work: str = str(CODES)
    index: str = str(INDEX)


def measure(job: Job) -> dict[str, Any]:
    """Run a job in this process."""
    codes = codes_of(job.data, job.n, work=Path(job.work), index=Path(job.index))
    ours = job.method in OURS
    rows = codes if ours else unit_rows(codes)  # the peers are given unit rows; ours makes its own, in the time
    del codes
    for method in OURS if ours else [job.method]:  # "auto" may be any of ours on many rows, and is exact on a few
        _run(replace(job, method=method), rows[:WARM])
    gc.collect()
    memory = _reset_peak()
    with _at_most(job.seconds_allowed):
        start, processor = time.perf_counter(), time.process_time()
        ids, similarities, table = _run(job, rows)
        seconds, processor = time.perf_counter() - start, time.process_time() - processor
    peak = _memory_gb("VmHWM")
    row: dict[str, Any] = {
        "seconds": seconds,
        "processor_seconds": processor,
        "peak_growth_gb": peak - memory,
        "n": len(rows),
        "d": rows.shape[1],
    }
    if job.truth is not None:
        row |= Truth.load(Path(job.truth)).judge(rows, ids, similarities)
    if ours:
        digest = hashlib.sha256(np.ascontiguousarray(ids))
        digest.update(np.ascontiguousarray(similarities))
        row |= {"table": table, "table_sha256": digest.hexdigest()}
    return row


def _run(job: Job, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    k = min(job.k, len(rows) - 1)
    if job.method in PEERS:
        return *PEERS[job.method](rows, k, job.threads), {}
    from graphret.neighbors import nearest_neighbors

    table = nearest_neighbors(rows, k, method=OURS[job.method], n_threads=job.threads, **job.options)
    said = {part.name: plain(getattr(table, part.name)) for part in fields(table)}
    del said["neighbors"], said["similarities"]
    return table.neighbors, table.similarities, said


def plain(value: Any) -> Any:
    """Say any field of a table in JSON: numbers and texts as they are, an array by its shape, the rest by its repr."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no word for it
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape}"
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, tuple | list):
        return [plain(entry) for entry in value]
    return repr(value)


def run_in_process(job: Job) -> dict[str, Any]:
    """Run a job in a fresh process: what `measure` returns and status "measured", or "out of time", or "failed"."""
    variables = dict(os.environ) | dict.fromkeys(THREAD_VARIABLES, str(job.threads))
    command = [sys.executable, __file__, json.dumps(asdict(job))]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=variables)
    if done.returncode == 0:
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return {"status": "measured", **found}
    if done.returncode == OUT_OF_TIME:
        return {"status": "out of time", "reason": f"stopped after {job.seconds_allowed:.0f} s"}
    last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
    return {"status": "failed", "reason": f"exit status {done.returncode}: {last[:300]}"}


@contextmanager
def _at_most(seconds: float | None) -> Iterator[None]:
    """End this process when the time is over, even inside of a library that never comes back to Python."""
    if seconds is None:
        yield
        return
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)


def _reset_peak() -> float:
    """Forget the largest resident memory so far; return the resident memory in GB."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return _memory_gb("VmRSS")


def _memory_gb(key: str) -> float:
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) / 2**20
    raise SystemExit(f"this system does not say {key} in /proc/self/status")


if __name__ == "__main__":
    print(json.dumps(measure(Job(**json.loads(sys.argv[1])))))
