"""Kill -9 during train, encode and build at random moments: the last good index answers, the next run ends right.

    python benchmarks/kill.py [--kills 20] [--films 600] [--seed 0]

For every kill one command of the command line is started on generated films, killed after a random part of the time
that it takes undisturbed, and then: the index that was there must open, verify and answer as before; the same command
run again must end with status 0 and give the bytes that an undisturbed run gives.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from environment import environment, environment_line

import graphret
from graphret.data import generate_phantom

RESULTS = Path(__file__).parent / "results"
STEPS = ("train", "encode", "build")


def command(step: str, work: Path, out: Path, seed: int) -> list[str]:
    """The command line of one step; build and train write over what was in ``out`` before."""
    head = [sys.executable, "-m", "graphret", step, "--quiet", "--data", "phantom", "--root", str(work / "films")]
    if step == "train":
        return [*head, "--encoder", "resnet18", "--size", "32", "--epochs", "3", "--seed", str(seed), "--out", str(out)]
    encoder = ["--encoder", str(work / "encoder"), "--out", str(out)]
    if step == "encode":
        return [*head, *encoder, "--shard-rows", "64"]
    return [*head, *encoder, "--shard-rows", "64", "--k", "10", "--seed", str(seed)]


def outcome(step: str, out: Path) -> str:
    """What must be equal however often the step was killed: weights, codes, or graph and partition."""
    if step == "build":
        info = graphret.open(out).info()
        return info["graph"]["sha256"] + info["communities"]["sha256"]
    file = out / ("encoder.safetensors" if step == "train" else "codes.npy")
    return hashlib.sha256(file.read_bytes()).hexdigest()


def answers(index: Path) -> str:
    """The hits of some films of the index, as text."""
    with graphret.open(index) as opened:
        opened.verify()
        ids = [str(name) for name in opened.films.ids[:20]]
        return json.dumps([opened.query(ids, k=5, ranking=name).to_dicts() for name in ("nearest", "region_growing")])


def run(arguments: list[str], kill_after: float | None = None) -> tuple[int, float]:
    """Run a command, kill -9 its process group if it is still there after a time; return status and seconds."""
    start = time.perf_counter()
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}  # training is the same to the bit with one thread
    process = subprocess.Popen(arguments, start_new_session=True, env=environment, stderr=subprocess.PIPE)
    try:
        _, errors = process.communicate(timeout=kill_after)
        if process.returncode:
            print(errors.decode()[-500:], file=sys.stderr)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    return process.returncode, time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--films", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chooser = random.Random(options.seed)
    work = Path(tempfile.mkdtemp(prefix="graphret-kill-"))
    try:
        generate_phantom(work / "films", options.films, size=48, seed=options.seed)
        expected, seconds = {}, {}
        for step in STEPS:
            out = work / ("encoder" if step == "train" else f"whole-{step}")
            status, seconds[step] = run(command(step, work, out, seed=1))
            if status:
                raise SystemExit(f"the undisturbed {step} ended with status {status}")
            expected[step] = outcome(step, out)
        run(command("build", work, work / "other-index", seed=2))
        rows = []
        for number in range(options.kills):
            step = STEPS[number % len(STEPS)]
            out = work / f"killed-{number}"
            if step == "build":  # an index of another seed is there already and must survive
                shutil.copytree(work / "other-index", out)
            before = answers(out if step == "build" else work / "whole-build")
            moment = chooser.uniform(0.3, 1.0) * seconds[step]
            status, _ = run(command(step, work, out, seed=1), kill_after=moment)
            after = answers(out if step == "build" else work / "whole-build")
            again, _ = run(command(step, work, out, seed=1))
            row = {
                "step": step,
                "killed_after_s": round(moment, 2),
                "killed": status == -signal.SIGKILL,
                "last_index_answers_the_same": before == after,
                "next_run_status": again,
                "next_run_equals_undisturbed": again == 0 and outcome(step, out) == expected[step],
            }
            rows.append(row)
            print(row, file=sys.stderr)
            shutil.rmtree(out)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    record = {"environment": environment(), "undisturbed_s": seconds, "rows": rows}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "kill.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    killed = Counter(row["step"] for row in rows if row["killed"])
    lines = [
        "# Kill -9 at random moments",
        "",
        f"{len(rows)} runs, {sum(killed.values())} killed before their end ({', '.join(f'{s} {n}' for s, n in killed.items())}).",
        "",
        f"- last good index opened, verified and answered the same: {sum(r['last_index_answers_the_same'] for r in rows)} of {len(rows)}",
        f"- next run ended with status 0: {sum(r['next_run_status'] == 0 for r in rows)} of {len(rows)}",
        f"- and gave the bytes of an undisturbed run: {sum(r['next_run_equals_undisturbed'] for r in rows)} of {len(rows)}",
        "",
        environment_line(record["environment"]),
        "",
    ]
    (RESULTS / "kill.md").write_text("\n".join(lines), encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
