"""The engine on real films: train from scratch, build, and compare rankings on held-out queries.

    python benchmarks/real_films.py nih     [--data-root ../shared/data] --size 64 --epochs 20
    python benchmarks/real_films.py kermany [--data-root ../shared/data] --size 64 --epochs 10

First the validation: an index of the training films, asked with the validation films. What is chosen (a default
ranking, by the rule of `choose`) is chosen on these figures, and they are written before a test film is read, to
real_films_CARD_validation. Then the test, to real_films_CARD: an index of the training and validation films, asked
with the test films. No split shares a patient, and near duplicates do not lie on both sides of a comparison. Training
goes on where it was stopped, building too. Only figures leave the work folder, never a film.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from environment import environment
from real_films_tables import test_markdown, validation_markdown
from record import parser_of, progress, say, write_results

import graphret
from graphret.encoders import Encoder
from graphret.training import classifier_auc

if TYPE_CHECKING:
    import argparse

RANKINGS = ("nearest", "region_growing", "alpha_qe", "diffusion")
MEASURES = ("P@10", "ACG@10", "nDCG@100", "mAP@100")
CHOSEN_BY = "nDCG@100"
SPLITS = ("train", "valid", "test")
RULE = (
    f"the ranking with the highest mean {CHOSEN_BY} on the validation films, if the interval of its difference from "
    "nearest lies above zero; otherwise nearest"
)


@dataclass(frozen=True)
class NearDuplicates:
    """Pairs of nearly the same film, as rows of a table of films; ``known`` says whether there was a list."""

    pairs: tuple[tuple[int, int], ...]
    known: bool

    @classmethod
    def read(cls, file: Path, table: graphret.ImageTable) -> NearDuplicates:
        """Read ``file_a, file_b``, paths beside the list, and keep the pairs that are both in the table."""
        if not file.exists():
            return cls((), known=False)
        row_of = {Path(path).resolve(): row for row, path in enumerate(table.paths)}
        pairs = []
        with file.open(encoding="utf-8") as lines:
            for line in csv.DictReader(lines):
                ends = [row_of.get((file.parent / line[name]).resolve()) for name in ("file_a", "file_b")]
                if None not in ends:
                    pairs.append((ends[0], ends[1]))
        return cls(tuple(pairs), known=True)

    def of_queries(self, is_archive: np.ndarray, is_query: np.ndarray) -> list[int]:
        """Rows of the archive that are nearly the same film as a query."""
        both_ways = [*self.pairs, *(pair[::-1] for pair in self.pairs)]
        return sorted({here for here, there in both_ways if is_archive[here] and is_query[there]})

    def counts(self, splits: np.ndarray) -> dict[str, int]:
        """How many pairs there are, and how many of them lie in two splits, by the names of those."""
        straddling = {f"{one} and {other}": 0 for one, other in (SPLITS[:2], SPLITS[::2], SPLITS[1:])}
        for ends in self.pairs:
            here, there = sorted((str(splits[row]) for row in ends), key=SPLITS.index)
            if here != there:
                straddling[f"{here} and {there}"] += 1
        return {"pairs": len(self.pairs), **straddling}


def evaluated(
    table: graphret.ImageTable,
    duplicates: NearDuplicates,
    encoder: Encoder,
    archive_splits: list[str],
    queries: str,
    out: Path,
    rankings: tuple[str, ...] = RANKINGS,
) -> dict[str, Any]:
    """Index some splits, ask with the films of another, and return report and index as plain data."""
    is_archive = np.isin(table.splits, archive_splits)
    left_out = duplicates.of_queries(is_archive, table.splits == queries)
    is_archive[left_out] = False
    index = graphret.build(table.select(is_archive), encoder, out=out, tune=False, progress=progress())
    report = graphret.evaluate(
        index,
        table.split(queries),
        measures=MEASURES,
        rankings=rankings,
        baselines=("random",),
        reference="nearest",
        exclude="patient",
        progress=progress(),
    )
    info = index.info()
    return {
        "archive": " and ".join(archive_splits),
        "queries": queries,
        "near_duplicates_left_out": len(left_out),
        "index": {key: info[key] for key in ("counts", "parameters", "graph", "communities")},
        "report": report.to_dict(),
    }


def choose(report: dict[str, Any]) -> str:
    """Choose a default ranking from a report on validation films, by the rule of this file."""
    rows = {row["name"]: row["measures"][CHOSEN_BY]["mean"] for row in report["rankings"] if row["name"] != "random"}
    best = max(rows, key=lambda name: rows[name])
    if best == "nearest":
        return best
    low = report["differences"][best][CHOSEN_BY]["low"]
    return best if low is not None and low > 0 else "nearest"


def training_record(folder: Path, note: str) -> dict[str, Any]:
    """What the history of a training says, in plain data; the paths of films that could not be read stay out of it."""
    file = folder / "history.json"
    if not file.exists():
        raise SystemExit("no epoch was finished: give more --max-minutes; the same command goes on")
    history = json.loads(file.read_text(encoding="utf-8"))
    epochs = history["epochs"]
    best = max(epochs, key=lambda epoch: (epoch["best"], epoch["epoch"]))
    return {
        "encoder": history["encoder"],
        "parameters": history["training"],
        "epochs": epochs,
        "best_epoch": best["epoch"],
        "validation_auc": best["auc"],
        "seconds": sum(epoch["seconds"] for epoch in epochs),
        "films_per_second": float(np.median([epoch["films_per_second"] for epoch in epochs])),
        "unreadable_films": len(history["problems"]),
        "note": note,
    }


def count_films(table: graphret.ImageTable) -> dict[str, dict[str, int]]:
    """Films and patients of every split."""
    masks = {split: table.splits == split for split in SPLITS}
    return {
        split: {"films": int(mask.sum()), "patients": len(set(table.patients[mask]))} for split, mask in masks.items()
    }


def run(options: argparse.Namespace) -> None:
    """Train, validate, write; then test, write."""
    found = environment()
    root = options.data_root / (options.folder or options.spec)
    work = options.work / options.spec
    table = graphret.read_dataset(options.spec, root)
    table.check_patients()
    if not (table.splits == "valid").any() or not (table.splits == "test").any():
        raise SystemExit(f"the data set {options.spec!r} needs the splits train, valid and test")
    duplicates = NearDuplicates.read(options.data_root / "near_duplicates.csv", table)
    say(f"{len(table)} films; near duplicates: {duplicates.counts(table.splits)}")

    folder = work / f"{options.encoder}-{options.size}"
    encoder = graphret.train(
        table,
        options.encoder,
        out=folder,
        size=options.size,
        epochs=options.epochs,
        max_minutes=options.max_minutes,
        seed=options.seed,
        progress=progress(),
    )
    record: dict[str, Any] = {
        "environment": found,
        "spec": options.spec,
        "films": count_films(table),
        "near_duplicates": duplicates.counts(table.splits) if duplicates.known else None,
        "training": training_record(folder, options.note),
    }
    validation = evaluated(table, duplicates, encoder, ["train"], "valid", work / "index-validation")
    record |= {"rule": RULE, "chosen": choose(validation["report"]), "validation": validation}
    name = f"real_films_{options.spec}"
    write_results(options.results, f"{name}_validation", record, validation_markdown(record))
    say(f"chosen on the validation films: {record['chosen']}")

    untrained = Encoder.untrained(options.encoder, table.label_names, size=options.size, seed=options.seed)
    archive = ["train", "valid"]
    del record["validation"]  # it has a file of its own
    test_films = table.split("test")
    record |= {
        "test": evaluated(table, duplicates, encoder, archive, "test", work / "index-test"),
        "untrained": evaluated(
            table, duplicates, untrained, archive, "test", work / "index-untrained", ("nearest", "region_growing")
        ),
        "test_auc": classifier_auc(encoder, table, split="test"),
        "test_positives": dict(
            zip(table.label_names, (test_films.labels == 1).sum(axis=0).tolist(), strict=True)
        ),
    }  # fmt: skip
    write_results(options.results, name, record, test_markdown(record))
    print(validation_markdown(record | {"validation": validation}))
    print(test_markdown(record))


def main() -> None:
    parser = parser_of(__doc__, work=".")
    parser.add_argument("spec", help="nih, kermany, or another dataset spec with films under --data-root")
    parser.add_argument("--data-root", type=Path, default=Path("../shared/data"), help="folder of the data sets")
    parser.add_argument(
        "--folder", help="folder of the dataset spec's films under --data-root; the name of the dataset spec"
    )
    parser.add_argument("--encoder", default="densenet121")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--max-minutes", type=float, default=55.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--note", default="", help="what else the machine did during the training")
    run(parser.parse_args())


if __name__ == "__main__":
    main()
