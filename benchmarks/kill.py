"""Kill -9 during train, encode and build at random moments: the last good index answers, the next run ends right.

    python benchmarks/kill.py [--kills 20] [--films 600] [--seed 0]

For every kill one command of the command line is started on generated films and killed a random time after it began to
work (its imports are over), at most the time that it works undisturbed; a run that ends before its kill is not counted and repeated. Then: the
index that was there must open, verify and answer as before, to ids and to a film (a build that was killed after it had
moved CURRENT must answer as the undisturbed build); the same command run again must end with status 0, give the
bytes of the undisturbed run, and leave no other files than that. Interrupted, this script goes on with the next kill.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from environment import environment, environment_line
from record import parser_of, say, write_results

import graphret
from graphret.data import generate_phantom

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

STEPS = ("train", "encode", "build")
FIRST_WORK = b"reading films"  # training says it before it writes anything
PROMISES = {
    "last_index_right": "the last good index opened, verified and answered the same",
    "next_run_ends": "the next run ended with status 0",
    "next_run_equal": "and gave the bytes of an undisturbed run",
    "no_left_overs": "and left the files of an undisturbed run, no others",
}


def command(step: str, work: Path, out: Path, k: int = 10) -> list[str]:
    """The command line of one step; ``k`` is that of a build."""
    head = [sys.executable, "-m", "graphret", step, "--data", "phantom", "--root", str(work / "films")]
    if step == "train":
        size = ["--size", "32", "--epochs", "3", "--checkpoint-minutes", "0.05"]
        return [*head, "--encoder", "resnet18", *size, "--out", str(out)]
    tail = ["--encoder", str(work / "encoder"), "--shard-rows", "32", "--out", str(out)]
    return [*head, *tail] if step == "encode" else [*head, *tail, "--k", str(k)]


def tree(folder: Path) -> list[str]:
    """Files under a folder; numbers of generations and names made of hashes are not told apart."""
    # os.walk passes over folders that vanish while it looks; Path.rglob does not
    files = (os.path.relpath(os.path.join(top, name), folder) for top, _, names in os.walk(folder) for name in names)  # noqa: PTH118
    return sorted(re.sub(r"gen-\d+", "gen-N", re.sub(r"[0-9a-f]{16}", "HASH", name)) for name in files)


def run(arguments: list[str], out: Path, log: Path, kill_after: float | None = None) -> dict[str, Any]:
    """Run a command; kill -9 its process group ``kill_after`` seconds after its first file, or its first film."""
    settings = {**os.environ, "OMP_NUM_THREADS": "1"}  # training is the same to the bit with one thread
    before = tree(out)
    with log.open("wb") as errors:
        process = subprocess.Popen(
            arguments, start_new_session=True, env=settings, stdout=subprocess.DEVNULL, stderr=errors
        )
        try:
            began = None
            while process.poll() is None:
                now = time.monotonic()
                if began is None and (FIRST_WORK in log.read_bytes() or tree(out) != before):
                    began = now
                if began is not None and kill_after is not None and now - began >= kill_after:
                    break
                time.sleep(0.01)
        finally:
            if process.poll() is None:  # also when this script is interrupted
                os.killpg(process.pid, signal.SIGKILL)
            status = process.wait()
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    if status not in {0, -signal.SIGKILL}:
        say("\n".join(lines[-5:]))
    worked = 0.0 if began is None else time.monotonic() - began
    return {"status": status, "worked_s": worked, "last_line": lines[-1] if lines else ""}


def outcome(step: str, out: Path) -> str:
    """What must be equal however often the step was killed: weights, codes, or graph and partition."""
    if step == "build":
        with graphret.open(out) as index:
            info = index.info()
        return str(info["graph"]["sha256"] + info["communities"]["sha256"])
    file = out / ("encoder.safetensors" if step == "train" else "codes.npy")
    return hashlib.sha256(file.read_bytes()).hexdigest()


def answers(index: Path, film: Path) -> str:
    """What an index says to some of its films and to the file of one, as a hash; and every byte of it is verified."""
    with graphret.open(index) as opened:
        opened.verify()
        ids = [str(name) for name in opened.films.ids[:20]]
        said = [opened.query(ids, k=5, ranking=name).to_dicts() for name in graphret.list_rankings()]
        said.append(opened.query(str(film), k=5).to_dicts())
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def prepare(work: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Films, an index that must survive, and undisturbed runs of every step: their outcome, files and time."""
    say("generating films")
    generate_phantom(work / "films", options.films, size=48, seed=options.seed)
    undisturbed = {}
    for step in STEPS:
        out = work / ("encoder" if step == "train" else f"undisturbed-{step}")
        if step == "build":  # written over an index of another k, as the killed ones will be
            survivor = work / "survivor"
            if run(command("build", work, survivor, k=4), survivor, work / "log")["status"]:
                raise SystemExit("the first build failed")
            shutil.copytree(survivor, out)
        done = run(command(step, work, out), out, work / "log")
        if done["status"]:
            raise SystemExit(f"the undisturbed {step} ended with status {done['status']}")
        undisturbed[step] = {"seconds": done["worked_s"], "outcome": outcome(step, out), "files": tree(out)}
        say(f"undisturbed {step}: works for {done['worked_s']:.1f} s")
    film = min((work / "films" / "images").iterdir())
    expected = {name: answers(work / name, film) for name in ("survivor", "undisturbed-build")}
    if len(set(expected.values())) == 1:
        raise SystemExit("the two indexes answer the same, so nothing could be seen: give more --films")
    return {"undisturbed": undisturbed, "answers": expected, "film": film.name}


