"""Which ranking is best on a code graph, and what a user gets who builds an index and asks, nothing else said.

    PYTHONPATH=.:benchmarks python benchmarks/ranking/ranking_study.py [SET ...] [--minutes 2.5]

Every method of METHODS is tried with every option of its grid on the validation queries of a set. Then each, with its best
options, ranks the test queries. Beside them stands what the archive's own films choose: an index of the test side's archive is
built and tuned (`graphret.build`, without a limit of time), with metrics learned from the archive's labels and without; the
promise of its tuning is compared with what the test queries show. On sim107k the baselines try what was best on sim20k's validation queries, and one step of every option
beside it. `--permutations N` tunes archives of small sets whose labels were dealt out anew, N times: nothing may win there.
Every figure is a row of default_ranking.jsonl, so that the study goes on where it was stopped; rows of another version of the study
are not mixed in. `--report` makes the tables from the rows.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from environment import environment
from ranking_baselines import K, Task, dba, k_reciprocal, lw_whitening, pca_whitening
from ranking_sets import FOLDER, NAMES, Side, side_of
from ranking_tables import markdown
from record import parser_of, say, write_results

import graphret
from graphret.evaluation import evaluate_ranking, paired_difference, patient_bootstrap
from graphret.neighbors import NeighborTable, nearest_neighbors
from graphret.retrieval import QueryBatch, RankingChoice, create_ranking

if TYPE_CHECKING:
    from collections.abc import Callable

    from graphret.index import Index
    from graphret.retrieval import Archive
    from graphret.tuning import Tuning

VERSION = 3
MEASURES = ("P@10", "nDCG@100", "mAP@100")
K_GRAPH, POOL = 50, 400
PERMUTED = ("kermany-untrained", "nih-untrained", "mednist-untrained-32")
"""Sets whose tuning takes seconds."""


def _grid(**options: tuple[Any, ...]) -> list[dict[str, Any]]:
    return [dict(zip(options, values, strict=True)) for values in itertools.product(*options.values())]


METHODS: dict[str, list[dict[str, Any]]] = {
    "nearest": [{}],
    "alpha_qe": _grid(n=(3, 10, 30, 100), alpha=(0.0, 1.0, 3.0)),
    "diffusion": _grid(alpha=(0.8, 0.95), gamma=(1.0, 3.0), edges=(10, 50)),
    "k_reciprocal": [
        {"k1": k1, "k2": k2, "share": share}
        for k1, k2, share in ((10, 3, 0.5), (20, 6, 0.3), (20, 6, 0.7), (40, 6, 0.5))
    ],
    "dba": _grid(n=(3, 10, 30), alpha=(1.0,), queries_too=(False, True)),
    "pca_whitening": [{"power": 0.0, "ridge": 1.0}, *_grid(power=(0.5, 1.0), ridge=(0.1, 1.0))],
    "lw_whitening": _grid(dimensions=(16, 32, 128, 512), ridge=(0.01, 0.1, 1.0, 10.0)),
    "region_growing": _grid(edges=(10, 30, 50)),
}
DEFAULT = {"default": True, "default, nothing learned": False}
"""What the archive chooses, and whether a metric may be learned from its labels. Both are chosen by labels of its films."""
LABELLED = ("lw_whitening",)
"""Baselines that learn from the archive's labels."""
OFFERED = ("nearest", "alpha_qe", "diffusion", "region_growing")
"""Baselines that a user of graphret can ask for by name."""
OWN: dict[str, Callable[..., np.ndarray]] = {
    "k_reciprocal": k_reciprocal,
    "dba": dba,
    "pca_whitening": pca_whitening,
    "lw_whitening": lw_whitening,
}
WITHOUT = {
    "without density": {"density": 0.0, "among": "archive"},
    "without context": {"context": 0.0, "rounds": 1},
    "without expansion": {"n": 0},
    "without whitening": {"whitening": None},
    "without the learned metric": {"learned": False},
}
"""Parts of the tuned contextual ranking that are switched off one at a time, on the test queries."""


