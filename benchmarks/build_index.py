"""An index of a whole NIH archive (112,120 codes of 1024 dimensions, simulated): time, memory, opening, queries.

    python benchmarks/build_index.py [--n 112120] [--queries 200] [--work DIR]

Every step runs in a process of its own, so that peak memory and opening times are of that step alone.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from environment import environment, environment_line
from simulated_codes import FINDINGS, simulate

import graphret

RESULTS = Path(__file__).parent / "results"
RANKINGS = ("nearest", "region_growing", "alpha_qe", "diffusion")


def build_once(work: Path, n_threads: int) -> dict[str, object]:
    """Build the index, and time its stages by the progress they report."""
    ends: dict[str, float] = {}
    start = time.perf_counter()

    def progress(stage: str, done: int, total: int) -> None:
        if done == total:
            ends[stage] = time.perf_counter()

    described = np.load(work / "films.npz", allow_pickle=False)
    codes = np.load(work / "codes.npy", mmap_mode="r", allow_pickle=False)
    index = graphret.build(
        codes,
        out=work / f"index-{n_threads}",
        ids=described["ids"],
        labels=described["labels"],
        patients=described["patients"],
        label_names=FINDINGS,
        n_threads=n_threads,
        progress=progress,
    )
    stop = time.perf_counter()
    info = index.info()
    stages, before = {}, start
    for stage, end in ends.items():
        stages[stage], before = end - before, end
    return {
        "seconds": stop - start,
        "stages_s": stages,
        "peak_memory_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "index_mb": sum(file.stat().st_size for file in index.path.rglob("*") if file.is_file()) / 2**20,
        "n_threads": n_threads,
        "counts": info["counts"],
        "hashes": [info["graph"]["sha256"], info["communities"]["sha256"]],
    }


def query_once(work: Path, n_queries: int) -> dict[str, object]:
    """Open the index in this fresh process, and time single queries from codes, 10 hits each."""
    start = time.perf_counter()
    index = graphret.open(work / "index-2")
    opened = time.perf_counter() - start
    generator = np.random.default_rng(1)
    noise = 0.02 * generator.standard_normal((n_queries, index.codes.shape[1]))
    films = np.asarray(index.codes[np.sort(generator.choice(len(index), n_queries, replace=False))])
    queries = np.maximum(films * (1.0 + noise), 0.0).astype(np.float32)
    result: dict[str, object] = {"open_s": opened}
    for ranking in RANKINGS:
        times = []
        for query in queries:
            start = time.perf_counter()
            index.query(query, k=10, ranking=ranking)
            times.append(time.perf_counter() - start)
        warm = times[1:]
        result[ranking] = {
            "first_ms": 1e3 * times[0],
            "median_ms": 1e3 * float(np.median(warm)),
            "p99_ms": 1e3 * float(np.percentile(warm, 99)),
        }
    return result


def in_process(step: str, work: Path, *arguments: object) -> dict:
    """Run one step of this file in a fresh process and return what it prints."""
    command = [sys.executable, __file__, "--step", step, "--work", str(work), *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def markdown(record: dict) -> str:
    """The result as Markdown."""
    build, queries = record["builds"][0], record["queries"]
    lines = [
        f"# An index of {record['n']:,} codes of 1024 dimensions (simulated from the real NIH labels)",
        "",
        f"Built from codes, k = 50, {build['n_threads']} threads: **{build['seconds']:.1f} s**, "
        f"peak memory {build['peak_memory_gb']:.2f} GB, index on disk {build['index_mb']:.0f} MB, "
        f"{build['counts']['edges']:,} edges, {build['counts']['communities']} communities.",
        "",
        "| stage | seconds |",
        "|---|---|",
        *(f"| {stage} | {seconds:.2f} |" for stage, seconds in build["stages_s"].items()),
        "",
        f"Opened in a fresh process in {queries['open_s']:.3f} s. One query from a code, 10 hits, all processors:",
        "",
        "| ranking | median ms | 99 % ms | first query of the process, ms |",
        "|---|---|---|---|",
        *(
            f"| {name} | {queries[name]['median_ms']:.1f} | {queries[name]['p99_ms']:.1f} | {queries[name]['first_ms']:.0f} |"
            for name in RANKINGS
        ),
        "",
        f"Graph and partition hashes equal in builds with {', '.join(str(b['n_threads']) for b in record['builds'])} "
        f"threads: {'yes' if record['same_hashes'] else 'NO'}.",
        "",
        environment_line(record["environment"]),
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=112_120)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--work", type=Path, default=Path.home() / ".cache/graphret-benchmarks/build_index")
    parser.add_argument(
        "--threads", type=int, nargs="+", default=[2, 1], help="one build for each; the first is reported"
    )
    parser.add_argument("--step", choices=("build", "query"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step == "build":
        print(json.dumps(build_once(options.work, options.threads[0])))
        return
    if options.step == "query":
        print(json.dumps(query_once(options.work, options.queries)))
        return
    shutil.rmtree(options.work, ignore_errors=True)
    options.work.mkdir(parents=True)
    archive = simulate(options.n)
    np.save(options.work / "codes.npy", archive.codes)
    np.savez(options.work / "films.npz", ids=archive.ids, labels=archive.labels, patients=archive.patients)
    builds = []
    for n_threads in options.threads:
        builds.append(in_process("build", options.work, "--threads", n_threads))
        print(builds[-1], file=sys.stderr)
    hashes = {tuple(build["hashes"]) for build in builds}
    record = {
        "environment": environment(),
        "n": options.n,
        "builds": builds,
        "same_hashes": len(hashes) == 1,
        "queries": in_process("query", options.work, "--queries", options.queries),
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"build_index_{options.n}.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    (RESULTS / f"build_index_{options.n}.md").write_text(markdown(record), encoding="utf-8")
    print(markdown(record))


if __name__ == "__main__":
    main()
