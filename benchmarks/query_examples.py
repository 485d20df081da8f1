"""What several examples are worth as one query, and which weight the negative ones should have.

Codes simulated from the real labels of NIH (`simulated_codes`). A task is a finding and films of it from patients that are
not in the archive: the hits should show the finding. Three films are the positive examples. The negative ones are what a
reader would mark as wrong: the first hits of the positive ones alone that do not show it. P@10 is that of the hits that are
left. Weights are compared on validation tasks; the chosen one is then measured on test tasks of other patients.
"""

from __future__ import annotations

import tempfile
from typing import Any

import numpy as np
from environment import environment, environment_line
from record import parser_of, say, write_results
from simulated_codes import FINDINGS, simulate

import graphret
from graphret.index.examples import NEGATIVE_WEIGHT

WEIGHTS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.5, 1.0)
CASES = (("nearest", 1), ("nearest", 3), ("nearest", 8), ("region_growing", 3))
"""Rankings, each with a number of negative examples."""
N_POSITIVE, K = 3, 10


def tasks(labels: np.ndarray, rows: np.ndarray, n: int, generator: np.random.Generator) -> list[tuple[int, np.ndarray]]:
    """Findings in turn, each with films that show it."""
    drawn = []
    for number in range(n):
        finding = number % len(FINDINGS)
        having = rows[labels[rows, finding] == 1]
        if len(having) >= N_POSITIVE:
            drawn.append((finding, generator.choice(having, N_POSITIVE, replace=False)))
    return drawn


def precision(
    index: graphret.Index, labels: np.ndarray, codes: np.ndarray, drawn: list[Any], n_negative: int, **how: Any
) -> dict[float, np.ndarray]:
    """P@10 by weight, one value a task."""
    values: dict[float, list[float]] = {weight: [] for weight in WEIGHTS}
    for finding, films in drawn:
        first = index.query_examples(codes[films], k=5 * K, **how).ids[0].astype(int)
        wrong = [str(film) for film in first if labels[film, finding] == 0][:n_negative]
        for weight in WEIGHTS:
            hits = index.query_examples(codes[films], wrong or None, K, negative_weight=weight, **how)
            values[weight].append(float((labels[hits.ids[0].astype(int), finding] == 1).mean()))
    return {weight: np.array(found) for weight, found in values.items()}


def main() -> None:
    """Compare weights, and write what was found."""
    parser = parser_of(__doc__)
    parser.add_argument("--n", type=int, default=9_000, help="films; the last 4,000 ask")
    parser.add_argument("--tasks", type=int, default=280)
    options = parser.parse_args()
    made = simulate(options.n)
    n_archive = options.n - 4000
    archived = set(made.patients[:n_archive].tolist())
    strangers = np.array([row for row in range(n_archive, options.n) if made.patients[row] not in archived])
    people = np.unique(made.patients[strangers])
    half = set(people[: len(people) // 2].tolist())
    of_validation = np.array([made.patients[row] in half for row in strangers])
    generator = np.random.default_rng(0)
    record: dict[str, Any] = {"n_archive": n_archive, "environment": environment(), "rows": []}
    with tempfile.TemporaryDirectory() as folder:
        index = graphret.build(made.codes[:n_archive], out=folder, patients=made.patients[:n_archive], k=50)
        for part, rows in (("validation", strangers[of_validation]), ("test", strangers[~of_validation])):
            drawn = tasks(made.labels, rows, options.tasks, generator)
            one = [
                (made.labels[index.query(made.codes[films[:1]], K).ids[0].astype(int), finding] == 1).mean()
                for finding, films in drawn
            ]
            for ranking, n_negative in CASES:
                found = precision(index, made.labels, made.codes, drawn, n_negative, ranking=ranking)
                row = {"part": part, "ranking": ranking, "n_negative": n_negative, "n_tasks": len(drawn)}
                row["one_example_nearest"] = float(np.mean(one))
                row["precision"] = {str(weight): float(values.mean()) for weight, values in found.items()}
                gain = found[NEGATIVE_WEIGHT] - found[0.0]
                row["gain"] = [float(gain.mean()), 1.96 * float(gain.std() / len(gain) ** 0.5)]
                record["rows"].append(row)
                say(row)
    write_results(options.results, "query_examples", record, tables(record))


def tables(record: dict[str, Any]) -> str:
    """Lay the figures out."""
    head = "| tasks | ranking | negative examples | " + " | ".join(f"weight {weight:g}" for weight in WEIGHTS)
    lines = [f"{head} | gain of {NEGATIVE_WEIGHT:g} |", "|---" * (len(WEIGHTS) + 4) + "|"]
    for row in record["rows"]:
        cells = " | ".join(f"{value:.3f}" for value in row["precision"].values())
        gain, half = row["gain"]
        lines.append(
            f"| {row['n_tasks']} {row['part']} | `{row['ranking']}` | {row['n_negative']} | {cells} | "
            f"{gain:+.3f} ± {half:.3f} |"
        )
    alone = ", ".join(
        f"{part} {next(row['one_example_nearest'] for row in record['rows'] if row['part'] == part):.3f}"
        for part in ("validation", "test")
    )
    return (
        f"# Several examples as one query: {record['n_archive']:,} simulated codes\n\n"
        f"P@10 for the finding of {N_POSITIVE} positive examples, by the weight of the negative ones (the first wrong hits "
        f"of the positive ones). One example alone, `nearest`: {alone}. Gain of the default weight over 0, with a 95 % interval.\n\n"
        + "\n".join(lines)
        + f"\n\n{environment_line(record['environment'])}\n"
    )


if __name__ == "__main__":
    main()