@dataclass(frozen=True, eq=False)
class Bench:
    """One side of a set with its archive, ready to be ranked."""

    name: str
    part: str
    side: Side

    @cached_property
    def table(self) -> NeighborTable:
        file = FOLDER / f"neighbors-{self.name}-{self.part}.npz"
        digest = hashlib.sha256(np.ascontiguousarray(self.side.codes).data).hexdigest()
        if file.exists():
            with np.load(file, allow_pickle=False) as kept:
                if str(kept["digest"]) == digest:
                    return NeighborTable(kept["neighbors"], kept["similarities"])
        table = nearest_neighbors(self.side.codes, K_GRAPH)
        np.savez(file, neighbors=table.neighbors, similarities=table.similarities, digest=digest)
        return table

    @cached_property
    def index(self) -> Index:
        """The archive as a user has it, not yet tuned."""
        return self.index_of(self.side.labels)

    def index_of(self, labels: np.ndarray) -> Index:
        folder = FOLDER / f"index-{self.name}-{self.part}"
        shutil.rmtree(folder, ignore_errors=True)
        names = [f"finding {number}" for number in range(labels.shape[1])]
        about = {"labels": labels.astype(np.int8), "label_names": names, "patients": self.side.patients}
        if self.side.splits is not None:
            about["splits"] = self.side.splits
        return graphret.build(self.side.codes, out=folder, k=K_GRAPH, tune=False, **about)

    @cached_property
    def archive(self) -> Archive:
        return self.index.archive

    @cached_property
    def order(self) -> np.ndarray:
        """Random order of the queries, for the rungs of the tuning."""
        return np.random.default_rng(0).permutation(len(self.side.query_codes))

    @cached_property
    def batch(self) -> QueryBatch:
        forbidden = [self.side.forbidden[row] for row in self.order]
        return QueryBatch.of(self.archive, self.side.query_codes[self.order], POOL, forbidden=forbidden)

    @cached_property
    def task(self) -> Task:
        return Task(self.side, self.table.neighbors, self.table.similarities)

    def lists(self, method: str, options: dict[str, Any]) -> np.ndarray:
        """Lists of all queries in the order of the side."""
        if method in OWN:
            return OWN[method](self.task, **options)
        lists = np.empty((len(self.order), K), np.int32)
        lists[self.order] = create_ranking(method, self.archive, **options).rank(self.batch, K).positions
        return lists

    def hits(self, choice: RankingChoice) -> np.ndarray:
        """What the index answers."""
        own = {"patient": self.side.query_patients.tolist()}
        return self.index.query(self.side.query_codes, K, ranking=choice, exclude=own).positions

    def scores(self, lists: np.ndarray) -> dict[str, np.ndarray]:
        return evaluate_ranking(lists, self.side.query_labels, self.side.labels, MEASURES, excluded=self.side.forbidden)


class Rows:
    """Rows of JSON in a file; a figure that is there is not made again, and one of another version of a study is."""

    def __init__(self, file: Path, version: int = VERSION) -> None:
        self.file, self.version = file, version
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        self.rows = [row for row in map(json.loads, lines) if row["version"] == version]

    def find(self, **key: Any) -> dict[str, Any] | None:
        return next((row for row in self.rows if all(row.get(name) == value for name, value in key.items())), None)

    def all(self, **key: Any) -> list[dict[str, Any]]:
        return [row for row in self.rows if all(row.get(name) == value for name, value in key.items())]

    def add(self, row: dict[str, Any]) -> None:
        self.rows.append({"version": self.version, **row})
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(self.rows[-1], allow_nan=False) + "\n")


class OutOfTimeError(Exception):
    """The minutes are over; the same command goes on."""


