"""The first call of a fresh process, Numba's cache warm: seconds from the start of the process.

    python benchmarks/first_call.py [--runs 5]

Every step has a process of its own, which says its times by a clock that both processes share. The steps take turns.
Numba's cache is warmed by one run of every step before; the index is made once, before them, from simulated numbers.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

STEPS = {
    "import graphret": "",
    "nearest_neighbors": """
from graphret.neighbors import nearest_neighbors
codes = numpy.load(folder + "/codes.npy")
said("imports")
nearest_neighbors(codes, 10)
""",
    "louvain": """
from graphret.communities import louvain
from graphret.graph import Graph
import scipy.sparse
graph = Graph.from_scipy(scipy.sparse.load_npz(folder + "/graph.npz"))
said("imports")
louvain(graph)
""",
    "open and one query": """
index = graphret.open(folder + "/index")
codes = numpy.load(folder + "/codes.npy")
said("imports")
index.query(codes[0], 10)
""",
}
"""What a process does; the time of its last line counts, that of its imports (and of opening) is said beside it."""

_FRAME = """
import json, sys, time
began = time.monotonic()
times = {}
def said(what):
    times[what] = time.monotonic()
folder = sys.argv[1]
import graphret
%s
said("done")
print(json.dumps({"began": began, **times}))
"""


def prepare(folder: Path, n: int) -> None:
    """Write codes, their graph and an index."""
    import numpy as np
    import scipy.sparse

    import graphret
    from graphret.graph import similarity_graph
    from graphret.neighbors import nearest_neighbors

    rng = np.random.default_rng(0)
    codes = (rng.normal(size=(20, 64))[rng.integers(0, 20, n)] + rng.normal(size=(n, 64))).astype(np.float32)
    np.save(folder / "codes.npy", codes)
    graph = similarity_graph(nearest_neighbors(codes, 10))
    scipy.sparse.save_npz(folder / "graph.npz", graph.to_scipy())
    graphret.build(codes, out=folder / "index", k=10)


def run_once(step: str, folder: Path) -> dict[str, float]:
    """Seconds of a fresh process: to its first line, to the end of its imports, to its result, to its end."""
    body = STEPS[step]
    program = _FRAME % (("import numpy" + body) if body else "")
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder)], capture_output=True, text=True, check=False, env=os.environ
    )
    stop = time.monotonic()
    if done.returncode:
        raise SystemExit(f"{step} failed: {done.stderr[-2000:]}")
    times = json.loads(done.stdout)
    imports = times.get("imports", times["done"])
    return {
        "interpreter_s": times["began"] - start,
        "imports_s": imports - times["began"],
        "call_s": times["done"] - imports,
        "total_s": times["done"] - start,
        "process_s": stop - start,
    }


def markdown(record: dict[str, Any]) -> str:
    """The result as Markdown."""
    from environment import environment_line
    from record import limits_table, spread

    rows = record["steps"]
    limits = [
        (f"{step}, seconds from the start of the process", statistics.median(run["total_s"] for run in runs), "<", 2.0)
        for step, runs in rows.items()
    ]
    lines = [
        f"# First call in a fresh process, Numba's cache warm ({record['n']:,} codes of 64 dimensions)",
        "",
        f"{record['runs']} runs in turns: median (smallest to largest), seconds. The aim is 0.3.",
        "",
        *limits_table(limits),
        "",
        "| step | interpreter | imports, reading its input | the call itself | from start to result |",
        "|---|---|---|---|---|",
    ]
    for step, runs in rows.items():
        cells = [spread([run[key] for run in runs], 2) for key in ("interpreter_s", "imports_s", "call_s", "total_s")]
        lines.append(f"| {step} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", environment_line(record["environment"]), ""])


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    from record import parser_of

    parser = parser_of(__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--n", type=int, default=1000)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    from environment import environment
    from record import append, say, write_results

    options = parse(arguments)
    record: dict[str, Any] = {"environment": environment(), "n": options.n, "runs": options.runs}
    folder = Path(tempfile.mkdtemp())
    try:
        prepare(folder, options.n)
        for step in STEPS:
            run_once(step, folder)
        steps: dict[str, list[dict[str, float]]] = {step: [] for step in STEPS}
        for run in range(options.runs):
            for step, runs in steps.items():
                runs.append(run_once(step, folder))
            say(f"run {run + 1}: " + ", ".join(f"{step} {runs[-1]['total_s']:.2f} s" for step, runs in steps.items()))
    finally:
        shutil.rmtree(folder)
    record["steps"] = steps
    append(options.results / "first_call.jsonl", record)
    write_results(options.results, "first_call", record, markdown(record))
    print(markdown(record))


if __name__ == "__main__":
    main()
