"""The steps of `queries.py`, each in a process of its own: what is made beforehand, and what is timed."""

from __future__ import annotations

import json
import os
import random
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

PROCESS_START = time.perf_counter()

import numpy as np  # noqa: E402  the time of the imports is part of what is measured
from communities_process import process_result  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

    from queries_archive import Archive

WARM, BLOCK = 50, 100
OURS = "graphret"


def prepare(archive: Archive, *, peers: list[str]) -> dict[str, Any]:
    """Make our index, the queries and their true neighbours, and the indexes of the peers."""
    found = archive.index()
    archive.queries()
    archive.truth()
    return {"search": found.manifest["search"], "peers": {name: archive.peer(name)[1] for name in peers}}


def single(archive: Archive, *, peers: list[str]) -> dict[str, Any]:
    """Time single queries by one thread, method after method in blocks, in an order drawn anew for each block."""
    from peers_search import PEERS
    from queries_archive import CHOSEN_BY, EDGES, HITS

    index, queries, truth = archive.index(), archive.queries(), archive.truth()
    ask: dict[str, Callable[[int], object]] = {OURS: lambda number: index.query(queries[number], HITS, n_threads=1)}
    about: dict[str, dict[str, Any]] = {OURS: {"title": "graphret, `index.query`"}}
    if peers:
        from benchmark_codes import unit_rows

        unit = unit_rows(queries)
    for name in peers:
        peer, chosen = archive.peer(name)
        about[name] = {"title": PEERS[name].title, **chosen}
        ask[name] = lambda number, peer=peer: peer.search(unit[number : number + 1], HITS)
    seconds = interleaved(ask, len(queries))
    part = int(CHOSEN_BY * len(queries))
    hits = index.query(queries[part:], EDGES, n_threads=1)
    counts = {name: float(getattr(hits.counts, name).mean()) for name in ("compared", "visited", "rescored")}
    about[OURS] |= {"recall": share_of(hits.positions, truth[part:]), **counts}
    rows = [{"method": name, "n_queries": len(queries), **about[name], **times_of(seconds[name])} for name in ask]
    for ranking in ("region_growing", "alpha_qe"):
        title = f"graphret, ranking `{ranking}`"
        some = latencies(index, queries[:1000], ranking=ranking)
        rows.append({"method": f"{OURS} {ranking}", "title": title, "n_queries": len(some), **times_of(some)})
    return {"search": index.manifest["search"], "methods": rows}


def interleaved(ask: dict[str, Callable[[int], object]], n_queries: int) -> dict[str, np.ndarray]:
    """Seconds of every query by every method."""
    for run in ask.values():
        for number in range(min(WARM, n_queries)):
            run(number)
    draw = random.Random(0)
    seconds = {name: np.empty(n_queries) for name in ask}
    for first in range(0, n_queries, BLOCK):
        for name in draw.sample([*ask], len(ask)):
            run = ask[name]
            for number in range(first, min(first + BLOCK, n_queries)):
                begun = time.perf_counter()
                run(number)
                seconds[name][number] = time.perf_counter() - begun
    return seconds


def latencies(index: Any, queries: np.ndarray, **options: Any) -> np.ndarray:
    """Seconds of single queries of ours by one thread, from the code to the hits."""
    ask = {OURS: lambda number: index.query(queries[number], 10, n_threads=1, **options)}
    return interleaved(ask, len(queries))[OURS]


def times_of(seconds: np.ndarray) -> dict[str, float]:
    """Median and 99th percentile in microseconds."""
    return {f"{name}_us": 1e6 * float(np.percentile(seconds, at)) for name, at in (("median", 50), ("p99", 99))}


def share_of(found: np.ndarray, truth: np.ndarray) -> float:
    """Share of the true neighbours that were found."""
    from queries_archive import share_found

    return share_found(found, truth)


def batch(archive: Archive, *, runs: int) -> dict[str, Any]:
    """Time a batch of ours and of Faiss's flat index, run by run; then compare hits however they were asked for."""
    from benchmark_codes import unit_rows
    from peers_search import FaissFlat
    from queries_archive import EDGES, HITS

    index, queries = archive.index(), archive.queries()[:1000]
    flat, unit = FaissFlat(unit_rows(archive.codes())), unit_rows(queries)
    seconds = []
    for _run in range(runs + 1):  # the first one warms
        begun = time.perf_counter()
        index.query(queries, HITS, n_threads=archive.threads)
        between = time.perf_counter()
        flat.search(unit, HITS, archive.threads)
        seconds.append((between - begun, time.perf_counter() - between))
    recall = share_of(index.query(queries, EDGES).positions, archive.truth()[: len(queries)])
    rows = [{"run": run, "ours_s": ours, "flat_s": theirs} for run, (ours, theirs) in enumerate(seconds[1:])]
    rankings = ("nearest", "region_growing", "alpha_qe", "diffusion")
    unequal = {ranking: unequal_queries(index, queries[:300], ranking) for ranking in rankings}
    return {"n_queries": len(queries), "threads": archive.threads, "recall": recall, "runs": rows, "unequal": unequal}