def validate(bench: Bench, rows: Rows, stop: float) -> None:
    """Try every option of every method on the validation queries, and tune."""
    for method, grid in _grids(bench.name, rows).items():
        for options in grid:
            if rows.find(set=bench.name, part="validation", method=method, options=options) is None:
                _check_time(stop)
                started = time.monotonic()
                scores = bench.scores(bench.lists(method, options))
                means = {name: float(np.nanmean(values)) for name, values in scores.items()}
                row = {"set": bench.name, "part": "validation", "method": method, "options": options, "scores": means}
                rows.add(row | {"value": float(np.mean(list(means.values()))), "seconds": time.monotonic() - started})


def _grids(name: str, rows: Rows) -> dict[str, list[dict[str, Any]]]:
    """METHODS, for the large set only what is at most one step of every option away from the best on the small one."""
    if name != "sim107k":
        return METHODS
    near = {}
    for method, grid in METHODS.items():
        best = _best_of(rows, "sim20k", method)
        steps = {option: [] for option in best}
        for option, tried in steps.items():
            for entry in grid:
                if entry[option] not in tried:
                    tried.append(entry[option])
        near[method] = [
            entry
            for entry in grid
            if all(abs(tried.index(entry[option]) - tried.index(best[option])) <= 1 for option, tried in steps.items())
        ]
    return near


def _best_of(rows: Rows, name: str, method: str) -> dict[str, Any]:
    tried = rows.all(set=name, part="validation", method=method)
    if not tried:
        raise SystemExit(f"the validation of {name} comes first: its grids start from there")
    options: dict[str, Any] = max(tried, key=lambda row: row["value"])["options"]
    return options


def permute(bench: Bench, rows: Rows, n: int, stop: float) -> None:
    """Deal the labels out anew to the films, and tune: what wins then wins by chance."""
    for seed in range(n):
        if rows.find(set=bench.name, part="permuted", seed=seed) is None:
            _check_time(stop)
            labels = np.random.default_rng(seed).permutation(bench.side.labels)
            tuning = graphret.tune(bench.index_of(labels), budget=None)
            row = {"set": bench.name, "part": "permuted", "seed": seed, "ranking": tuning.ranking}
            rows.add(row | {"difference": tuning.difference.to_dict()})


def test(bench: Bench, rows: Rows, stop: float) -> None:
    """Rank the test queries once, by what the validation chose and by what the archive chose; compare query by query."""
    if rows.find(set=bench.name, part="test") is not None:
        return
    _check_time(stop)
    started = time.monotonic()
    tunings = {name: graphret.tune(bench.index, learn=learns, budget=None) for name, learns in DEFAULT.items()}
    seconds = time.monotonic() - started
    best_options = {method: _best_of(rows, bench.name, method) for method in METHODS}
    lists = {method: bench.lists(method, options) for method, options in best_options.items()}
    choices = {name: tuning.choice for name, tuning in tunings.items()}
    choices |= _without(choices["default"])
    lists |= {name: bench.hits(choice) for name, choice in choices.items()}
    ranked = {method: (method, options) for method, options in best_options.items()}
    ranked |= {name: (choice.name, dict(choice.options or {})) for name, choice in choices.items()}
    found = {name: bench.scores(hits) for name, hits in lists.items()}
    size = len(bench.side.codes)
    variety = {name: float(np.unique(hits[:, :10]).size / min(hits[:, :10].size, size)) for name, hits in lists.items()}
    patients = bench.side.query_patients
    means = {method: {name: float(np.nanmean(found[method][name])) for name in MEASURES} for method in found}
    rivals = {
        "best_baseline": list(METHODS),
        "best_unlabelled": [method for method in METHODS if method not in LABELLED],
        "best_offered": [method for method in METHODS if method in OFFERED],
    }
    best = {
        key: {name: max(methods, key=lambda method, name=name: means[method][name]) for name in MEASURES}
        for key, methods in rivals.items()
    }
    results = {}
    for method in found:
        results[method] = {
            "ranking": ranked[method][0],
            "options": ranked[method][1],
            "variety": variety[method],
            "scores": {name: patient_bootstrap(found[method][name], patients).to_dict() for name in MEASURES},
            "from_nearest": _differences(found, method, dict.fromkeys(MEASURES, "nearest"), patients),
        }
    for method, tuning in tunings.items():
        results[method]["promise"] = _promise(found, method, tuning, patients)
        for key, of_measures in best.items():
            results[method][f"from_{key}"] = _differences(found, method, of_measures, patients)
    side = bench.side
    counts = {"films": len(side.codes), "queries": len(side.query_codes), "patients": len(set(patients.tolist()))}
    row = {"set": bench.name, "part": "test", "counts": counts, "results": results, "tuning_seconds": seconds}
    rows.add(row | best)


