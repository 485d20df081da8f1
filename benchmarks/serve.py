"""The service under load: clients that ask by code at once, a page of 50 hits with pictures, start and memory.

    python benchmarks/serve.py [--n 112120] [--queries 2000] [--clients 8]

The index has the simulated codes, and generated films as their files (a few hundred, each the file of many films). The
clients are threads of one process on the same machine (`serve_client.py`), so they take part of its processors.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

HITS_ON_A_PAGE, PAGES, N_FILMS, SIDE = 50, 12, 300, 256
N_ARCHIVE, N_QUERIES, N_CLIENTS = 112_120, 2_000, 8


def prepare(folder: Path, n: int, n_queries: int) -> np.ndarray:
    """Make films and an index where they are not there; return codes to ask with, other exposures of its films."""
    from simulated_codes import FINDINGS, simulate

    import graphret
    from graphret.data import ImageTable, generate_phantom

    films = folder / "films"
    if not films.exists():
        generate_phantom(folder / "making", min(N_FILMS, n), size=SIDE)
        (folder / "making").rename(films)
    index = folder / f"index-{n}"
    if not (index / "CURRENT").exists():
        archive = simulate(n)
        files = graphret.read_dataset("phantom", films).paths
        table = ImageTable(
            ids=archive.ids, paths=files[np.arange(n) % len(files)], labels=archive.labels, label_names=FINDINGS,
            patients=archive.patients, views=archive.views,
        )  # fmt: skip
        graphret.build(archive.codes, films=table, out=index, k=50, tune=False)
    queries: np.ndarray = simulate(min(n, n_queries), exposure=1).codes
    return queries[np.arange(n_queries) % len(queries)]


def start(index: Path, folder: Path) -> tuple[subprocess.Popen[str], str, float, float]:
    """Start the service: its process, its address, and the seconds to its first answer and to the search page."""
    from serve_client import Connection

    began = time.monotonic()
    command = [sys.executable, "-m", "graphret", "serve", str(index), "--port", "0", "--rate", "100000"]
    process = subprocess.Popen(
        [*command, "--lists", str(folder / "lists.sqlite")], stdout=subprocess.PIPE, text=True, env=os.environ
    )
    assert process.stdout is not None
    address = process.stdout.readline().split()[-1]
    times = []
    with closing(Connection(address)) as connection:
        for path in ("/api/v1/health", "/"):
            if not connection.ask("GET", path):
                process.kill()
                raise SystemExit(f"the service does not answer to GET {path}")
            times.append(time.monotonic() - began)
    return process, address, times[0], times[1]


def clients(what: str, address: str, *arguments: object) -> dict[str, Any]:
    """What clients in a process of their own found."""
    script = Path(__file__).with_name("serve_client.py")
    command = [sys.executable, str(script), what, address, *map(str, arguments)]
    found: dict[str, Any] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    return found


def memory_of(process: subprocess.Popen[str]) -> float:
    """Largest resident memory of the service so far, GB, mapped files included."""
    lines = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8").splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024 / 1e9


def markdown(record: dict[str, Any]) -> str:
    """The result as Markdown."""
    from environment import environment_line
    from record import limits_table

    seconds = record["queries"]["seconds"]
    limits = [
        ("start, seconds to the first answer", record["start_s"], "<", 3.0),
        ("start, seconds to the search page", record["search_page_s"], "<", 3.0),
        ("queries lost", record["queries"]["lost"], "<", 1),
        (
            f"page of {HITS_ON_A_PAGE} hits with pictures, warm, median seconds",
            statistics.median(record["pages_s"]),
            "<",
            0.3,
        ),
        ("memory of the service, GB", record["memory_gb"], "<", 1.5),
    ]
    percentile = np.percentile(seconds, [50, 99])
    lines = [
        f"# The service under load ({record['n']:,} films, {len(seconds):,} queries by code of {record['clients']} clients)",
        "",
        *limits_table(limits),
        "",
        "| queries | median, ms | 99 %, ms | queries a second |",
        "|---|---|---|---|",
        f"| 10 hits, with reasons | {1000 * percentile[0]:.1f} | {1000 * percentile[1]:.1f} "
        f"| {len(seconds) / record['queries']['total_s']:.0f} |",
        "",
        "The clients are threads of one process of this machine, with Python's own `http.client` and connections that "
        "are kept open; pictures come over six, as a browser opens them.",
        "",
        environment_line(record["environment"]),
    ]
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> None:
    """Run the benchmark."""
    from environment import environment
    from record import name_of, parser_of, say, write_results
    from serve_client import Connection

    parser = parser_of(__doc__, work="serve")
    parser.add_argument("--n", type=int, help=f"films ({N_ARCHIVE:,} if not given)")
    parser.add_argument("--queries", type=int, default=N_QUERIES)
    parser.add_argument("--clients", type=int, default=N_CLIENTS)
    options = parser.parse_args(arguments)
    about = environment()
    options.work.mkdir(parents=True, exist_ok=True)
    n = options.n or N_ARCHIVE
    codes = prepare(options.work, n, options.queries)
    asked_with = options.work / f"queries-{options.queries}.npy"
    np.save(asked_with, codes)
    process, address, start_s, search_page_s = start(options.work / f"index-{n}", options.work)
    try:
        np.save(options.work / "warm.npy", codes[:50])
        clients("queries", address, options.work / "warm.npy", "--clients", options.clients)
        say("queries")
        queries = clients("queries", address, asked_with, "--clients", options.clients)
        say("pages")
        with closing(Connection(address)) as connection:
            medoid = json.loads(connection.ask("GET", "/api/v1/map"))["communities"][0]["medoid_id"]
        pages = clients("pages", address, "--id", medoid, "--pages", PAGES, "--k", HITS_ON_A_PAGE)
        memory = memory_of(process)
    finally:
        process.terminate()
        process.communicate()
    record = {
        "environment": about, "n": n, "clients": options.clients, "start_s": start_s, "search_page_s": search_page_s,
        "queries": queries, **pages, "memory_gb": memory,
    }  # fmt: skip
    text = markdown(record)
    write_results(options.results, name_of("serve", options.n), record, text)
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
