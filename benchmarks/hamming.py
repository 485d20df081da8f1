"""Hamming search beside Faiss's IndexBinaryFlat, and the shallow hashers beside the matrix products of their size.

    python benchmarks/hamming.py [--parts search encode] [--bits 64] [--threads 1 2] [--n 1000000] [--runs 5]
    python benchmarks/hamming.py --report          the tables again, from the rows on disk

search   random codes; a batch of queries and single queries, 10 hits and 100. Ours is `HammingSearch.search`, with its
         checks; both searched the same codes, and their distances must agree. The two take turns, run by run.
encode   `Hasher.transform` of codes (n, d): from float32 codes to packed bits. Beside it the product of its size into a
         buffer that is there already: (n, d) x (d, bits); for KSH the two products (n, d) x (d, 300) x (300, bits).
         Each on one thread, turn by turn; the ratio is that of the product over ours, run by run.

Rows are appended to results/hamming.jsonl, the tables are made of the last session of every case.
"""

from __future__ import annotations

import time
import uuid
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from environment import environment
from hamming_tables import markdown, record_of
from record import append, parser_of, say, write_report
from threadpoolctl import threadpool_limits

from graphret.hashing import HammingSearch, create_hasher, list_hashers

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from pathlib import Path

BATCH, SINGLE = 1000, 50
ANCHORS = 300
QUICK = {
    "itq": {"n_iterations": 1},
    "ksh": {"n_iterations": 1},
    "mlh": {"n_iterations": 1},
    "ssh": {"method": "orthogonal"},
}
"""Options that fit quickly: how long encoding takes does not depend on them."""


def race(ours: Callable[[], object], theirs: Callable[[], object], runs: int) -> tuple[list[float], list[float]]:
    """Seconds of both, run after run in turns; the first turn warms and does not count."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for run in range(runs + 1):
        for side, call in enumerate((ours, theirs)):
            begun = time.perf_counter()
            call()
            if run:
                seconds[side].append(time.perf_counter() - begun)
    return seconds


def search(bits: int, threads: int, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Race a batch and single queries, in one call each."""
    import faiss

    generator = np.random.default_rng(bits)
    database = generator.integers(0, 256, (options.n, bits // 8), dtype=np.uint8)
    queries = generator.integers(0, 256, (BATCH, bits // 8), dtype=np.uint8)
    ours, theirs = HammingSearch(database), faiss.IndexBinaryFlat(bits)
    theirs.add(database)
    faiss.omp_set_num_threads(threads)
    rows = []
    for hits in options.hits:
        found, distances = ours.search(queries[:20], hits, n_threads=threads), theirs.search(queries[:20], hits)[0]
        if not np.array_equal(found[1], distances):
            raise SystemExit(f"{bits} bits: the distances of Faiss are others")
        about = {"bits": bits, "n": options.n, "hits": hits, "threads": threads}
        for queries_a_call, calls in ((BATCH, 1), (1, SINGLE)):
            batches = [
                queries[first : first + queries_a_call] for first in range(0, calls * queries_a_call, queries_a_call)
            ]
            seconds = race(
                lambda batches=batches, hits=hits: [ours.search(batch, hits, n_threads=threads) for batch in batches],
                lambda batches=batches, hits=hits: [theirs.search(batch, hits) for batch in batches],
                options.runs,
            )
            rows.append(
                {**about, "queries": queries_a_call, "calls": calls, "ours_s": seconds[0], "faiss_s": seconds[1]}
            )
            best = [1e3 * min(side) / calls for side in seconds]
            say(
                f"{bits} bits, {threads} threads, {queries_a_call} queries, {hits} hits: {best[0]:.2f} ms, Faiss {best[1]:.2f} ms"
            )
    return rows


def encode(name: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Race a hasher and its product on one thread."""
    generator = np.random.default_rng(0)
    n, d, bits = options.rows, options.d, options.code_bits
    codes = np.maximum(generator.standard_normal((n, d), dtype=np.float32) + 0.5, 0)
    hasher = create_hasher(name, bits, **QUICK.get(name, {}))
    sample = codes[:3000]
    hasher.fit(sample, generator.integers(0, 10, len(sample)) if hasher.needs_labels else None)
    widths = [d, ANCHORS, bits] if name == "ksh" else [d, bits]
    factors = [generator.standard_normal(shape, dtype=np.float32) for shape in pairwise(widths)]
    buffers = [np.empty((n, width), np.float32) for width in widths[1:]]

    def product() -> None:
        left = codes
        for factor, out in zip(factors, buffers, strict=True):
            np.matmul(left, factor, out=out)
            left = out

    with threadpool_limits(1, user_api="blas"):
        ours, theirs = race(lambda: hasher.transform(codes), product, options.runs)
    say(f"{name}: {min(ours):.3f} s, its product {min(theirs):.3f} s")
    about = {"hasher": name, "n": n, "d": d, "bits": bits, "threads": 1, "anchors": ANCHORS if name == "ksh" else None}
    return [{**about, "ours_s": ours, "product_s": theirs}]


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = parser_of(__doc__)
    parser.add_argument("--parts", choices=["search", "encode"], nargs="+", default=["search", "encode"])
    parser.add_argument("--bits", type=int, nargs="+", default=[64, 32, 128], help="of the search")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="of the search")
    parser.add_argument("--n", type=int, default=1_000_000, help="codes that are searched")
    parser.add_argument("--hits", type=int, nargs="+", default=[10, 100])
    parser.add_argument("--hashers", choices=list_hashers(), nargs="+", default=list_hashers())
    parser.add_argument("--rows", type=int, default=50_000, help="codes that are encoded")
    parser.add_argument("--d", type=int, default=1024)
    parser.add_argument("--code-bits", type=int, default=64)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--name", default="hamming", help="name of the result files; give a trial run its own")
    parser.add_argument("--report", action="store_true", help="only write the tables again")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    options = parse(arguments)
    if not options.report:
        file: Path = options.results / f"{options.name}.jsonl"
        shared = {"session": uuid.uuid4().hex[:12]}
        append(file, {**shared, "part": "session", "environment": environment()})
        if "search" in options.parts:
            for bits in options.bits:
                for threads in options.threads:
                    for row in search(bits, threads, options):
                        append(file, {**shared, "part": "search", **row})
        if "encode" in options.parts:
            for name in options.hashers:
                for row in encode(name, options):
                    append(file, {**shared, "part": "encode", **row})
    print(write_report(options, record_of, markdown))


if __name__ == "__main__":
    main()
