"""A build on Ray beside the local build: the same bytes, what Ray costs, what a second worker gains, and kills.

    python benchmarks/ray_build.py [--n 112120] [--d 1024] [--workers 1 2 4] [--kills 20]

Every build runs in a process of its own, on generated codes. "Overhead" is a build on Ray with as many workers as the
local build has threads, over the local build; "speed-up" that of one worker over that of two. The process that builds
has as many threads as there are workers: one worker is one core for all stages. Starting Ray counts. The kills are of
one build: a share of them at blocks, at pairs and at tables each, with SIGKILL. (Workers that encode films are killed by
tests/cluster/test_ray.py.)
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from environment import environment, environment_line
from out_of_core import write_codes
from record import parser_of, say, write_results

OVERHEAD, SPEED_UP = 0.25, 1.7
LOOKS_S = {"block": 0.5, "pair": 0.5, "table": 0.02}
"""Kinds of pieces, and seconds between two looks for a worker at one: a table takes a part of a second."""
RESULT = "result: "
"""Before the line that a process that builds says."""


def hashes(index: Path) -> dict[str, str]:
    """Sha256 of every file of the newest generation, and of the manifest without its time and the number of threads."""
    generation = index / (index / "CURRENT").read_text(encoding="utf-8").strip()
    files = (path for path in generation.rglob("*") if path.is_file() and path.name != "manifest.json")
    found = {path.relative_to(generation).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    manifest = json.loads((generation / "manifest.json").read_text(encoding="utf-8"))
    for name in ("created", "sha256"):
        del manifest[name]
    del manifest["parameters"]["n_threads"]  # one worker has one
    return found | {"manifest": hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()}


class Killer(threading.Thread):
    """Kills workers below this process, each kind of piece having its share of the kills."""

    def __init__(self, kills: int) -> None:
        super().__init__(daemon=True)
        n_kinds = len(LOOKS_S)
        self.left = {piece: (kills + number) // n_kinds for number, piece in enumerate(LOOKS_S)}
        self.killed, self.ended = dict.fromkeys(LOOKS_S, 0), threading.Event()

    def run(self) -> None:
        """Look for workers until all kills are done: the kinds of pieces follow one another in a build."""
        for piece, pause in LOOKS_S.items():
            while self.left[piece] and not self.ended.wait(pause):
                for victim in workers_at(piece)[:1]:
                    with suppress(OSError):
                        os.kill(victim, signal.SIGKILL)
                        self.left[piece] -= 1
                        self.killed[piece] += 1


def workers_at(piece: str) -> list[int]:
    """Workers below this process whose names say that they are at a piece."""
    names, parents = {}, {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                names[int(folder.name)] = (folder / "cmdline").read_text(encoding="utf-8", errors="replace")
                parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    found = []
    for pid, name in names.items():
        above: int | None = pid
        while above is not None and above != os.getpid():
            above = parents.get(above)
        if above is not None and name.startswith("ray::") and f"graphret {piece}" in name:
            found.append(pid)
    return found


def build_step(work: Path, *, workers: int | None, threads: int, kills: int, method: str) -> dict[str, Any]:
    """Build locally with some threads, or on Ray with as many workers and threads."""
    import graphret

    codes = np.load(work / "codes.npy", mmap_mode="r")
    out = work / "index"
    shutil.rmtree(out, ignore_errors=True)
    options: dict[str, Any] = {"k": 50, "tune": False, "n_threads": workers or threads, "method": method}
    if workers is not None:
        options["engine"] = "ray"
    killer = Killer(kills)
    if kills:
        killer.start()
    start = time.perf_counter()
    stages: dict[str, float] = {}

    def note(stage: str, done: int, total: int) -> None:
        if done == total:
            stages[stage] = time.perf_counter() - start

    graphret.build(codes, out=out, progress=note, **options)
    seconds = time.perf_counter() - start
    killer.ended.set()
    return {
        "workers": workers,
        "seconds": seconds,
        "stages_until_s": stages,
        "killed": killer.killed,
        "hashes": hashes(out),
    }


def run(work: Path, **arguments: Any) -> dict[str, Any]:
    """Run a build in a process of its own."""
    say(arguments)
    root = str(Path(__file__).resolve().parents[1])
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    settings = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, __file__, "--step", json.dumps(arguments), "--work", str(work)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=settings)
    # Ray says there, too, that workers have died
    (line,) = (line for line in done.stdout.splitlines() if line.startswith(RESULT))
    result: dict[str, Any] = json.loads(line.removeprefix(RESULT))
    return result


def verdict(record: dict[str, Any]) -> list[tuple[str, str, bool]]:
    """What the builds show: (what, measured, whether it holds)."""
    local, on_ray = record["local"], {build["workers"]: build for build in record["ray"]}
    builds = [*record["ray"], *record["killed"]]
    equal = all(build["hashes"] == local["hashes"] for build in builds)
    rows = [("hashes of every file and of the manifest equal the local build's", f"{len(builds)} builds", equal)]
    same = on_ray.get(record["threads"])
    if same is not None:
        overhead = same["seconds"] / local["seconds"] - 1
        rows.append(
            (f"overhead with {record['threads']} workers < {OVERHEAD:.0%}", f"{overhead:.1%}", overhead < OVERHEAD)
        )
    if {1, 2} <= set(on_ray):
        gain = on_ray[1]["seconds"] / on_ray[2]["seconds"]
        rows.append((f"speed-up from one worker to two >= {SPEED_UP}", f"{gain:.2f}", gain >= SPEED_UP))
    for build in record["killed"]:
        enough = sum(build["killed"].values()) >= record["kills"] and all(build["killed"].values())
        rows.append((f"{record['kills']} workers killed, some at each kind of piece", said(build["killed"]), enough))
    return rows


def said(killed: dict[str, int]) -> str:
    """How many workers were killed at what."""
    return ", ".join(f"{n} at a {piece}" for piece, n in killed.items() if n)


def markdown(record: dict[str, Any]) -> str:
    """The result as Markdown."""
    lines = [
        f"# {record['n']:,} x {record['d']} on Ray",
        "",
        "| build | seconds | workers killed |",
        "|---|---|---|",
        f"| local, {record['threads']} threads | {record['local']['seconds']:.1f} | |",
    ]
    lines += [
        f"| Ray, {build['workers']} workers | {build['seconds']:.1f} | {said(build['killed'])} |"
        for build in [*record["ray"], *record["killed"]]
    ]
    lines += ["", "| | measured | holds |", "|---|---|---|"]
    lines += [f"| {what} | {found} | {'yes' if holds else '**no**'} |" for what, found, holds in verdict(record)]
    return "\n".join([*lines, "", environment_line(record["environment"]), ""])


def main(arguments: list[str] | None = None) -> None:
    parser = parser_of(__doc__, work="ray_build")
    parser.add_argument("--n", type=int, default=112_120)
    parser.add_argument("--d", type=int, default=1024)
    parser.add_argument("--threads", type=int, default=2, help="of the local build")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--method", default="auto", help="of the neighbours, as BuildConfig has it")
    parser.add_argument("--step", help="(of the process that builds)")
    options = parser.parse_args(arguments)
    if options.step is not None:
        print(RESULT + json.dumps(build_step(options.work, **json.loads(options.step))), flush=True)
        return
    found = environment()
    options.work.mkdir(parents=True, exist_ok=True)
    write_codes(options.work / "codes.npy", options.n, options.d)
    shared = {"threads": options.threads, "method": options.method}
    record = {
        "environment": found,
        **{name: getattr(options, name) for name in ("n", "d", "threads", "kills", "method")},
        "local": run(options.work, workers=None, kills=0, **shared),
        "ray": [run(options.work, workers=workers, kills=0, **shared) for workers in options.workers],
        "killed": [run(options.work, workers=2, kills=options.kills, **shared)] if options.kills else [],
    }
    write_results(options.results, "ray_build", record, markdown(record))
    print(markdown(record))


if __name__ == "__main__":
    main()
