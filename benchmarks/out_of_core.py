"""A build that does not fit in memory: 2,000,000 x 256 within 6 GB, killed once on the way and gone on with.

    python benchmarks/out_of_core.py [--n 2000000] [--d 256] [--max-memory-gb 6] [--threads 2]

Codes are generated block by block into a file, and mapped. The build runs in a process of its own, is killed with
SIGKILL when a share of the neighbours' pieces is done, and runs again; the two are reported apart. Peaks are those of
the process: VmHWM, mapped files included, and RssAnon, memory that is no file's, seen twenty times a second.
Recall is measured anew here, against an exhaustive search of films that the build did not choose.
Where the run was put into a control group that limits its memory, the record says so: then the kernel holds the limit, for pages
of files too.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from environment import environment, environment_line
from record import parser_of, say, write_results

if TYPE_CHECKING:
    import argparse

K = 50
CHUNK = 50_000
RANK = 24
CHECKED = 256


def write_codes(path: Path, n: int, d: int) -> None:
    """Write codes that are near a subspace and in no order, as an encoder's are, a chunk at a time."""
    if path.exists() and np.load(path, mmap_mode="r").shape == (n, d):
        return
    generator = np.random.default_rng(0)
    directions = generator.standard_normal((RANK, d)).astype(np.float32)
    partial = path.with_suffix(".partial.npy")
    codes = np.lib.format.open_memmap(partial, "w+", np.float32, (n, d))
    for first in range(0, n, CHUNK):
        rows = min(CHUNK, n - first)
        latent = generator.standard_normal((rows, RANK), dtype=np.float32) @ directions
        codes[first : first + rows] = np.maximum(
            latent + generator.standard_normal((rows, d), dtype=np.float32) + 0.5, 0
        )
    codes.flush()
    del codes
    partial.rename(path)


def build_step(work: Path, *, n_threads: int, max_memory: int, method: str) -> dict[str, Any]:
    """Build within the limit; the last line is the result."""
    import graphret

    reported: list[tuple[str, float]] = []

    def note(stage: str, done: int, total: int) -> None:
        print(json.dumps([stage, done, total]), flush=True)
        if done == total:
            reported.append((stage, time.perf_counter()))

    codes = np.load(work / "codes.npy", mmap_mode="r")
    start = time.perf_counter()
    index = graphret.build(
        codes,
        out=work / "index",
        k=K,
        tune=False,
        max_memory=max_memory,
        n_threads=n_threads,
        method=method,
        progress=note,
    )
    seconds, stages, before = time.perf_counter() - start, {}, start
    for stage, end in dict(reported).items():
        stages[stage], before = end - before, end
    info = index.info()
    keys = ("counts", "graph", "communities", "search")
    return {"seconds": seconds, "stages_s": stages} | {key: info[key] for key in keys if key in info}


def status_gb(pid: int, field: str) -> float:
    """A field of the status of a process, in GB; 0 where it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0.0
    kibibytes = next((int(line.split()[1]) for line in lines if line.startswith(f"{field}:")), 0)
    return kibibytes * 1024 / 1e9


def control_group_limit() -> float | None:
    """The memory that the control group of this process allows, pages of files included, in GB; None where it sets no limit."""
    for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
        _, controllers, group = line.split(":", 2)
        if controllers == "memory":
            file = Path(f"/sys/fs/cgroup/memory{group}/memory.limit_in_bytes")
        elif not controllers:
            file = Path(f"/sys/fs/cgroup{group}/memory.max")
        else:
            continue
        limit = file.read_text(encoding="ascii").strip() if file.is_file() else "max"
        if limit != "max" and int(limit) < os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"):
            return int(limit) / 1e9
    return None


class Watcher(threading.Thread):
    """Looks at the memory of a process twenty times a second, until it ends."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid, self.peaks = pid, {"VmHWM": 0.0, "RssAnon": 0.0}

    def run(self) -> None:
        """Keep the largest figures."""
        while status_gb(self.pid, "VmRSS"):
            self.peaks = {field: max(peak, status_gb(self.pid, field)) for field, peak in self.peaks.items()}
            time.sleep(0.05)


