"""One query, and a thousand: graphret complete (code to hits) beside Faiss HNSW, hnswlib, usearch and a flat index.

    python benchmarks/queries.py --build-only [--data d1 d2] [--sizes N ...]     makes what is kept, times nothing
    python benchmarks/queries.py [--parts single batch growth memory first] [--data d1 d2] [--n N] [--sizes N ...]
    python benchmarks/queries.py --report          the tables again, from the rows on disk

single   one thread, one query at a time, 10 hits. Half of the queries choose each peer's ef (the smallest with a recall
         of 0.99 of the 10 nearest), its recall is that of the others. All are timed, method after method in blocks of 100
         in an order drawn anew. Ours is ``index.query``: checks, 50 edges of the query, ranking, ids; its recall is that
         of those 50.
batch    1,000 queries in one call, two threads, against Faiss's exhaustive IndexFlatIP; run by run. Then the same queries
         by one thread, by two, and alone: their hits must be equal.
growth   single queries of ours in 10,000 to 1,000,000 generated codes of 256 dimensions.
memory   resident memory of an open index after 1,000 queries, beyond its memory-mapped codes.
first    the first query of a fresh process.

d1 is Fashion-MNIST with its test images as queries, d2 the simulated NIH codes with other exposures of its films. Every
step has a process of its own and appends its row when it is done, so that a run which was stopped goes on with the parts
that are left. Indexes are made once and kept in the work folder (minutes for each peer); times are never kept.
"""

from __future__ import annotations

import os
import uuid
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from benchmark_codes import SIZES
from environment import environment
from peers_search import PEERS, installed
from queries_archive import Archive
from queries_steps import run
from queries_tables import markdown, record_of
from record import append, parser_of, say, write_report

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

DIMENSIONS = {"d1": 784, "d2": 1024}
SIZES_OF_GROWTH = (10_000, 30_000, 100_000, 300_000, 1_000_000)
QUERIES_OF_GROWTH = 2_000
RANKINGS = ("nearest", "region_growing")


def archives(options: argparse.Namespace) -> list[Archive]:
    """The archives of real and simulated films."""
    shared = {"n_queries": options.queries, "work": str(options.work), "threads": options.threads}
    return [Archive(data, options.n or SIZES[data], DIMENSIONS[data], **shared) for data in options.data]


def generated_archives(options: argparse.Namespace) -> list[Archive]:
    """The archives of growing size."""
    n_queries = min(options.queries, QUERIES_OF_GROWTH)
    shared = {"n_queries": n_queries, "work": str(options.work), "threads": options.threads}
    return [Archive("generated", n, options.d, **shared) for n in options.sizes]


def steps(part: str, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Run the steps of a part, one process each."""
    for archive in generated_archives(options) if part == "growth" else archives(options):
        described = {"archive": asdict(archive)}
        about = {"data": archive.data, "n": archive.n, "d": archive.d}
        if part == "single":
            yield about | run(part, **described, peers=options.peers)
        elif part == "batch":
            yield about | run(part, threads=options.threads, **described, runs=options.runs)
        elif part == "growth":
            yield about | run(part, **described)
        elif part == "memory":
            yield about | {"rankings": [run(part, **described, ranking=ranking) for ranking in RANKINGS]}
        else:
            runs = [run(part, **described, ranking=ranking) for _ in range(options.runs) for ranking in RANKINGS]
            yield about | {"runs": runs}


def prepare(options: argparse.Namespace) -> None:
    """Make indexes, queries and truth, one archive and one peer at a time."""
    wanted = [(archive, peer) for archive in archives(options) for peer in [None, *options.peers]]
    wanted += [(archive, None) for archive in generated_archives(options)]
    for archive, peer in wanted:
        peers = [] if peer is None else [peer]
        made = run("prepare", threads=options.threads, archive=asdict(archive), peers=peers)
        say(f"{archive.folder.name}: {made['peers'] or made['search']}")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = parser_of(__doc__, work="queries")
    parts = ["single", "batch", "growth", "memory", "first"]
    parser.add_argument("--parts", choices=parts, nargs="+", default=parts)
    parser.add_argument("--data", choices=[*DIMENSIONS], nargs="*", default=[*DIMENSIONS])
    parser.add_argument("--n", type=int, help="films of the archive; all by default")
    parser.add_argument("--queries", type=int, default=10_000)
    parser.add_argument("--peers", choices=[*PEERS], nargs="*", default=[*PEERS])
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES_OF_GROWTH)
    parser.add_argument("--d", type=int, default=256, help="dimensions of the generated codes")
    parser.add_argument("--runs", type=int, default=7, help="of the batch, and of first queries")
    parser.add_argument("--threads", type=int, default=2, help="of the batch, and of building")
    parser.add_argument("--name", default="queries", help="name of the result files; give a trial run its own")
    parser.add_argument("--build-only", action="store_true", help="only make the indexes, with the queries and their truth")  # fmt: skip
    parser.add_argument("--report", action="store_true", help="only write the tables again")
    options = parser.parse_args(arguments)
    missing = [name for name in options.peers if not installed(PEERS[name])]
    for name in missing:
        say(f"{name} is not installed, left out")
    options.peers = [name for name in options.peers if name not in missing]
    return options


def main(arguments: list[str] | None = None) -> None:
    options = parse(arguments)
    options.work.mkdir(parents=True, exist_ok=True)
    if options.build_only:
        prepare(options)
        return
    if not options.report:
        file = options.results / f"{options.name}.jsonl"
        shared = {"session": uuid.uuid4().hex[:12]}
        os.environ["OMP_NUM_THREADS"] = str(options.threads)  # so that the environment line says them
        append(file, {**shared, "part": "session", "environment": environment()})
        for part in options.parts:
            for row in steps(part, options):
                append(file, {**shared, "part": part, **row})
                say(f"{part}: {row['data']}, {row['n']:,} films")
            write_report(options, record_of, markdown)
    print(write_report(options, record_of, markdown))


if __name__ == "__main__":
    main()
