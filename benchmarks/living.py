"""An archive that lives: what a change costs beside a rebuild, and what many changes leave of a full build's quality.

    python benchmarks/living.py [--n 20000] [--steps 50] [--queries 500] [--no-times]

Simulated NIH codes: four fifths are built, then films come (20 % of n) and go (10 % of n) in steps, without a rebuild.
At the end the same films are built afresh. Compared are P@10 of nearest and of region growing (a hit is relevant if it
shares a finding with the query), modularity, edges, and how many films that were never touched kept their community
number. Times are wall-clock times of one run each, and left out with --no-times, for a machine that does other work as
well; bytes are those that a generation holds alone (hard links count nothing).
"""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING, Any

import numpy as np
from environment import environment, environment_line
from record import limits_table, parser_of, say, write_results
from simulated_codes import simulate

import graphret

if TYPE_CHECKING:
    from collections.abc import Callable

RANKINGS = ("nearest", "region_growing")
ADDED, REMOVED = 0.2, 0.1


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """Return what the work gives, and its seconds."""
    began = time.perf_counter()
    found = work()
    return found, time.perf_counter() - began


def own_bytes(index: Any) -> int:
    """Bytes of the files of a generation that no other generation has."""
    files = (path for path in (index.path / index.generation).rglob("*") if path.is_file())
    return sum(path.stat().st_size for path in files if path.stat().st_nlink == 1)


def precision(index: Any, queries: Any, ranking: str) -> float:
    """P@10 of queries of other films: the share of hits that have a finding of the query."""
    hits = index.query(queries.codes, 10, ranking=ranking)
    findings = index.films.labels == 1
    shared = (findings[hits.positions] & (queries.labels == 1)[:, None]).any(axis=2)
    return float(shared[(queries.labels == 1).any(axis=1)].mean())


def measure(options: Any) -> dict[str, Any]:
    """Run the experiment once."""
    archive = simulate(options.n + options.queries)
    rng = np.random.default_rng(0)
    n_added, n_removed = int(ADDED * options.n), int(REMOVED * options.n)
    first = options.n - n_added
    names = archive.ids
    label_names = [f"finding{number}" for number in range(archive.labels.shape[1])]

    def described(rows: Any) -> dict[str, Any]:
        return {
            "ids": names[rows],
            "labels": archive.labels[rows],
            "label_names": label_names,
            "patients": archive.patients[rows],
        }

    root = options.work / "living"
    shutil.rmtree(root, ignore_errors=True)
    settings = {"k": 50, "tune": False}
    index, built = timed(
        lambda: graphret.build(archive.codes[:first], out=root / "changed", **described(slice(first)), **settings)
    )
    before = dict(zip(index.films.ids.tolist(), index.communities.tolist(), strict=True))
    rebuilt_quality = index.manifest["communities"]["quality"]
    adds, removes, sizes = [], [], []
    for step, rows in enumerate(np.array_split(np.arange(first, options.n), options.steps)):
        index, seconds = timed(lambda index=index, rows=rows: index.add(archive.codes[rows], **described(rows)))
        adds.append(seconds)
        sizes.append(own_bytes(index))
        gone = rng.choice(index.films.ids, n_removed // options.steps, replace=False)
        index, seconds = timed(lambda index=index, gone=gone: index.remove(gone))
        removes.append(seconds)
        say(f"step {step + 1} of {options.steps}: add {adds[-1]:.1f} s, remove {removes[-1]:.1f} s")
    after = dict(zip(index.films.ids.tolist(), index.communities.tolist(), strict=True))
    untouched = [name for name in before if name in after]
    kept = float(np.mean([before[name] == after[name] for name in untouched]))
    place = {name: row for row, name in enumerate(names.tolist())}
    left = np.array([place[name] for name in index.films.ids.tolist()])
    fresh, fresh_seconds = timed(
        lambda: graphret.build(archive.codes[left], out=root / "fresh", **described(left), **settings)
    )
    _, opened = timed(lambda: graphret.open(index.path))
    _, verified = timed(index.verify)
    queries = simulate(options.n + options.queries)
    tail = slice(options.n, None)
    asked = type(queries)(*(getattr(queries, name)[tail] for name in ("codes", "labels", "ids", "patients", "views")))
    return {
        "n": options.n,
        "steps": options.steps,
        "films": {"built": first, "added": n_added, "removed": first + n_added - len(left), "left": len(left)},
        "seconds": {
            "first build": built,
            "add, mean": float(np.mean(adds)),
            "remove, mean": float(np.mean(removes)),
            "fresh build": fresh_seconds,
            "open": opened,
            "verify": verified,
        },
        "bytes of a generation of its own, mean": float(np.mean(sizes)),
        "P@10": {ranking: [precision(one, asked, ranking) for one in (index, fresh)] for ranking in RANKINGS},
        "modularity": [index.manifest["communities"]["quality"], fresh.manifest["communities"]["quality"]],
        "modularity of the first build": rebuilt_quality,
        "edges": [index.manifest["counts"]["edges"], fresh.manifest["counts"]["edges"]],
        "short lists": index.manifest["changes"]["short_lists"],
        "share of untouched films that kept their community": kept,
        "environment": environment(),
    }


def markdown(record: dict[str, Any]) -> str:
    """The record as a page."""
    films, seconds = record["films"], record.get("seconds", {})
    kept = record["share of untouched films that kept their community"]
    limits = [
        *(
            (f"P@10 of {name}, below that of a fresh build by", afresh - changed, "<", 0.005)
            for name, (changed, afresh) in record["P@10"].items()
        ),
        ("modularity, below that of a fresh build by", record["modularity"][1] - record["modularity"][0], "<", 0.01),
        ("share of untouched films that kept their community", kept, ">=", 0.95),
    ]
    lines = [
        "# A living archive",
        "",
        f"{films['built']:,} simulated films built, {films['added']:,} added and {films['removed']:,} removed in "
        f"{record['steps']} steps without a rebuild; beside it the same {films['left']:,} films built afresh.",
        "",
        *limits_table(limits),
        "",
        "| | changed | afresh |",
        "|---|---|---|",
        *(f"| P@10, {name} | {one:.4f} | {two:.4f} |" for name, (one, two) in record["P@10"].items()),
        "| modularity | {:.4f} | {:.4f} |".format(*record["modularity"]),
        "| edges | {:,} | {:,} |".format(*record["edges"]),
        "",
        f"{kept:.1%} of the films that were there all the time "
        f"kept their community number; {record['short lists']:,} films have fewer than k neighbours.",
        "",
        *(["| | seconds |", "|---|---|"] if seconds else ["Times were not taken: the machine did other work as well."]),
        *(f"| {name} | {value:.2f} |" for name, value in seconds.items()),
        "",
        environment_line(record["environment"]),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the script."""
    parser = parser_of(__doc__, work="living")
    parser.add_argument("--n", type=int, default=20_000, help="films")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--no-times", action="store_true", help="leave seconds out of the record")
    options = parser.parse_args()
    record = measure(options)
    if options.no_times:
        del record["seconds"]
    write_results(options.results, "living", record, markdown(record))


if __name__ == "__main__":
    main()