def run(options: argparse.Namespace, kill_at: float | None) -> dict[str, Any]:
    """Run the build in a process of its own, and kill it when a share of the neighbours is done."""
    arguments = {
        "n_threads": options.threads,
        "max_memory": int(options.max_memory_gb * 1e9),
        "method": options.method,
    }
    settings = os.environ | {name: str(options.threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    command = [sys.executable, __file__, "--step", json.dumps(arguments), "--work", str(options.work)]
    last: Any = None
    killed_at = None
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=settings) as process:
        watcher = Watcher(process.pid)
        watcher.start()
        for line in process.stdout or ():
            last = json.loads(line)
            if (
                kill_at is not None
                and isinstance(last, list)
                and last[0] == "neighbors"
                and last[1] >= kill_at * last[2]
            ):
                killed_at = last[1] / last[2]
                process.send_signal(signal.SIGKILL)
                break
        watcher.join()
    if killed_at is None and process.returncode:
        raise SystemExit(f"the build ended with status {process.returncode}")
    result = last if isinstance(last, dict) else {}
    return {"killed_at": killed_at, "peak_gb": watcher.peaks, **result}


def measured_recall(work: Path) -> float:
    """Share of true neighbours in the table of the index, of films drawn here."""
    import graphret
    from graphret.neighbors import ExactSearch

    with graphret.open(work / "index") as index:
        generation = work / "index" / index.generation
    codes = np.load(work / "codes.npy", mmap_mode="r").view(np.ndarray)
    table = np.load(generation / "knn-neighbors.npy", mmap_mode="r")
    rows = np.sort(np.random.default_rng(12345).choice(len(codes), min(CHECKED, len(codes)), replace=False))
    forbidden = list(rows[:, None].astype(np.int32))
    truth = ExactSearch(codes).search(np.ascontiguousarray(codes[rows]), table.shape[1], forbidden=forbidden).neighbors
    shared = [np.intersect1d(found, true).size for found, true in zip(table[rows], truth, strict=True)]
    return float(np.sum(shared) / truth.size)


def markdown(record: dict[str, Any]) -> str:
    """The result as Markdown."""
    limit, done = record["max_memory_gb"], record["gone_on"]
    peak = max(run["peak_gb"]["VmHWM"] for run in (record["killed"], done))
    anonymous = max(run["peak_gb"]["RssAnon"] for run in (record["killed"], done))
    lines = [
        f"# {record['n']:,} x {record['d']} within {limit:g} GB, {record['threads']} threads",
        "",
        "| | |",
        "|---|---|",
        f"| killed when this share of the neighbours was done | {record['killed']['killed_at']:.2f} |",
        f"| seconds of the run that went on | {done['seconds']:.0f} |",
        *(f"| of these, {stage} | {seconds:.0f} |" for stage, seconds in done["stages_s"].items()),
        f"| largest resident memory, mapped files included, GB | {peak:.2f} |",
        f"| of which not of files, GB | {anonymous:.2f} |",
        *(
            [f"| the control group of the run allows, pages of files included, GB | {record['control_group_gb']:.2f} |"]
            if record["control_group_gb"]
            else []
        ),
        f"| recall of the table, on {CHECKED} films drawn anew | {record['recall']:.5f} |",
        f"| films, edges, communities | {done['counts']['films']:,}, {done['counts']['edges']:,}, {done['counts']['communities']:,} |",
        f"| memory not of files stays within the limit | {'yes' if anonymous <= limit else '**no**'} |",
        f"| all resident memory stays within the limit | {'yes' if peak <= limit else '**no**'} |",
    ]
    if record["note"]:
        lines += ["", record["note"]]
    return "\n".join([*lines, "", environment_line(record["environment"]), ""])


def main(arguments: list[str] | None = None) -> None:
    parser = parser_of(__doc__, work="out_of_core")
    parser.add_argument("--n", type=int, default=2_000_000)
    parser.add_argument("--d", type=int, default=256)
    parser.add_argument("--max-memory-gb", type=float, default=6.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--method", default="auto", help="of the neighbours, as BuildConfig has it")
    parser.add_argument("--kill-at", type=float, default=0.4, help="share of the neighbours that are done then")
    parser.add_argument("--note", default="", help="a sentence for the record: what else the machine did meanwhile")
    parser.add_argument("--step", help="(of the process that builds)")
    options = parser.parse_args(arguments)
    if options.step is not None:
        result = build_step(options.work, **json.loads(options.step))
        print(json.dumps(result), flush=True)
        return
    found = environment()
    options.work.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(options.work / "index", ignore_errors=True)
    say("writing codes")
    write_codes(options.work / "codes.npy", options.n, options.d)
    say("building, until it is killed")
    killed = run(options, options.kill_at)
    if killed["killed_at"] is None:
        raise SystemExit("the build ended before it was killed: give a smaller --kill-at")
    say(f"killed at {killed['killed_at']:.2f}; going on")
    gone_on = run(options, None)
    record = {
        "environment": found,
        **{name: getattr(options, name) for name in ("n", "d", "max_memory_gb", "threads", "method", "note")},
        "control_group_gb": control_group_limit(),
        "killed": killed,
        "gone_on": gone_on,
        "recall": measured_recall(options.work),
    }
    write_results(options.results, "out_of_core", record, markdown(record))
    print(markdown(record))


if __name__ == "__main__":
    main()
