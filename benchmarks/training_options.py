"""Which options of a training make codes that retrieve better: the recipe of the paper, each option alone, and all together.

    python benchmarks/training_options.py kermany [--data-root ../shared/data] --size 64 --epochs 12 --seeds 0,1
    python benchmarks/training_options.py kermany --seeds 0,1,2 --forms "as the paper;all and contrast 0.5"
    python benchmarks/training_options.py kermany --report

Each training has the same passes over the training films; what it took beside the plain one stands in the table. An
index of the training films is asked with the validation films, by "nearest" without a tuning: P@10 and mAP@100, and the
mean AUC of the classifier. Test films are not read. Every training is a row of training_options_SPEC.jsonl, so that the
same command goes on where it was stopped. The interval of a difference is over patients; a query's value is the mean of
its seeds.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from environment import environment, environment_line
from record import parser_of, progress, say, write_results

import graphret
from graphret.evaluation import paired_difference
from graphret.training import classifier_auc

if TYPE_CHECKING:
    import argparse

MEASURES = ("P@10", "mAP@100")
_ALL: dict[str, Any] = {
    "augmentation": 0.5,
    "objective_options": {"label_smoothing": 0.1},
    "schedule": "cosine",
    "warmup_iterations": 100,
    "averaging": 0.99,
}
FORMS: dict[str, dict[str, Any]] = {
    "as the paper": {},
    "augmentation 0.5": {"augmentation": 0.5},
    "augmentation 1": {"augmentation": 1.0},
    "label smoothing 0.1": {"objective_options": {"label_smoothing": 0.1}},
    "cosine, warm-up": {"schedule": "cosine", "warmup_iterations": 100},
    "averaging 0.99": {"averaging": 0.99},
    "contrast 0.5": {"objective_options": {"contrast": 0.5}},
    "all": _ALL,
    "all and contrast 0.5": _ALL | {"objective_options": {"label_smoothing": 0.1, "contrast": 0.5}},
}


def measure(table: graphret.ImageTable, form: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Train once, ask with the validation films."""
    folder = options.work / options.spec / f"{options.encoder}-{options.size}-{options.epochs}" / f"{form}-{seed}"
    began = time.process_time()
    encoder = graphret.train(
        table, options.encoder, out=folder, size=options.size, epochs=options.epochs, seed=seed, progress=progress(),
        **FORMS[form],
    )  # fmt: skip
    seconds = time.process_time() - began
    index = graphret.build(table.split("train"), encoder, out=folder / "index", tune=False)
    report = graphret.evaluate(
        index, table.split("valid"), measures=MEASURES, rankings=["nearest"], exclude="patient", baselines=("random",)
    )
    auc = classifier_auc(encoder, table, split="valid")
    return {
        "encoder": options.encoder, "size": options.size, "epochs": options.epochs, "form": form, "seed": seed,
        "best_epoch": encoder.record["validation"]["epoch"], "auc": float(np.nanmean(list(auc.values()))),
        "processor_seconds": seconds, "chance": report["random"].scores["P@10"].mean,
        **{name: report["nearest"].scores[name].mean for name in MEASURES},
        "of_ten": np.rint(10 * report["nearest"].values["P@10"]).astype(int).tolist(),
        "patients": np.unique(report.queries.patients, return_inverse=True)[1].tolist(),
    }  # fmt: skip


def markdown(record: dict[str, Any]) -> str:
    """A row a form: means over seeds, and each seed's difference from the paper's recipe."""
    rows = record["rows"]
    lines = [
        f"# Options of a training: {record['spec']}, validation films", "",
        f"{record['encoder']} at {record['size']} px, {record['epochs']} passes, from scratch; an index of the training films asked with the validation "
        "films, nearest first. No test film was read. Differences are from the paper's recipe with the same seed, one figure a seed; "
        "their interval is over patients, a query's value is the mean of its seeds.", "",
        "| form | seeds | P@10 | difference | interval of its mean | mAP@100 | AUC | difference | processor time |",
        "|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    plain = {row["seed"]: row for row in rows if row["form"] == "as the paper"}
    for form in FORMS:
        found = [row for row in rows if row["form"] == form]
        if found:
            means = {name: np.mean([row[name] for row in found]) for name in (*MEASURES, "auc")}
            gains = {
                name: ", ".join(f"{row[name] - plain[row['seed']][name]:+.3f}" for row in found if row["seed"] in plain)
                for name in ("P@10", "auc")
            }
            times = [
                row["processor_seconds"] / plain[row["seed"]]["processor_seconds"]
                for row in found
                if row["seed"] in plain
            ]
            lines.append(
                f"| {form} | {len(found)} | {means['P@10']:.3f} | {gains['P@10']} | {interval(found, plain)} | "
                f"{means['mAP@100']:.3f} | {means['auc']:.3f} | {gains['auc']} | x {np.mean(times):.2f} |"
            )
    return "\n".join(
        [*lines, "", f"Chance, P@10: {rows[0]['chance']:.3f}.", environment_line(record["environment"]), ""]
    )


def interval(rows: list[dict[str, Any]], plain: dict[int, dict[str, Any]]) -> str:
    """Mean difference of P@10 from the plain trainings of the same seeds, with 95 % over patients."""
    both = [(row, plain[row["seed"]]) for row in rows if row["seed"] in plain]
    if not both or rows[0]["form"] == "as the paper":
        return "-"
    ours, theirs = (np.mean([pair[side]["of_ten"] for pair in both], axis=0) / 10 for side in (0, 1))
    found = paired_difference(ours, theirs, np.array(both[0][0]["patients"]).astype(str))
    return f"{found.mean:+.3f} ({found.low:+.3f} to {found.high:+.3f})"


def main() -> None:
    parser = parser_of(__doc__, work="training-options")
    parser.add_argument("spec", metavar="SPEC", help="a dataset spec with the splits train and valid")
    parser.add_argument("--data-root", type=Path, default=Path("../shared/data"), help="folder of the data sets")
    parser.add_argument("--encoder", default="resnet18")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seeds", default="0", help="separated by commas")
    parser.add_argument("--forms", default=";".join(FORMS), help="names of the table, separated by semicolons")
    parser.add_argument("--report", action="store_true", help="only make the table from the rows")
    options = parser.parse_args()
    forms = options.forms.split(";")
    if unknown := set(forms) - set(FORMS):
        parser.error(f"no form {min(unknown)!r}: the forms are {'; '.join(FORMS)}")
    file = options.results / f"training_options_{options.spec}.jsonl"
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []
    table = None if options.report else graphret.read_dataset(options.spec, options.data_root / options.spec)
    about = {"encoder": options.encoder, "size": options.size, "epochs": options.epochs}
    for seed in () if table is None else [int(text) for text in options.seeds.split(",")]:
        for form in forms:
            key = {**about, "form": form, "seed": seed}
            if table is not None and not any(row.items() >= key.items() for row in rows):
                say(f"{form}, seed {seed}")
                rows.append(measure(table, form, seed, options))
                file.parent.mkdir(parents=True, exist_ok=True)
                with file.open("a", encoding="utf-8") as lines:
                    lines.write(json.dumps(rows[-1], allow_nan=False) + "\n")
    chosen = [row for row in rows if row.items() >= about.items()]
    record = {"environment": environment(), "spec": options.spec, **about, "rows": chosen}
    write_results(options.results, f"training_options_{options.spec}", record, markdown(record))


if __name__ == "__main__":
    main()