def kill_once(work: Path, known: dict[str, Any], step: str, moment: float) -> dict[str, Any]:
    """Start a step, kill it, look at the index, run it again."""
    out, log = work / "killed", work / "log"
    shutil.rmtree(out, ignore_errors=True)
    if step == "build":
        shutil.copytree(work / "survivor", out)
    killed = run(command(step, work, out), out, log, kill_after=moment)
    row = {"step": step, "killed": killed["status"] == -signal.SIGKILL, "killed_after_s": round(moment, 2)}
    if not row["killed"]:
        return row | {"status": killed["status"]}
    film = work / "films" / "images" / known["film"]
    said = answers(out if step == "build" else work / "survivor", film)
    moved = step == "build" and (out / "CURRENT").read_text() != (work / "survivor" / "CURRENT").read_text()
    again = run(command(step, work, out), out, log)
    of_step = known["undisturbed"][step]
    return row | {
        "last_line": re.sub(r"\S*/\S*", "...", killed["last_line"]),
        "current_had_moved": moved,
        "last_index_right": said == known["answers"]["undisturbed-build" if moved else "survivor"],
        "next_run_ends": again["status"] == 0,
        "next_run_equal": again["status"] == 0 and outcome(step, out) == of_step["outcome"],
        "no_left_overs": again["status"] == 0 and tree(out) == of_step["files"],
    }


def markdown(record: dict[str, Any]) -> str:
    """The result as Markdown."""
    rows = record["kills"]
    lines = [
        f"# Kill -9 at {len(rows)} random moments",
        "",
        f"{record['films']} generated films; further {record['n_not_killed']} runs ended before their kill and do not count.",
        "",
        "| step | kills | works undisturbed, s | " + " | ".join(PROMISES.values()) + " |",
        "|---|---|---|" + "---|" * len(PROMISES),
    ]
    counts = Counter(row["step"] for row in rows)
    for step in STEPS:
        kept = [str(sum(row[promise] for row in rows if row["step"] == step)) for promise in PROMISES]
        lines.append(f"| {step} | {counts[step]} | {record['undisturbed_s'][step]:.1f} | {' | '.join(kept)} |")
    totals = [f"**{sum(row[promise] for row in rows)} of {len(rows)}**" for promise in PROMISES]
    lines += [f"| all | {len(rows)} | | {' | '.join(totals)} |", "", "The moments:", ""]
    for row in rows:
        moved = "; CURRENT had moved" if row["current_had_moved"] else ""
        lines.append(f"- {row['step']}, {row['killed_after_s']:.2f} s, last line `{row['last_line']}`{moved}")
    return "\n".join([*lines, "", environment_line(record["environment"]), ""])


def main() -> None:
    parser = parser_of(__doc__, work="kill")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--films", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    found = environment()
    settings = {"films": options.films, "seed": options.seed, "commit": found["commit"]}
    state_file = options.work / "state.json"
    state = json.loads(state_file.read_text(encoding="utf-8")) if state_file.exists() else {}
    if state.get("settings") != settings:
        shutil.rmtree(options.work, ignore_errors=True)
        options.work.mkdir(parents=True)
        state = {"settings": settings, "known": prepare(options.work, options), "rows": []}
        state_file.write_text(json.dumps(state), encoding="utf-8")
    known, rows = state["known"], state["rows"]
    while (n_killed := sum(row["killed"] for row in rows)) < options.kills:
        if len(rows) >= 5 * options.kills:
            raise SystemExit(f"only {n_killed} of {len(rows)} runs could be killed before their end")
        step = STEPS[n_killed % len(STEPS)]
        share = random.Random(f"{options.seed} {len(rows)}").random()
        rows.append(kill_once(options.work, known, step, share * known["undisturbed"][step]["seconds"]))
        say(rows[-1])
        partial = state_file.with_suffix(".partial")
        partial.write_text(json.dumps(state), encoding="utf-8")
        partial.replace(state_file)
    kills = [row for row in rows if row["killed"]][: options.kills]
    record = {
        "environment": found,
        "films": options.films,
        "undisturbed_s": {step: known["undisturbed"][step]["seconds"] for step in STEPS},
        "kills": kills,
        "n_not_killed": len(rows) - len([row for row in rows if row["killed"]]),
        "kept": {promise: sum(row[promise] for row in kills) for promise in PROMISES},
    }
    write_results(options.results, "kill", record, markdown(record))
    shutil.rmtree(options.work)
    print(markdown(record))


if __name__ == "__main__":
    main()
