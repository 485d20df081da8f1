"""The speed of this checkout beside that of another one, in alternating processes: did a change cost anything?

    python benchmarks/before_after.py OTHER_CHECKOUT [--n 40000] [--runs 3] [--steps exact approximate ...]

Steps, on simulated NIH codes (n x 1024, k = 50): the kNN graph, exact and approximate, two threads; Louvain on both
objectives, one thread; an index from codes to disk; 1,000 single queries of that index, one thread, by two rankings.
A process imports one checkout, calls the step once on a few codes (kernels are compiled or read), then times it.
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from environment import environment, environment_line
from record import parser_of, say, write_results

if TYPE_CHECKING:
    import argparse

HERE = Path(__file__).resolve()
STEPS = ("exact", "approximate", "communities", "build", "queries")
WARM = 3000
K = 50


def knn(codes: np.ndarray, method: str) -> Any:
    try:
        room = importlib.import_module("graphret.neighbors")
    except ImportError:  # checkouts from before there was that room
        room = importlib.import_module("graphret.graph")
    return room.nearest_neighbors(codes, K, method=method, n_threads=2)


def timed(run: Any, *arguments: Any) -> float:
    started = time.perf_counter()
    run(*arguments)
    return time.perf_counter() - started


def neighbors(codes: np.ndarray, method: str) -> dict[str, float]:
    knn(codes[: 2 * WARM], method)
    return {f"kNN graph, {method}, s": timed(knn, codes, method)}


def communities(codes: np.ndarray) -> dict[str, float]:
    from graphret.communities import louvain
    from graphret.graph import similarity_graph

    graph = similarity_graph(knn(codes, "exact"))
    small = similarity_graph(knn(codes[:WARM], "exact"))
    one_start = (
        {"n_starts": 1} if "n_starts" in inspect.signature(louvain).parameters else {}
    )  # older ones have no other
    found = {}
    for objective in ("modularity", "weighted_modularity"):
        settings = {"objective": objective, **one_start}
        louvain(small, **settings)
        runs = [timed(lambda seed, s=settings: louvain(graph, seed=seed, **s), seed) for seed in range(5)]
        found[f"Louvain, {objective}, median of 5 seeds, s"] = statistics.median(runs)
    return found


def build(codes: np.ndarray, work: Path) -> dict[str, float]:
    import graphret

    for folder in ("small", "index"):
        shutil.rmtree(work / folder, ignore_errors=True)
    graphret.build(codes[:WARM], out=work / "small", k=K)
    return {"index of codes, s": timed(lambda: graphret.build(codes, out=work / "index", k=K))}


def queries(codes: np.ndarray, work: Path) -> dict[str, float]:
    import graphret

    if not (work / "index" / "CURRENT").exists():
        graphret.build(codes, out=work / "index", k=K)
    index = graphret.open(work / "index")
    random = np.random.default_rng(0)
    asked = codes[random.integers(len(codes), size=1000)] + 0.05 * random.random((1000, codes.shape[1])).astype(
        np.float32
    )
    found = {}
    for ranking in ("nearest", "region_growing"):
        for code in asked[:20]:
            index.query(code, 10, ranking=ranking, n_threads=1)
        times = [timed(lambda c, r=ranking: index.query(c, 10, ranking=r, n_threads=1), code) for code in asked]
        found[f"query, {ranking}, median of 1,000, ms"] = 1000 * statistics.median(times)
    return found


def step(name: str, file: Path, work: Path) -> dict[str, float]:
    codes = np.load(file, mmap_mode=None, allow_pickle=False)
    if name in {"exact", "approximate"}:
        return neighbors(codes, name)
    return communities(codes) if name == "communities" else {"build": build, "queries": queries}[name](codes, work)


def child(name: str, checkout: Path, file: Path, work: Path) -> dict[str, float]:
    """Run a step in a process of its own, on the package of a checkout."""
    work.mkdir(parents=True, exist_ok=True)
    paths = [str(checkout), str(HERE.parent)]
    done = subprocess.run(
        [sys.executable, str(HERE), "--child", name, str(file), str(work)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        cwd=work,
    )
    if done.returncode:
        raise SystemExit(f"{name} failed in {checkout.name}: {done.stderr[-2000:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main(arguments: list[str] | None = None) -> None:
    parser = parser_of(__doc__, work="before-after")
    parser.add_argument("other", type=Path, help="a checkout to compare with")
    parser.add_argument("--n", type=int, default=40_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=list(STEPS))
    options = parser.parse_args(arguments)
    found = environment()
    file = _codes(options)
    checkouts = {"before": options.other.resolve(), "after": HERE.parents[1]}
    runs: dict[str, dict[str, list[float]]] = {"before": {}, "after": {}}
    for name in options.steps:
        for number in range(options.runs):
            for side in sorted(checkouts, reverse=number % 2 == 0):
                for what, value in child(name, checkouts[side], file, options.work / side).items():
                    runs[side].setdefault(what, []).append(value)
                    say(f"{side}: {what} {value:.3f}")
    record = {"environment": found, "n": options.n, "runs": runs, "other": _commit_of(options.other)}
    write_results(options.results, "before_after", record, _report(record))


def _codes(options: argparse.Namespace) -> Path:
    from simulated_codes import simulate

    file: Path = options.work / f"codes-{options.n}.npy"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(file, simulate(options.n).codes)
    return file


def _commit_of(checkout: Path) -> str:
    done = subprocess.run(
        ["git", "-C", str(checkout), "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"


def _report(record: dict[str, Any]) -> str:
    runs = record["runs"]
    lines = [
        "# Speed before and after",
        "",
        f"{record['n']:,} simulated NIH codes x 1024, k = {K}. Alternating processes of two checkouts: before is commit "
        f"{record['other']}, after is this one. Medians of the runs, and the ratio of these.",
        "",
        environment_line(record["environment"]),
        "",
        "| what | before | after | after / before | runs |",
        "|---|---|---|---|---|",
    ]
    for what, after in runs["after"].items():
        before = statistics.median(runs["before"][what])
        now = statistics.median(after)
        lines.append(f"| {what} | {before:.3f} | {now:.3f} | {now / before:.2f} | {len(after)} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    if "--child" in sys.argv[1:2]:
        print(json.dumps(step(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))))
    else:
        main()
