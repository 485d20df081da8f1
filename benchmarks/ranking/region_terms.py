"""Does the region help the ranking that an archive chooses? Two ways to take it in, tried on validation queries.

    PYTHONPATH=.:benchmarks python benchmarks/ranking/region_terms.py [SET ...]

Three base lists (nearest; "contextual" with its own options; what the archive chooses, as in `ranking_study.py`) are taken
over by (a) a term for the community of a film: the share of the query's 50 strongest links that end in it, times a weight
in standard deviations of the pool; (b) reciprocal rank fusion (Cormack, Clarke, Buettcher 2009) with the order of region
growing. No test query is asked.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from environment import environment, environment_line
from ranking_sets import side_of
from ranking_study import MEASURES, Bench, K
from record import parser_of, say, write_results

import graphret
from graphret.retrieval import RankingChoice

SETS = ("sim20k", "fashion-network", "fashion-pixels")
WEIGHTS = (0.25, 0.5, 1.0, 2.0)
FUSED = (0.1, 0.3, 1.0)
LINKS, POOL, SMOOTHING = 50, 400, 60


def with_community(bench: Bench, base: Any, weight: float) -> np.ndarray:
    """Order the pool of a base ranking by its score and the share of the query's links into a film's community."""
    communities = bench.index.communities
    own = {"patient": bench.side.query_patients.tolist()}
    near = bench.index.query(bench.side.query_codes, LINKS, ranking="nearest", exclude=own)
    lists = np.full((len(base.positions), K), -1, np.int32)
    for row, (films, scores) in enumerate(zip(base.positions, base.scores, strict=True)):
        films, scores = films[films >= 0], scores[films >= 0]
        linked, strength = near.positions[row], np.maximum(near.similarities[row], 0)
        share = np.bincount(communities[linked], weights=strength, minlength=communities.max() + 1) / strength.sum()
        spread = scores.std() * np.sqrt(len(np.unique(communities[films])))
        lists[row] = films[np.argsort(-(scores + weight * spread * share[communities[films]]), kind="stable")[:K]]
    return lists


def fused(base: np.ndarray, region: np.ndarray, weight: float) -> np.ndarray:
    """Reciprocal rank fusion of two lists a query; ties go to the smaller position."""
    lists = np.full((len(base), K), -1, np.int32)
    for row in range(len(base)):
        score: dict[int, float] = {}
        for films, share in ((base[row], 1.0), (region[row], weight)):
            for rank, film in enumerate(films[films >= 0].tolist()):
                score[film] = score.get(film, 0.0) + share / (SMOOTHING + rank)
        best = sorted(score, key=lambda film: (-score[film], film))[:K]
        lists[row, : len(best)] = best
    return lists


def rows_of(bench: Bench) -> list[dict[str, Any]]:
    """Every base and what each way makes of it."""
    own = {"patient": bench.side.query_patients.tolist()}

    def asked(choice: RankingChoice, k: int) -> Any:
        return bench.index.query(bench.side.query_codes, k, ranking=choice, exclude=own)

    chosen = graphret.tune(bench.index, budget=None).choice
    region = asked(RankingChoice("region_growing"), K).positions
    found = [("region growing", "alone", region)]
    for name, choice in (
        ("nearest", RankingChoice("contextual", {"n": 0, "context": 0.0})),
        ("contextual", RankingChoice("contextual", {})),
        ("chosen by the archive", chosen),
    ):
        base = asked(choice, POOL)
        found.append((name, "alone", base.positions[:, :K]))
        found += [
            (name, f"community share, weight {weight:g}", with_community(bench, base, weight)) for weight in WEIGHTS
        ]
        found += [
            (name, f"fused with region growing, {weight:g}", fused(base.positions[:, :K], region, weight))
            for weight in FUSED
        ]
    return [
        {"set": bench.name, "base": base, "with": way}
        | {measure: float(np.nanmean(values)) for measure, values in bench.scores(lists).items()}
        for base, way, lists in found
    ]


def markdown(record: dict[str, Any]) -> str:
    """One table a set."""
    lines = [
        "# The region beside similarity, validation queries",
        "",
        *(__doc__ or "").split("\n\n")[2].splitlines(),
        "",
    ]
    for name in dict.fromkeys(row["set"] for row in record["rows"]):
        lines += [f"## {name}", "", f"| base | with | {' | '.join(MEASURES)} |", "|---" * (2 + len(MEASURES)) + "|"]
        for row in (row for row in record["rows"] if row["set"] == name):
            lines.append(
                f"| {row['base']} | {row['with']} | {' | '.join(f'{row[measure]:.4f}' for measure in MEASURES)} |"
            )
        lines.append("")
    return "\n".join([*lines, environment_line(record["environment"]), ""])


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("sets", nargs="*", metavar="SET", help=f"{', '.join(SETS)} if none is named")
    parser.add_argument("--data-root", type=Path, default=Path("../shared/data"), help="folder of the real films")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for name in options.sets or SETS:
        say(name)
        rows += rows_of(Bench(name, "validation", side_of(name, "validation", options.data_root)))
        write_results(
            options.results, "region_terms", record := {"environment": environment(), "rows": rows}, markdown(record)
        )


if __name__ == "__main__":
    main()
