"""One query, and a thousand: graphret complete (code to hits) beside Faiss HNSW, hnswlib, usearch and a flat index.

    python benchmarks/queries.py [--parts single batch growth memory] [--data d1 d2] [--n N] [--queries 10000]
    python benchmarks/queries.py --report          the tables again, from the rows on disk

single   one thread, one query at a time, 10 hits. Half of the queries choose each peer's ef (the smallest with a recall
         of 0.99 of the 10 nearest), the other half are timed, method after method in blocks of 100 in an order drawn anew.
         Ours is ``index.query``: checks, 50 edges of the query, ranking, ids; its recall is that of those 50.
batch    1,000 queries in one call, two threads, against Faiss's exhaustive IndexFlatIP; run by run.
growth   single queries of ours in 10,000 to 1,000,000 generated codes of 256 dimensions.
memory   resident memory of an open index beyond its memory-mapped codes, and the first query of a fresh process.

d1 is Fashion-MNIST with its test images as queries, d2 the simulated NIH codes with other exposures of its films. Indexes
are made once and kept in the work folder (minutes for each peer); times are never kept.
"""

from __future__ import annotations

import gzip
import random
import time
import uuid
from typing import TYPE_CHECKING, Any

import numpy as np
from benchmark_codes import FASHION, SIZES, codes_of, unit_rows
from environment import environment
from knn_graph import append, read_rows
from peers_search import PEERS, FaissFlat, Peer, installed
from queries_steps import WARM, latencies, run_step
from queries_tables import markdown, record_of
from record import parser_of, say, write_results
from simulated_codes import N_FILMS, simulate

import graphret
from graphret.graph import NearestSearch

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from pathlib import Path

HITS, EDGES, ENOUGH = 10, 50, 0.99
EFS = (10, 16, 24, 32, 48, 64, 80, 96, 112, 128, 144, 160, 176, 192, 208, 224, 256, 288, 320, 384, 448, 512, 768, 1024)
BLOCK = 100
SIZES_OF_GROWTH = (10_000, 30_000, 100_000, 300_000, 1_000_000)


def queries_of(data: str, n: int) -> np.ndarray:
    """Queries that are not in the archive, float32 (n, d)."""
    if data == "d1":
        with gzip.open(FASHION.with_name("t10k-images-idx3-ubyte.gz")) as file:
            return np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 784)[:n].astype(np.float32)
    return simulate(min(n, N_FILMS), exposure=1).codes


def index_of(data: str, codes: np.ndarray, options: argparse.Namespace) -> Any:
    """Our index, from the work folder if it was built before."""
    out = options.work / f"{data}-{len(codes)}"
    if not (out / "CURRENT").exists():
        say(f"{data}: building the index")
        graphret.build(codes, out=out, k=EDGES)
    return graphret.open(out)


def chosen_ef(peer: Peer, queries: np.ndarray, truth: np.ndarray) -> tuple[int, float]:
    """The smallest ef with enough recall, and its recall on these queries."""
    for ef in EFS:
        peer.set_ef(ef)
        recall = share_found(peer.search(queries, HITS), truth)
        if recall >= ENOUGH:
            break
    return ef, recall


def share_found(found: np.ndarray, truth: np.ndarray) -> float:
    """Share of the true neighbours that were found."""
    return float((truth[:, :, None] == found[:, None, :]).any(axis=2).mean())


