"""What the label-aware ranking does: strength chosen on validation queries, test queries asked once. Apart from `ranking_study.py`.

    PYTHONPATH=.:benchmarks python benchmarks/ranking/label_aware_study.py [SET ...] [--data-root DIR] [--report]

The hits are judged by the labels that the ranking reads. So it is compared with nearest only, to see what reading them
changes, and with itself where it may not look at the query's neighbours ("prevalence only": every query is expected to
show what the archive shows; what is left is the order of films by how common their findings are).
Beside it, how good the estimated findings are, before and after calibration: for the test queries, and for films of the
archive that took no part in the fit. Every set is a row of label_aware.jsonl; one that is there is not made again.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from environment import environment, environment_line
from ranking_sets import side_of
from ranking_study import MEASURES, Bench, K, Rows
from record import parser_of, say, write_results

from graphret.evaluation import evaluate_ranking, paired_difference, patient_bootstrap
from graphret.evaluation.queries import rows_with_same
from graphret.retrieval import Archive, LabelAware, QueryBatch, create_ranking
from graphret.retrieval.finding_estimate import SAMPLE
from graphret.tuning import choose_ranking, label_aware_candidates
from graphret.tuning.criteria import SharedFindings

SETS = ("nih", "kermany", "kermany-untrained", "fashion-network", "fashion-pixels", "sim20k")
VERSION = 1
N_BINS, N_FRESH = 15, 1000
EVERYBODY = 1e9
"""Votes for the prevalence, so many that no neighbour counts."""


class LabelledBench(Bench):
    """A side of a set whose archive knows the findings of its films."""

    @cached_property
    def archive(self) -> Archive:
        return self.index.labelled_archive

    @cached_property
    def fresh(self) -> tuple[QueryBatch, np.ndarray] | None:
        """Films of the archive that took no part in the calibration, asked without their patient's, and their labels."""
        n = len(self.side.codes)
        rest = np.random.default_rng(0).permutation(n)[SAMPLE : SAMPLE + N_FRESH]  # as `fit_calibration` draws
        if not rest.size:
            return None
        own = [rows.astype(np.int32) for rows in rows_with_same(self.side.patients[rest], self.side.patients)]
        return QueryBatch.of(self.archive, self.side.codes[rest], 1, forbidden=own), self.side.labels[rest]


def calibration_error(p: np.ndarray, truth: np.ndarray) -> float:
    """Expected calibration error over all findings, in bins of equally many estimates."""
    parts = np.array_split(np.argsort(p, axis=None, kind="stable"), N_BINS)
    p, truth = p.ravel(), truth.ravel()
    return float(sum(len(part) * abs(p[part].mean() - truth[part].mean()) for part in parts) / p.size)


def reliability(bench: LabelledBench, options: dict[str, Any]) -> dict[str, Any]:
    """Brier score and calibration error of the findings, before and after calibration."""
    asked = {"queries": (bench.batch, bench.side.query_labels[bench.order]), "archive": bench.fresh}
    figures: dict[str, Any] = {}
    for whose, given in asked.items():
        for when, calibrate in (("before", False), ("after", True)) if given is not None else ():
            p = LabelAware(bench.archive, **options | {"calibrate": calibrate}).estimate(given[0])
            figures[f"{whose}, {when}"] = {
                "brier": float(((p - given[1]) ** 2).mean()),
                "calibration_error": calibration_error(p, given[1]),
                "n": len(p),
            }
    return figures


def choose(bench: LabelledBench) -> dict[str, Any]:
    """What `graphret tune --label-aware` would choose on the validation queries."""
    side = bench.side
    forbidden = [side.forbidden[row] for row in bench.order]
    labels, patients = side.query_labels[bench.order], side.query_patients[bench.order]
    criterion = SharedFindings(labels, side.labels, patients, forbidden, MEASURES)
    tuning = choose_ranking(bench.archive, bench.batch, criterion, label_aware_candidates())
    kept = {name: value for name, value in tuning.to_dict().items() if name in {"ranking", "options", "difference"}}
    trials = [{"options": dict(trial.options), "n_queries": trial.n_queries, "value": trial.value,
               "variety": trial.variety} for trial in tuning.trials]  # fmt: skip
    return kept | {"trials": trials}


def ask(bench: LabelledBench, chosen: dict[str, Any]) -> dict[str, Any]:
    """Rank the test queries with what was chosen, and compare query by query with nearest."""
    best = chosen["options"]
    methods = {
        "nearest": ("nearest", {}),
        "label_aware": (chosen["ranking"], best),
        "not calibrated": (chosen["ranking"], best | {"calibrate": False}),
        "prevalence only": (chosen["ranking"], best | {"prior": EVERYBODY}),
        "defaults": ("label_aware", {}),
    }
    if chosen["ranking"] != "label_aware":  # no strength was clearly better than nearest
        methods = {name: methods[name] for name in ("nearest", "defaults")}
    side, patients = bench.side, bench.side.query_patients
    found, results = {}, {}
    for name, (ranking, options) in methods.items():
        lists = np.empty((len(bench.order), K), np.int32)
        lists[bench.order] = create_ranking(ranking, bench.archive, **options).rank(bench.batch, K).positions
        found[name] = evaluate_ranking(lists, side.query_labels, side.labels, MEASURES, excluded=side.forbidden)
        first = lists[:, :10]
        results[name] = {
            "options": options,
            "uses_labels": ranking == "label_aware",
            "variety": float(np.unique(first).size / min(first.size, len(side.codes))),
            "findings_of_a_hit": float(side.labels[first].sum(axis=2).mean()),
            "scores": {m: patient_bootstrap(found[name][m], patients).to_dict() for m in MEASURES},
            "from_nearest": {
                m: paired_difference(found[name][m], found["nearest"][m], patients).to_dict() for m in MEASURES
            },
        }
    if "prevalence only" in results:
        results["label_aware"]["from_prevalence_only"] = {
            m: paired_difference(found["label_aware"][m], found["prevalence only"][m], patients).to_dict()
            for m in MEASURES
        }
    return results