def _without(choice: RankingChoice) -> dict[str, RankingChoice]:
    """The chosen form of "contextual" with its parts switched off one at a time."""
    options = dict(choice.options or {})
    forms = {}
    for name, changes in WITHOUT.items() if choice.name == "contextual" else ():
        changed = options | {option: value for option, value in changes.items() if option in options}  # type: ignore[attr-defined]
        if changed != options:
            metric = choice.metric if changed.get("learned") else None
            forms[f"default, {name}"] = RankingChoice(choice.name, changed, metric)
    return forms


def _promise(
    found: dict[str, dict[str, np.ndarray]], method: str, tuning: Tuning, patients: np.ndarray
) -> dict[str, Any]:
    """What the tuning expects to gain over nearest, and what the test queries gain: the mean of the three measures."""
    ours, nearest = (np.mean(list(found[name].values()), axis=0) for name in (method, "nearest"))
    return {
        "promised": tuning.difference.to_dict(),
        "own": None if tuning.own_gain is None else tuning.own_gain.to_dict(),
        "held out": paired_difference(ours, nearest, patients).to_dict(),
        "n_queries": tuning.n_queries,
    }


def _differences(
    found: dict[str, dict[str, np.ndarray]], method: str, others: dict[str, str], patients: np.ndarray
) -> dict[str, Any]:
    return {
        name: paired_difference(found[method][name], found[other][name], patients).to_dict()
        for name, other in others.items()
    }


def _check_time(stop: float) -> None:
    if time.monotonic() > stop:
        raise OutOfTimeError


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("sets", nargs="*", metavar="SET", help=f"of {', '.join(NAMES)}; all if none is named")
    parser.add_argument("--data-root", type=Path, default=Path("../shared/data"), help="folder of the real films")
    parser.add_argument("--minutes", type=float, default=1e6, help="stop after so many; the same command goes on")
    parser.add_argument("--validation-only", action="store_true", help="ask no test query")
    parser.add_argument("--permutations", type=int, default=0, help=f"only deal out labels anew: {', '.join(PERMUTED)}")
    parser.add_argument("--report", action="store_true", help="only make the tables from the rows")
    options = parser.parse_args()
    found = environment()
    rows = Rows(options.results / "default_ranking.jsonl")
    stop = time.monotonic() + 60 * options.minutes
    try:
        for name in (options.sets or PERMUTED) if options.permutations else ():
            say(f"{name}: permuted labels")
            permute(Bench(name, "test", side_of(name, "test", options.data_root)), rows, options.permutations, stop)
        for name in () if options.report or options.permutations else options.sets or NAMES:
            for part, step in (("validation", validate), ("test", test))[: 1 if options.validation_only else 2]:
                say(f"{name}: {part}")
                step(Bench(name, part, side_of(name, part, options.data_root)), rows, stop)
    except OutOfTimeError:
        say("out of time: run the same command again")
    chosen = [row for row in rows.rows if row["part"] != "validation"]
    record = {"environment": found, "methods": METHODS, "rows": chosen}  # every other figure stands in ranking.jsonl
    if rows.all(part="test"):
        write_results(options.results, "default_ranking", record, markdown(record))


if __name__ == "__main__":
    main()