def single(data: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Time single queries of every method, interleaved."""
    codes, queries = codes_of(data, options.n), queries_of(data, options.queries)
    truth = NearestSearch(codes).search(queries, EDGES).neighbors
    half = len(queries) // 2
    index, unit = index_of(data, codes, options), unit_rows(codes)
    unit_queries = unit_rows(queries)
    rows = {
        "graphret": {
            "title": "graphret, `index.query`",
            "recall": _recall_of_edges(index, queries[half:], truth[half:]),
        }
    }
    ask: dict[str, Callable[[int], object]] = {
        "graphret": lambda number: index.query(queries[number], HITS, n_threads=1)
    }
    for name in options.peers:
        if not installed(PEERS[name]):
            say(f"{name} is not installed, left out")
            continue
        say(f"{data}: {name}")
        peer = PEERS[name](unit, options.work / f"{data}-{len(codes)}.{name}")
        ef, chosen = chosen_ef(peer, unit_queries[:half], truth[:half, :HITS])
        recall = share_found(peer.search(unit_queries[half:], HITS), truth[half:, :HITS])
        rows[name] = {"title": PEERS[name].title, "ef": ef, "validation_recall": chosen, "recall": recall}
        ask[name] = lambda number, peer=peer: peer.search(unit_queries[number : number + 1], HITS)
    for name, run in ask.items():
        for number in range(min(WARM, half)):
            run(number)
        rows[name]["seconds"] = []
    draw = random.Random(0)
    for first in range(half, len(queries), BLOCK):
        for name in draw.sample([*ask], len(ask)):
            run = ask[name]
            for number in range(first, min(first + BLOCK, len(queries))):
                begun = time.perf_counter()
                run(number)
                rows[name]["seconds"].append(time.perf_counter() - begun)
    shared = {"data": data, "n": len(codes), "d": codes.shape[1], "search": index.manifest["search"]}
    out = []
    for name, row in rows.items():
        seconds = 1e6 * np.array(row.pop("seconds"))
        times = {f"{label}_us": float(np.percentile(seconds, at)) for label, at in (("median", 50), ("p99", 99))}
        out.append({**shared, "method": name, "n_queries": len(seconds), **row, **times})
        say(f"{data}, {name}: median {times['median_us']:.0f} us, recall {row['recall']:.4f}")
    for ranking in ("region_growing", "alpha_qe"):
        seconds = 1e6 * latencies(index, queries[half : half + 1000], ranking=ranking)
        times = {f"{label}_us": float(np.percentile(seconds, at)) for label, at in (("median", 50), ("p99", 99))}
        out.append({**shared, "method": f"graphret {ranking}", "title": f"graphret, `{ranking}`", **times})
        out[-1]["n_queries"] = len(seconds)
    return out


def _recall_of_edges(index: Any, queries: np.ndarray, truth: np.ndarray) -> float:
    """Recall of the 50 nearest, which are the query's edges."""
    return share_found(index.query(queries, EDGES).positions, truth)


def batch(data: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Time a batch of ours and of a flat index, one after the other, run by run."""
    codes, queries = codes_of(data, options.n), queries_of(data, min(options.queries, 1000))
    index, flat, unit = index_of(data, codes, options), FaissFlat(unit_rows(codes)), unit_rows(queries)
    rows = []
    for run in range(-1, options.runs):  # the first one warms
        begun = time.perf_counter()
        index.query(queries, HITS, n_threads=options.threads)
        ours = time.perf_counter() - begun
        begun = time.perf_counter()
        flat.search(unit, HITS, options.threads)
        theirs = time.perf_counter() - begun
        if run >= 0:
            about = {"data": data, "n": len(codes), "n_queries": len(queries), "threads": options.threads}
            rows.append({**about, "run": run, "ours_s": ours, "flat_s": theirs})
            say(f"{data}: {len(queries)} queries, ours {ours:.3f} s, flat {theirs:.3f} s")
    return rows


def growth(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Single queries of ours in archives of every size."""
    rows = []
    for n in options.sizes:
        arguments = {"n": n, "d": options.d, "k": EDGES, "n_queries": min(options.queries, 2000)}
        rows.append(run_step("grow", options.work, n_threads=options.threads, **arguments))
        say(f"{n:,} x {options.d}: median {rows[-1]['median_us']:.0f} us, recall {rows[-1]['recall']:.4f}")
    return rows


def memory(data: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Resident memory of an open index, for two rankings."""
    codes = codes_of(data, options.n)
    folder = index_of(data, codes, options).path
    file = options.work / f"{data}-queries.npy"
    np.save(file, queries_of(data, min(options.queries, 1000)))
    rankings = ("nearest", "region_growing")
    return [{"data": data, **run_step("memory", folder, ranking=name, queries=str(file))} for name in rankings]


def report(options: argparse.Namespace) -> str:
    """Write the record and its tables from the rows on disk."""
    rows = read_rows(options.results / f"{options.name}.jsonl")
    if not rows:
        raise SystemExit(f"there are no rows of {options.name} in {options.results}")
    record = record_of(rows)
    text = markdown(record)
    write_results(options.results, options.name, record, text)
    return text


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = parser_of(__doc__, work="queries")
    parts = ["single", "batch", "growth", "memory"]
    parser.add_argument("--parts", choices=parts, nargs="+", default=parts)
    parser.add_argument("--data", choices=["d1", "d2"], nargs="+", default=["d1", "d2"])
    parser.add_argument("--n", type=int, help="films of the archive; all by default")
    parser.add_argument("--queries", type=int, default=10_000, help="half of them choose ef, half are timed")
    parser.add_argument("--peers", choices=[*PEERS], nargs="*", default=[*PEERS])
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES_OF_GROWTH)
    parser.add_argument("--d", type=int, default=256, help="dimensions of the generated codes")
    parser.add_argument("--runs", type=int, default=7, help="of the batch")
    parser.add_argument("--threads", type=int, default=2, help="of the batch, and of building")
    parser.add_argument("--name", default="queries", help="name of the result files; give a trial run its own")
    parser.add_argument("--report", action="store_true", help="only write the tables again")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    options = parse(arguments)
    if not options.report:
        options.work.mkdir(parents=True, exist_ok=True)
        file: Path = options.results / f"{options.name}.jsonl"
        shared = {"session": uuid.uuid4().hex[:12]}
        append(file, {**shared, "part": "session", "environment": environment()})
        steps = {"single": single, "batch": batch, "memory": memory}
        for part in options.parts:
            sets = [None] if part == "growth" else [data for data in options.data if (options.n or 0) <= SIZES[data]]
            for data in sets:
                rows = growth(options) if data is None else steps[part](data, options)
                for row in rows:
                    append(file, {**shared, "part": part, **row})
            report(options)
    print(report(options))


if __name__ == "__main__":
    main()
