"""The same index to the bit: hashes of graph, partition and every file, in several runs and with 1 and 2 threads.

    python benchmarks/reproducible.py [--n 20000] [--threads 2 2 1 1]

Every build runs in a process of its own. One more build, with another seed, must give another partition of the same
graph: it shows that the hashes can differ.
"""

from __future__ import annotations

import shutil
from typing import Any

from build_index import prepare
from environment import environment, environment_line
from index_steps import run_step
from record import parser_of, write_results

HASHES = ("graph_sha256", "communities_sha256", "files_sha256")


def verdict(builds: list[dict[str, Any]], control: dict[str, Any]) -> dict[str, bool]:
    """Which hashes are equal in all builds, and whether another seed changes the partition and only it."""
    first = builds[0]
    equal = {key: all(build[key] == first[key] for build in builds) for key in HASHES}
    return equal | {
        "another seed: same graph": control["graph_sha256"] == first["graph_sha256"],
        "another seed: other partition": control["communities_sha256"] != first["communities_sha256"],
    }


def markdown(record: dict[str, Any]) -> str:
    """The result as Markdown."""
    lines = [
        f"# {len(record['builds'])} builds of an index of {record['n']:,} simulated codes",
        "",
        "| build | threads | seed | graph | partition |",
        "|---|---|---|---|---|",
    ]
    for number, build in enumerate([*record["builds"], record["control"]], 1):
        hashes = " | ".join(f"`{build[key][:16]}`" for key in HASHES[:2])
        lines.append(f"| {number} | {build['n_threads']} | {build['seed']} | {hashes} |")
    lines += ["", "| | |", "|---|---|"]
    for what, holds in record["verdict"].items():
        name = what.replace("_sha256", " hashes equal in all builds of seed 0")
        lines.append(f"| {name} | {'yes' if holds else '**no**'} |")
    return "\n".join([*lines, "", environment_line(record["environment"]), ""])


def main() -> None:
    parser = parser_of(__doc__, work="reproducible")
    parser.add_argument("--n", type=int, default=20_000)
    parser.add_argument("--threads", type=int, nargs="+", default=[2, 2, 1, 1], help="one build for each")
    options = parser.parse_args()
    found = environment()
    prepare(options.work, options.n, 1)
    builds = []
    for seed, n_threads in [*((0, number) for number in options.threads), (1, options.threads[0])]:
        builds.append(run_step("build", options.work, n_threads=n_threads, seed=seed, name="index"))
        shutil.rmtree(options.work / "index")
    *same, control = builds
    record = {
        "environment": found,
        "n": options.n,
        "builds": same,
        "control": control,
        "verdict": verdict(same, control),
    }
    write_results(options.results, "reproducible", record, markdown(record))
    print(markdown(record))


if __name__ == "__main__":
    main()
