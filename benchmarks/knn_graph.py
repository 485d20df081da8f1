"""kNN graphs, k = 50: graphret beside Faiss, pynndescent, hnswlib and usearch, in one run.

    python benchmarks/knn_graph.py --survey [--data d1 d2 d3]     every setting of every peer, once
    python benchmarks/knn_graph.py [--data d1 d2 d3] [--runs 5]   the race: our methods and the best of the survey
    python benchmarks/knn_graph.py --report                       the tables again, from the rows on disk

Timed is the way from codes in memory to ids and cosines of the k nearest of all rows, the row itself not among them:
for a peer from unit rows, for ours from the codes as they are, checks and scaling included. Every run has a process of
its own; methods take turns in being first. Recall is judged on 1,000 rows by brute force in float64 (`knn_truth`).

A survey first times Faiss's flat index. Another setting is tried on an eighth of the codes; if eight times that is
already longer than 1.5 times the flat index, it is skipped; if not, it is stopped at 1.5 times the flat index. The race
takes the flat index and, of the survey on the same codes with the same threads, the two fastest peers with a recall of
at least 0.99. Rows are appended to knn_graph.jsonl and knn_graph_survey.jsonl as they come.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import uuid
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from benchmark_codes import INDEX, SIZES, codes_of
from environment import environment
from knn_graph_run import OURS, THREAD_VARIABLES, Job, run_in_process
from knn_graph_tables import ENOUGH, last_survey, race_markdown, race_record, survey_markdown
from knn_truth import Truth
from peers_knn import BRUTE_FORCE, PEERS, peer_versions
from record import append, name_of, parser_of, read_rows, say, write_results

if TYPE_CHECKING:
    import argparse

PILOT, PATIENCE, MERCY = 8, 1.5, 10.0
"""A setting is tried on n / PILOT codes, and stopped at PATIENCE times the flat index, but never before MERCY seconds."""


def session(options: argparse.Namespace, *, kind: str) -> dict[str, Any]:
    """What all rows of one call share: a ratio needs rows of one session."""
    found = environment()
    found["versions"] = dict(found["versions"]) | peer_versions()
    return {"kind": kind, "session": uuid.uuid4().hex[:12], "environment": found, "k": options.k, "seed": options.seed}


def prepared(data: str, options: argparse.Namespace, folder: Path) -> tuple[Job, dict[str, Any]]:
    """Make codes and truth of a data set; return the job that every method of it starts from, and what its rows share."""
    codes = codes_of(data, options.n, work=options.work, index=options.index)
    say(f"{data}: {codes.shape[0]:,} x {codes.shape[1]}, brute force on a sample of rows")
    truth = folder / f"{data}.npz"
    Truth.of(codes, options.k, seed=options.seed).save(truth)
    job = Job(
        data,
        BRUTE_FORCE,
        options.k,
        options.threads,
        n=options.n,
        truth=str(truth),
        options=options.options,
        work=str(options.work),
        index=str(options.index),
    )
    digest = hashlib.sha256(np.ascontiguousarray(codes)).hexdigest()
    return job, {"data": data, "n": len(codes), "d": codes.shape[1], "codes_sha256": digest[:16]}


def measured_row(job: Job, shared: dict[str, Any], file: Path) -> dict[str, Any]:
    """Run a job, write its row, say it."""
    row = {**shared, "method": job.method, "k": job.k, "threads": job.threads, "options": job.options}
    row |= run_in_process(job)
    append(file, row)
    if row["status"] == "measured":
        say(f"{job.data} {job.method}: {row['seconds']:.2f} s, recall {row['recall']:.5f}")
    else:
        say(f"{job.data} {job.method}: {row['status']}: {row['reason']}")
    return row


def survey(options: argparse.Namespace) -> None:
    """Every setting once, except what can not be faster than brute force."""
    file = options.results / f"{name_of('knn_graph_survey', options.n)}.jsonl"
    begun = session(options, kind="survey")
    append(file, begun)
    methods = options.methods or [*PEERS]
    with tempfile.TemporaryDirectory() as folder:
        for data in options.data:
            job, shared = prepared(data, options, Path(folder))
            shared |= {"kind": "survey", "session": begun["session"]}
            brute = measured_row(job, shared, file)
            if brute["status"] != "measured":
                raise SystemExit(f"{data}: {BRUTE_FORCE} could not be measured: {brute['reason']}")
            for method in [name for name in methods if name != BRUTE_FORCE]:
                try_setting(replace(job, method=method), shared, brute["seconds"], file)
            report(options)


def try_setting(job: Job, shared: dict[str, Any], brute: float, file: Path) -> None:
    """Try a setting on a part of the codes, and measure it if there is hope."""
    if shared["n"] // PILOT > job.k:
        allowed = max(PATIENCE * brute / PILOT, MERCY)
        part = replace(job, n=shared["n"] // PILOT, truth=None, seconds_allowed=allowed)
        pilot = run_in_process(part)
        hopeless = f"slower than {BRUTE_FORCE} ({brute:.1f} s): on 1/{PILOT} of the codes"
        reason = ""
        if pilot["status"] != "measured":
            reason = f"{hopeless} {pilot['reason']}" if pilot["status"] == "out of time" else pilot["reason"]
        elif PILOT * pilot["seconds"] > max(PATIENCE * brute, MERCY):
            reason = f"{hopeless} {pilot['seconds']:.1f} s"
        if reason:
            status = "failed" if pilot["status"] == "failed" else "skipped"
            append(file, {**shared, "method": job.method, "k": job.k, "threads": job.threads, "status": status, "reason": reason})  # fmt: skip
            say(f"{job.data} {job.method}: {status}: {reason}")
            return
    measured_row(replace(job, seconds_allowed=max(PATIENCE * brute, MERCY)), shared, file)


def choose(rows: list[dict[str, Any]], data: str, options: argparse.Namespace) -> list[str]:
    """The fastest peers at recall >= 0.99 in the survey of these codes with these threads."""
    n = options.n or SIZES[data]
    found = last_survey(rows, data=data, n=n, k=options.k, threads=options.threads)
    able = [row for row in found if row["method"] in PEERS and row.get("recall", 0.0) >= ENOUGH]
    able = [row for row in able if row["method"] != BRUTE_FORCE]
    if not found:
        raise SystemExit(
            f"no survey of {data} with n = {n}, k = {options.k}, {options.threads} threads in {options.results}: "
            f"run with --survey first, or name the peers with --methods ({', '.join(PEERS)})"
        )
    return [row["method"] for row in sorted(able, key=lambda row: row["seconds"])[: options.peers]]


def race(options: argparse.Namespace) -> None:
    """Our methods, brute force and the chosen peers, in turns."""
    file = options.results / f"{name_of('knn_graph', options.n)}.jsonl"
    surveyed = read_rows(options.results / f"{name_of('knn_graph_survey', options.n)}.jsonl")
    chosen = {data: options.methods or [*OURS, BRUTE_FORCE, *choose(surveyed, data, options)] for data in options.data}
    begun = session(options, kind="race")
    append(file, begun)
    with tempfile.TemporaryDirectory() as folder:
        for data, methods in chosen.items():
            job, shared = prepared(data, options, Path(folder))
            shared |= {"kind": "race", "session": begun["session"]}
            for run in range(options.runs):
                turn = run % len(methods)
                for method in methods[turn:] + methods[:turn]:
                    measured_row(replace(job, method=method), {**shared, "run": run}, file)
            report(options)


def report(options: argparse.Namespace) -> None:
    """Write the tables from the rows on disk."""
    for kind in ("knn_graph_survey", "knn_graph"):
        name = name_of(kind, options.n)
        rows = read_rows(options.results / f"{name}.jsonl")
        if rows and kind == "knn_graph":
            record = race_record(rows)
            write_results(options.results, name, record, race_markdown(record))
        elif rows:
            file = options.results / f"{name}.md"
            file.write_text(survey_markdown(rows), encoding="utf-8")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = parser_of(__doc__, work="codes")
    known = [*OURS, *PEERS]
    parser.add_argument("--data", choices=[*SIZES], nargs="+", default=[*SIZES])
    parser.add_argument("--n", type=int, help="only the first n codes of each set; results have a name of their own")
    parser.add_argument("--k", type=int, default=50)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--methods", choices=known, nargs="+", metavar="METHOD", help=f"of {', '.join(known)}")
    parser.add_argument("--peers", type=int, default=2, help="how many of the survey's fastest peers race")
    parser.add_argument("--options", type=json.loads, default={}, help="JSON: further arguments of nearest_neighbors")
    parser.add_argument("--seed", type=int, default=0, help="chooses the rows that recall is judged on")
    parser.add_argument("--index", type=Path, default=INDEX, help="index of real films that d3 is made of")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--survey", action="store_true", help="every setting of every peer, once")
    mode.add_argument("--report", action="store_true", help="only write the tables again")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    options = parse(arguments)
    os.environ |= dict.fromkeys(THREAD_VARIABLES, str(options.threads))  # so that the environment line says them
    if options.survey:
        survey(options)
    elif not options.report:
        race(options)
    report(options)
    kind = "knn_graph_survey" if options.survey else "knn_graph"
    file = options.results / f"{name_of(kind, options.n)}.md"
    if not file.exists():
        raise SystemExit(f"there are no rows of {kind} in {options.results}")
    print(file.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
