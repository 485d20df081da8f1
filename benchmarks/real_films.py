"""The engine on real films: train from scratch, build, and compare rankings on held-out queries.

    python benchmarks/real_films.py nih --data-root ../shared/data/nih --size 96 --epochs 20
    python benchmarks/real_films.py kermany --data-root ../shared/data/kermany --size 64 --epochs 12

Two evaluations. "Validation": an index of the training films, asked with the validation films; whatever is chosen
(the default ranking) is chosen here. "Test": an index of training and validation films, asked once with the test
films. No split shares a patient. Training resumes where it was stopped. Only figures leave the work folder, no film.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import time
from pathlib import Path

import numpy as np
from environment import environment, environment_line

import graphret
from graphret.encoders import Encoder
from graphret.training import classifier_auc

RESULTS = Path(__file__).parent / "results"
RANKINGS = ("nearest", "region_growing", "alpha_qe", "diffusion")
MEASURES = ("P@10", "ACG@10", "nDCG@100", "mAP@100")


def progress(stage: str, done: int, total: int) -> None:
    if done == total:
        print(f"{time.strftime('%H:%M:%S')} {stage} {done}", file=sys.stderr, flush=True)


def near_duplicates(path: Path, table: graphret.ImageTable) -> tuple[list[str], dict[str, int]]:
    """Ids to leave out of the archive because nearly the same film is a query, and how many pairs lie how."""
    if not path.exists():
        return [], {}
    split_of = {
        Path(film).name: (split, film_id)
        for film, split, film_id in zip(table.paths, table.splits, table.ids, strict=True)
    }
    left_out, counts = [], {"pairs": 0, "between splits": 0}
    with path.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            ends = [split_of.get(Path(row[end]).name) for end in ("file_a", "file_b")]
            if None in ends:
                continue
            counts["pairs"] += 1
            if ends[0][0] != ends[1][0]:
                counts["between splits"] += 1
                order = {"train": 0, "valid": 1, "test": 2}
                left_out.append(min(ends, key=lambda end: order[end[0]])[1])
    return left_out, counts


def evaluated(table, encoder, archive_splits: list[str], queries: str, out: Path, rankings: tuple[str, ...]) -> dict:
    """Index some splits, ask with the films of another, and return the report as a dictionary."""
    archive = table.select(np.isin(table.splits, archive_splits))
    index = graphret.build(archive, encoder, out=out, progress=progress)
    report = graphret.evaluate(
        index, table.split(queries), measures=MEASURES, rankings=rankings, reference="nearest", exclude="patient"
    )
    return {"report": report.to_dict(), "index": {key: index.info()[key] for key in ("counts", "graph", "communities")}}


def rows_of(report: dict) -> list[str]:
    """One line of Markdown for every ranking."""
    lines = ["| ranking | " + " | ".join(MEASURES) + " |", "|---|" + "---|" * len(MEASURES)]
    for ranking in report["rankings"]:
        cells = []
        for measure in MEASURES:
            figure = ranking["measures"][measure]
            cells.append(f"{figure['mean']:.3f} ({figure['low']:.3f} to {figure['high']:.3f})")
        lines.append(f"| {ranking['name']} | " + " | ".join(cells) + " |")
    return lines


def markdown(record: dict) -> str:
    """The result as Markdown."""
    training = record["training"]
    auc = record["test_auc"]
    lines = [
        f"# {record['card']}: DenseNet-121 from scratch at {training['size']} px",
        "",
        f"{record['films']}. Trained for {training['epochs']} epochs in {training['seconds'] / 60:.1f} minutes on two cores "
        f"({training['note']}). Mean AUC on the test films **{np.mean(list(auc.values())):.3f}** ("
        + ", ".join(f"{name} {value:.2f}" for name, value in auc.items())
        + ").",
        "",
        'Mean and 95 % bootstrap interval over patients. Films of the query\'s patient are left out. "untrained" is the same '
        'network with its first random weights, nearest by cosine; "random" is the chance level.',
        "",
        "## Validation (what the default is chosen on)",
        "",
        *rows_of(record["validation"]["report"]),
        "",
        "## Test (asked once)",
        "",
        *rows_of(record["test"]["report"]),
        "",
        "Untrained:",
        "",
        *rows_of(record["untrained"]["report"]),
        "",
        f"Near duplicates: {record['near_duplicates'] or 'no list'}; the archive's end of a pair between splits is left out.",
        "",
        "These films are a small selection: the figures do not stand beside published ones on the whole data sets.",
        "",
        environment_line(record["environment"]),
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("card")
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--max-minutes", type=float, default=55.0)
    parser.add_argument("--note", default="nothing else ran", help="what else the machine did during the training")
    parser.add_argument("--work", type=Path, default=Path.home() / ".cache/graphret-benchmarks")
    options = parser.parse_args()
    work = options.work / options.card
    table = graphret.read_dataset(options.card, options.data_root)
    left_out, pairs = near_duplicates(options.data_root.parent / "near_duplicates.csv", table)
    settings = {"size": options.size, "epochs": options.epochs, "max_minutes": options.max_minutes}
    folder = work / f"densenet121-{options.size}"
    encoder = graphret.train(table, "densenet121", out=folder, progress=progress, **settings)
    history = json.loads((folder / "history.json").read_text(encoding="utf-8"))
    kept = table.select(~np.isin(table.ids, left_out))
    untrained = Encoder.untrained("densenet121", table.label_names, size=options.size, seed=0)
    counts = {split: int((table.splits == split).sum()) for split in ("train", "valid", "test")}
    record = {
        "environment": environment(),
        "card": options.card,
        "films": f"{len(table)} films of {len(set(table.patients))} patients "
        + "(" + ", ".join(f"{split} {number}" for split, number in counts.items()) + ")",
        "near_duplicates": pairs,
        "training": {**settings, "seconds": sum(epoch["seconds"] for epoch in history["epochs"]), "note": options.note},
        "history": history["epochs"],
        "validation": evaluated(kept, encoder, ["train"], "valid", work / "index-validation", RANKINGS),
        "test": evaluated(kept, encoder, ["train", "valid"], "test", work / "index-test", RANKINGS),
        "untrained": evaluated(kept, untrained, ["train", "valid"], "test", work / "index-untrained", ("nearest",)),
        "test_auc": classifier_auc(encoder, table, split="test"),
    }  # fmt: skip
    RESULTS.mkdir(exist_ok=True)
    name = f"real_films_{options.card}"
    (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    (RESULTS / f"{name}.md").write_text(markdown(record), encoding="utf-8")
    print(markdown(record))


if __name__ == "__main__":
    main()