def unequal_queries(index: Any, queries: np.ndarray, ranking: str) -> int:
    """Queries whose hits or scores are not the same by one thread, by two, and alone."""
    one, two = (index.query(queries, 10, ranking=ranking, n_threads=threads) for threads in (1, 2))
    unequal = 0
    for row, query in enumerate(queries):
        alone = index.query(query, 10, ranking=ranking)
        first = (one.positions[row], one.similarities[row], one.scores[row])
        others = ((found.positions[at], found.similarities[at], found.scores[at]) for found, at in ((two, row), (alone, 0)))  # fmt: skip
        unequal += not all(np.array_equal(a, b) for other in others for a, b in zip(first, other, strict=True))
    return unequal


def growth(archive: Archive) -> dict[str, Any]:
    """Time single queries of ours."""
    from queries_archive import EDGES

    index, queries = archive.index(), archive.queries()
    seconds = latencies(index, queries)
    hits = index.query(queries, EDGES)
    counts = {name: float(getattr(hits.counts, name).mean()) for name in ("compared", "visited", "rescored")}
    recall = share_of(hits.positions, archive.truth())
    about = {"search": index.manifest["search"], "n_queries": len(queries), "recall": recall}
    return {**about, **counts, **times_of(seconds)}


def memory(archive: Archive, *, ranking: str) -> dict[str, Any]:
    """Resident bytes a film of an index that has answered queries; those of a small index are taken off."""
    file = archive.file(f"queries-{archive.n_queries}.npy")
    asked = run("ask", folder=str(archive.folder), queries=str(file), ranking=ranking)
    base = run("ask_small", ranking=ranking)
    kinds = ("anonymous", "mapped")
    return {
        "ranking": ranking,
        **{f"{kind}_bytes_a_film": (asked[kind] - base[kind]) / archive.n for kind in kinds},
        "codes_bytes_a_film": asked["codes"] / archive.n,
    }


def ask(*, folder: str, queries: str, ranking: str, search: str = "auto") -> dict[str, Any]:
    """Open an index, answer a thousand queries one by one, and say what memory is resident."""
    codes = np.load(queries, mmap_mode="r")[:1000]
    import graphret

    start = time.perf_counter()
    index = graphret.open(folder)
    opened = time.perf_counter()
    index.query(codes[0], 10, ranking=ranking, n_threads=1, search=search)
    first = time.perf_counter()
    for query in codes:
        index.query(query, 10, ranking=ranking, n_threads=1, search=search)
    return {
        "import_s": start - PROCESS_START,
        "open_s": opened - start,
        "first_query_s": first - opened,
        "import_to_first_hits_s": first - PROCESS_START,
        **resident(folder),
    }


def ask_small(*, ranking: str) -> dict[str, Any]:
    """Ask an index of 500 films: libraries and kernels, next to no films."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        run("build_small", folder=folder)
        file = str(Path(folder) / "queries.npy")
        return run("ask", folder=str(Path(folder) / "index"), queries=file, ranking=ranking, search="graph")


def build_small(*, folder: str) -> dict[str, Any]:
    """Build the small index in a process of its own, so that what building takes is not counted."""
    from benchmark_codes import generated

    import graphret

    codes = generated(1500, 64)
    graphret.build(codes[:500], out=Path(folder) / "index", k=20, search="graph")
    np.save(Path(folder) / "queries.npy", codes[500:])
    return {}


def resident(folder: str) -> dict[str, int]:
    """Resident bytes of this process: anonymous, mapped from the files of an index, and mapped from its codes.

    Libraries are mapped files as well, and left out.
    """
    root = f"{Path(folder).resolve()}/"
    totals = {"anonymous": 0, "mapped": 0, "codes": 0}
    name = ""
    for line in Path("/proc/self/smaps").read_text(encoding="utf-8").splitlines():
        first, _, rest = line.partition(" ")
        if not first.endswith(":"):
            name = line.split(maxsplit=5)[-1] if root in line else ""
        elif first == "Anonymous:":
            totals["anonymous"] += int(rest.split()[0]) * 1024
        elif first == "Rss:" and name:
            totals["codes" if name.endswith("/codes.npy") else "mapped"] += int(rest.split()[0]) * 1024
    return totals


def first(archive: Archive, *, ranking: str) -> dict[str, Any]:
    """Time the first query of this fresh process."""
    file = archive.file(f"queries-{archive.n_queries}.npy")
    asked = ask(folder=str(archive.folder), queries=str(file), ranking=ranking)
    return {"ranking": ranking, **{name: value for name, value in asked.items() if name.endswith("_s")}}


def run(step: str, *, threads: int = 1, **arguments: Any) -> dict[str, Any]:
    """Run a step of this file in a fresh process."""
    settings = dict(os.environ) | {"OMP_NUM_THREADS": str(threads)}
    return process_result([__file__, step, json.dumps(arguments)], settings)


STEPS = {step.__name__: step for step in (prepare, single, batch, growth, memory, first, ask, ask_small, build_small)}

if __name__ == "__main__":
    given = json.loads(sys.argv[2])
    if "archive" in given:
        from queries_archive import Archive as Described

        given["archive"] = Described(**given["archive"])
    print(json.dumps(STEPS[sys.argv[1]](**given)))