def study(name: str, rows: Rows, data_root: Path) -> None:
    """Validation, then the test queries, once."""
    if rows.find(set=name) is not None:
        return
    say(f"{name}: validation")
    chosen = choose(LabelledBench(name, "validation", side_of(name, "validation", data_root)))
    say(f"{name}: test, {chosen['ranking']} {chosen['options']}")
    bench = LabelledBench(name, "test", side_of(name, "test", data_root))
    counts = {"films": len(bench.side.codes), "queries": len(bench.side.query_codes)}
    counts["no_finding"] = int((~bench.side.labels.any(axis=1)).sum())
    results = ask(bench, chosen)
    rows.add({"set": name, "chosen": chosen, "counts": counts, "results": results}
             | {"reliability": reliability(bench, chosen["options"])})  # fmt: skip


def markdown(record: dict[str, Any]) -> str:
    """The tables of all sets."""
    lines = [
        "# The label-aware ranking: apart, because it uses the archive's labels at query time",
        "",
        "**Not to be compared with rankings that see codes only.** Hits count by shared findings, and this ranking reads the findings of the films. "
        "Strength and votes were chosen on validation queries (the best of 24 that keeps half of nearest's variety); the test queries were asked once. "
        "Differences are from nearest, paired, 95 % bootstrap intervals over patients. `prevalence only` may not look at the query's neighbours: it shows how much "
        "is gained by preferring films with (common) findings, whatever the query shows. `defaults` is the ranking without tuning.",
        "",
        "Said openly: the test queries of nih, kermany, kermany-untrained and fashion-network were asked a second time, with the same choice and nothing else changed, "
        "when the difference from `prevalence only` was added.",
        "",
        "| set | ranking | "
        + " | ".join(MEASURES)
        + " | from nearest, "
        + ", ".join(MEASURES)
        + " | variety | findings a hit |",
        "|---|---|" + "---|" * (len(MEASURES) + 3),
    ]
    for row in record["rows"]:
        for name, result in row["results"].items():
            figures = " | ".join(f"{result['scores'][m]['mean']:.3f}" for m in MEASURES)
            differences = (
                "; ".join(_interval(result["from_nearest"][m]) for m in MEASURES) if name != "nearest" else "-"
            )
            lines.append(
                f"| {row['set']} | {name} | {figures} | {differences} | {result['variety']:.2f} | {result['findings_of_a_hit']:.2f} |"
            )
    lines += [
        "",
        "## What estimating the query's findings adds",
        "",
        "`label_aware` less `prevalence only`: the part that is not just a preference for films with (common) findings.",
        "",
        "| set | " + " | ".join(MEASURES) + " |",
        "|---|" + "---|" * len(MEASURES),
    ]
    for row in record["rows"]:
        added = row["results"].get("label_aware", {}).get("from_prevalence_only", {})
        if added:
            lines.append(f"| {row['set']} | " + " | ".join(_interval(added[m]) for m in MEASURES) + " |")
    lines += ["", "Chosen on the validation queries:", ""]
    for row in record["rows"]:
        options = ", ".join(f"{name} {value}" for name, value in row["chosen"]["options"].items()) or "none"
        counts = row["counts"]
        lines.append(
            f"- {row['set']}: {row['chosen']['ranking']}, {options}; {counts['films']:,} films, {counts['no_finding']:,} of them without a finding; "
            f"{counts['queries']:,} test queries"
        )
    lines += [
        "",
        "## How good the estimated findings are",
        "",
        "All findings of a set together; calibration error in 15 bins of equally many estimates. *archive*: up to 1,000 films of the archive that took no part in the fit, asked without "
        "their patient's films. *queries*: the test queries. These all have a finding, films of an archive need not, and an encoder knows its training films "
        "better than new ones: what is calibrated on the archive is not calibrated for such queries.",
        "",
        "| set | whose | films | Brier before | after | calibration error before | after |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in record["rows"]:
        for whose in ("archive", "queries"):
            before, after = (row["reliability"].get(f"{whose}, {when}") for when in ("before", "after"))
            if before is not None:
                lines.append(
                    f"| {row['set']} | {whose} | {before['n']:,} | {before['brier']:.4f} | {after['brier']:.4f} | "
                    f"{before['calibration_error']:.4f} | {after['calibration_error']:.4f} |"
                )
    return "\n".join([*lines, "", environment_line(record["environment"]), ""])


def _interval(figure: dict[str, Any]) -> str:
    return f"{figure['mean']:+.3f} ({figure['low']:+.3f} to {figure['high']:+.3f})"


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("sets", nargs="*", metavar="SET", help=f"of {', '.join(SETS)}; all if none is named")
    parser.add_argument("--data-root", type=Path, default=Path("../shared/data"), help="folder of the real films")
    parser.add_argument("--report", action="store_true", help="only make the tables from the rows")
    options = parser.parse_args()
    rows = Rows(options.results / "label_aware.jsonl", VERSION)
    for name in () if options.report else options.sets or SETS:
        study(name, rows, options.data_root)
    record = {"environment": environment(), "rows": sorted(rows.rows, key=lambda row: SETS.index(row["set"]))}
    write_results(options.results, "label_aware", record, markdown(record))


if __name__ == "__main__":
    main()
