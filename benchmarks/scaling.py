"""Growth: communities to 1,000,000 nodes and 30,000,000 edges, kNN graphs to 300,000 x 256; exponents, and what follows.

    python benchmarks/scaling.py [--parts communities neighbors] [--budget-minutes 60]
    python benchmarks/scaling.py --report          the tables again, from the rows on disk (and communities.json)

Communities are found in planted graphs (`planted_graph.py`), kNN tables are made of generated codes
(`benchmark_codes.generated`). Every size has a process of its own, so that its peak memory is its own. A size whose
predicted time (from the size before, at the power that the method may grow with) does not fit into what is left of the
budget is run fewer times, or skipped, and the table says so. ``docs/scaling.md`` explains what follows for 10 and 100
million films; the figures are computed here, in results/scaling.md.
"""

from __future__ import annotations

import shutil
import statistics
import time
import uuid
from typing import TYPE_CHECKING, Any

from communities_process import measure_in_process
from environment import environment
from peers_communities import parallel_method
from record import append, parser_of, read_rows, say, write_results
from scaling_steps import run_step
from scaling_tables import markdown, record_of

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

NODES = (10_000, 30_000, 100_000, 300_000, 1_000_000)
FILMS = (10_000, 30_000, 100_000, 300_000)
POWER = {"exact": 2.0, "approximate": 2.0, "auto": 2.0}
"""What a prediction assumes of a method; an approximate one that scans all codes grows as fast."""


def scale_communities(options: argparse.Namespace, shared: dict[str, Any], file: Path) -> None:
    """Communities of planted graphs of every size, by every method of ours."""
    parallel = parallel_method()
    methods = [("louvain", 1), *([(parallel, 2)] if parallel else [])]
    for n in options.nodes:
        folder = options.work / f"planted-{n}"
        about = run_step("plant", folder, n=n, edges_per_node=options.edges_per_node)
        try:
            for method, threads in methods:
                seeds = list(range(options.runs))
                measured = measure_in_process(folder, method=method, n_starts=1, n_threads=threads, seeds=seeds)
                row = {"part": "communities", "method": method, "threads": threads, **about, **measured}
                append(file, {**shared, **row})
                seconds = statistics.median(run["seconds"] for run in measured["runs"])
                say(f"{n:,} nodes, {measured['n_edges']:,} edges, {method}: {seconds:.3f} s")
        finally:
            shutil.rmtree(folder)


def scale_neighbors(options: argparse.Namespace, shared: dict[str, Any], file: Path) -> None:
    """kNN tables of every size, by every method, within the budget."""
    ends = time.monotonic() + 60.0 * options.budget_minutes
    before: dict[str, tuple[int, float]] = {}
    for n in options.films:
        for method in options.methods:
            row = {"part": "neighbors", "method": method, "n": n, "d": options.d, "k": options.k}
            row["threads"] = options.threads
            predicted = before[method][1] * (n / before[method][0]) ** POWER[method] if method in before else 0.0
            left = ends - time.monotonic()
            runs = options.runs if predicted == 0 else min(options.runs, int(left / predicted))
            if runs < 1 or left <= 0:
                append(file, {**shared, **row, "skipped": True, "predicted_seconds": predicted})
                say(f"{n:,} codes, {method}: skipped, {predicted:.0f} s are predicted and {max(left, 0):.0f} s left")
                continue
            arguments = {"n": n, "d": options.d, "k": options.k, "method": method, "runs": runs}
            measured = run_step("neighbors", options.work / "neighbors", n_threads=options.threads, **arguments)
            append(file, {**shared, **row, "skipped": False, **measured})
            seconds = statistics.median(run["seconds"] for run in measured["runs"])
            before[method] = (n, seconds)
            say(f"{n:,} codes, {method}: {seconds:.2f} s, recall {measured['runs'][0]['recall']:.5f}")


PARTS = {"communities": scale_communities, "neighbors": scale_neighbors}


def report(options: argparse.Namespace) -> str:
    """Write the record and its tables from the rows on disk."""
    rows = read_rows(options.results / f"{options.name}.jsonl")
    if all(row["part"] == "session" for row in rows):
        raise SystemExit(f"nothing is measured yet in {options.results / options.name}.jsonl: run without --report")
    record = record_of(rows, options.results)
    text = markdown(record)
    write_results(options.results, options.name, record, text)
    return text


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = parser_of(__doc__, work="scaling")
    parser.add_argument("--parts", choices=[*PARTS], nargs="+", default=[*PARTS])
    parser.add_argument("--nodes", type=int, nargs="+", default=NODES, help="sizes of the planted graphs")
    parser.add_argument("--edges-per-node", type=float, default=30.0)
    parser.add_argument("--films", type=int, nargs="+", default=FILMS, help="numbers of generated codes")
    parser.add_argument("--d", type=int, default=256)
    parser.add_argument("--k", type=int, default=50)
    parser.add_argument("--methods", choices=[*POWER], nargs="+", default=["exact", "approximate"])
    parser.add_argument("--threads", type=int, default=2, help="threads of the kNN tables")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--budget-minutes", type=float, default=60.0, help="for the kNN tables")
    parser.add_argument("--name", default="scaling", help="name of the result files; give a trial run its own")
    parser.add_argument("--report", action="store_true", help="only write the tables again")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    options = parse(arguments)
    if not options.report:
        shared = {"session": uuid.uuid4().hex[:12]}
        file = options.results / f"{options.name}.jsonl"
        append(file, {**shared, "part": "session", "environment": environment()})
        for part in options.parts:
            PARTS[part](options, shared, file)
            report(options)
    print(report(options))


if __name__ == "__main__":
    main()
