"""Seconds of tuning at several archive sizes (the complete grid, without a limit of time), and of the queries it leads to.

    python benchmarks/tuning_times.py [--sizes 2000 20000 112120] [--data-root ../shared/data]

Simulated NIH codes with their findings, k 50, all processors. Each size is built untuned, then tuned in a process that
has compiled its kernels on a small archive before. Wall-clock time of one run each. Then new codes (films of the archive
with noise) are asked one by one, with one thread: ten hits by the tuned default, a hundred by region growing.

Where there is a --data-root, an index of real films (Kermany et al.) is built from their files, by DenseNet-121 without
training: at 224 px, the size that an encoder has if nothing else is said, and at 64 px, where a build is shortest.
"""

from __future__ import annotations

import shutil
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
from environment import environment, environment_line
from record import limits_table, parser_of, say, write_results
from simulated_codes import FINDINGS, simulate

import graphret
from graphret.encoders import Encoder

SIZES = (2_000, 20_000, 112_120)
FLOORS = dict(zip(SIZES, (10.0, 30.0, 90.0), strict=True))
AIMS = dict(zip(SIZES, (5.0, 15.0, 40.0), strict=True))
WARM = 600
N_QUERIES = 1000
FILM_SIZES = (224, 64)
SHARES = {"floor": 0.25, "aim": 0.1}
"""Seconds of the complete tuning, as a share of those of a build from films."""
LATENCY_FLOOR, LATENCY_AIM = 2.0, 1.0
"""Milliseconds of the tuned default at the largest size."""


def tuned(n: int, options: Any) -> dict[str, Any]:
    """Build an index of n films and tune it."""
    archive = simulate(n)
    folder = options.work / f"tuning-{n}"
    shutil.rmtree(folder, ignore_errors=True)
    index = graphret.build(
        archive.codes, out=folder, k=50, tune=False, ids=archive.ids, labels=archive.labels, label_names=FINDINGS,
        patients=archive.patients,
    )  # fmt: skip
    began = time.perf_counter()
    found = graphret.tune(index, budget=None)
    row = {"seconds": time.perf_counter() - began, "ranking": found.ranking, "options": dict(found.options)}
    index.record_tuning(found.to_dict())
    index = graphret.open(folder)
    random = np.random.default_rng(0)
    rows = random.integers(n, size=N_QUERIES)
    asked = archive.codes[rows] + 0.05 * random.random((N_QUERIES, archive.codes.shape[1]), dtype=np.float32)
    if index.default_ranking != found.ranking:
        raise AssertionError(f"{folder} answers by {index.default_ranking}, not by {found.ranking}")
    row |= {
        "default_ms": latency(index, asked, 10, None),
        "region_growing_ms": latency(index, asked, 100, "region_growing"),
    }
    shutil.rmtree(folder)
    return {"n": n, **row}


def share_of_build(size: int, options: Any) -> dict[str, Any]:
    """Build an index of real films from their files at a size, and tune it."""
    films = graphret.read_dataset("kermany", options.data_root / "kermany")
    films = films.select(films.splits == "train")
    encoder = Encoder.untrained("densenet121", films.label_names, size=size, seed=0)
    folder = options.work / "tuning-films"
    shutil.rmtree(folder, ignore_errors=True)
    began = time.perf_counter()
    index = graphret.build(films, encoder, out=folder, tune=False)
    built = time.perf_counter()
    graphret.tune(index, budget=None)
    row = {
        "films": len(films),
        "size": size,
        "build_seconds": built - began,
        "tuning_seconds": time.perf_counter() - built,
    }
    shutil.rmtree(folder)
    return row | {"share": row["tuning_seconds"] / row["build_seconds"]}


def latency(index: Any, codes: np.ndarray, k: int, ranking: str | None) -> list[float]:
    """Milliseconds of single queries: median and 99 %."""
    for code in codes[:50]:
        index.query(code, k, ranking=ranking, n_threads=1)
    milliseconds = []
    for code in codes:
        began = time.perf_counter()
        index.query(code, k, ranking=ranking, n_threads=1)
        milliseconds.append(1000 * (time.perf_counter() - began))
    return [statistics.median(milliseconds), float(np.quantile(milliseconds, 0.99))]


def markdown(record: dict[str, Any]) -> str:
    """The record as a page."""
    rows = record["rows"]
    limits = [
        (f"tuning {row['n']:,} films, seconds ({kind})", row["seconds"], "<", bounds[row["n"]])
        for row in rows
        for kind, bounds in (("floor", FLOORS), ("aim", AIMS))
        if row["n"] in bounds
    ]
    limits += [
        (
            f"median query by the tuned default, {row['n']:,} films, milliseconds ({kind})",
            row["default_ms"][0],
            "<",
            limit,
        )
        for row in rows
        for kind, limit in (("floor", LATENCY_FLOOR), ("aim", LATENCY_AIM))
        if row["n"] == SIZES[-1]
    ]
    for films in record["films"]:
        about = f"tuning {films['films']:,} films, share of the {films['build_seconds']:.0f} s of their build"
        limits += [
            (f"{about} at {films['size']} px ({kind})", films["share"], "<", limit) for kind, limit in SHARES.items()
        ]
    lines = [
        "# Seconds of tuning",
        "",
        *(limits_table(limits) if limits else []),
        "",
        "| films | seconds | chosen | ten hits by it, ms: median (99 %) | a hundred by region growing |",
        "|---|---|---|---|---|",
        *(
            f"| {row['n']:,} | {row['seconds']:.1f} | {row['ranking']} | {_pair(row['default_ms'])} | {_pair(row['region_growing_ms'])} |"
            for row in rows
        ),
        "",
        environment_line(record["environment"]),
    ]
    return "\n".join(lines) + "\n"


def _pair(values: list[float]) -> str:
    return f"{values[0]:.2f} ({values[1]:.2f})"


def main(arguments: list[str] | None = None) -> None:
    """Run the benchmark."""
    parser = parser_of(__doc__, work="tuning")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--data-root", type=Path, help="folder of kermany: its films are built and tuned too")
    options = parser.parse_args(arguments)
    options.work.mkdir(parents=True, exist_ok=True)
    tuned(WARM, options)
    rows = []
    for n in options.sizes:
        rows.append(tuned(n, options))
        say(f"{n:,} films: {rows[-1]['seconds']:.1f} s")
    films = [] if options.data_root is None else [share_of_build(size, options) for size in FILM_SIZES]
    record = {"rows": rows, "films": films, "environment": environment()}
    text = markdown(record)
    write_results(options.results, "tuning_times", record, text)
    print(text)


if __name__ == "__main__":
    main()
