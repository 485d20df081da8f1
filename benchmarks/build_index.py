"""An index of a whole NIH archive (112,120 codes of 1024 dimensions, simulated): time, memory, opening, queries.

    python benchmarks/build_index.py [--n 112120] [--queries 200] [--threads 2]

Simulation, building and querying run in processes of their own, so that every figure is of that step alone. The codes
are kept in the work folder; nothing that is timed is. A run of another size writes build_index_N, not build_index.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
from environment import environment, environment_line
from index_steps import RANKINGS, run_step
from record import limits_table, parser_of, say, write_results
from simulated_codes import N_FILMS

if TYPE_CHECKING:
    from pathlib import Path


def prepare(work: Path, n: int, n_queries: int) -> None:
    """Simulate codes and queries, if they are not there from an earlier run."""
    wanted = {"codes.npy": n, "queries.npy": min(n, n_queries)}
    try:
        found = {name: len(np.load(work / name, mmap_mode="r", allow_pickle=False)) for name in wanted}
    except (OSError, ValueError):  # absent, or cut short
        found = {}
    if found == wanted:
        say(f"using the codes in {work}")
        return
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    run_step("simulate", work, n=n, n_queries=n_queries)


def limits_of(build: dict[str, Any], queries: dict[str, Any]) -> list[tuple[str, float, str, float]]:
    """What an index of this size must keep to on two cores."""
    default = queries["threads"]["all"][queries["default_ranking"]]
    grown = queries["threads"]["all"]["region_growing"]
    return [
        ("build, seconds", build["seconds"], "<", 90),
        ("build, peak memory in GB", build["peak_memory_gb"], "<", 6),
        ("open in a fresh process, seconds", queries["open_s"], "<", 1),
        (f"one query, `{queries['default_ranking']}` (default), median ms", default["median_ms"], "<", 30),
        (f"one query, `{queries['default_ranking']}` (default), 99 % ms", default["p99_ms"], "<", 30),
        ("one query, `region_growing`, median ms", grown["median_ms"], "<", 30),
        ("one query, `region_growing`, 99 % ms", grown["p99_ms"], "<", 30),
    ]


def markdown(record: dict[str, Any]) -> str:
    """The result as Markdown."""
    build, queries = record["build"], record["queries"]
    lines = [
        f"# An index of {record['n']:,} codes of 1024 dimensions (simulated from the real NIH labels)",
        "",
        f"Built from codes in memory, k = {build['parameters']['k']}, {build['n_threads']} threads: "
        f"**{build['seconds']:.1f} s**, peak memory {build['peak_memory_gb']:.2f} GB (codes and libraries included), "
        f"index on disk {build['index_mb']:.0f} MB, {build['counts']['edges']:,} edges, "
        f"{build['counts']['communities']} communities.",
        "",
        *limits_table(limits_of(build, queries)),
        "",
        "| stage | seconds |",
        "|---|---|",
        *(f"| {stage} | {seconds:.2f} |" for stage, seconds in build["stages_s"].items()),
        "",
        "The time before the first report (checks, and the hash of the codes) counts to the first stage.",
        "",
        f"A fresh process opens the index in {queries['open_s']:.3f} s, answers its first query after further "
        f"{queries['first_query_s']:.2f} s, and needs {queries['import_to_first_hits_s']:.2f} s from its first import to these "
        f"hits (files in the page cache); peak memory {queries['peak_memory_gb']:.2f} GB, mapped codes included.",
        "",
        f"Single queries from codes that are not in the index, 10 hits, {queries['n_queries']} queries:",
        "",
        "| ranking | threads | median ms | 99 % ms | first ms |",
        "|---|---|---|---|---|",
    ]
    for threads, by_ranking in queries["threads"].items():
        for name in RANKINGS:
            cells = " | ".join(f"{by_ranking[name][key]:.1f}" for key in ("median_ms", "p99_ms", "first_ms"))
            default = " (default)" if name == queries["default_ranking"] else ""
            lines.append(f"| {name}{default} | {threads} | {cells} |")
    return "\n".join([*lines, "", environment_line(record["environment"]), ""])


def main() -> None:
    parser = parser_of(__doc__, work="build_index")
    parser.add_argument("--n", type=int, default=N_FILMS)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    record: dict[str, Any] = {"environment": environment(), "n": options.n}
    prepare(options.work, options.n, options.queries)
    shutil.rmtree(options.work / "index", ignore_errors=True)
    record["build"] = run_step("build", options.work, n_threads=options.threads, seed=0, name="index")
    record["queries"] = run_step("query", options.work, name="index")
    shutil.rmtree(options.work / "index")
    name = "build_index" if options.n == N_FILMS else f"build_index_{options.n}"
    write_results(options.results, name, record, markdown(record))
    print(markdown(record))


if __name__ == "__main__":
    main()
