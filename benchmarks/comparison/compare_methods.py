"""The graph engine and hashing on real films: runs an experiment of this folder and keeps its figures.

    python benchmarks/comparison/compare_methods.py mednist  [--data-root ../shared/data]
    python benchmarks/comparison/compare_methods.py kermany
    python benchmarks/comparison/compare_methods.py nih
    python benchmarks/comparison/compare_methods.py phantom
    python benchmarks/comparison/compare_methods.py phantom_ynet        # its parts, with masks, on larger films
    python benchmarks/comparison/compare_methods.py kermany64           # losses on one backbone, ten passes: hours of a core
    python benchmarks/comparison/compare_methods.py nih64               # the same for a part of NIH, thirty passes
    python benchmarks/comparison/compare_methods.py nih64_seeds         # eight encoders of it, three seeds (kermany64_seeds)
    python benchmarks/comparison/compare_methods.py kermany128          # all losses on one backbone (nih128): a GPU, hours
    python benchmarks/comparison/compare_methods.py kermany128_seeds    # eight encoders, three seeds (nih128_seeds)
    python benchmarks/comparison/compare_methods.py mednist --smoke     # minutes: every method, little of everything

It is `graphret compare --experiment benchmarks/comparison/NAME.toml`, with the films' folder, the list of near duplicates
where the films have one, and the results written to benchmarks/results/comparison_NAME. It goes on where it was
stopped. Only figures leave the work folder, never a film. `--costs` on an idle machine times all rows at the end.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from record import parser_of, progress, say, write_results

from graphret.comparison import Experiment, changed, compare, read_experiment
from graphret.data import generate_phantom

if TYPE_CHECKING:
    import argparse

HERE = Path(__file__).resolve().parent
PHANTOM_FILMS = 2400


def main() -> None:
    """Run one experiment."""
    arguments = parse()
    experiment = read_experiment(HERE / f"{arguments.name}.toml")
    spec = experiment.data.spec
    root = arguments.data_root / (arguments.name if spec == "folder" else spec)
    generated = experiment.data.spec == "phantom"
    if generated:
        size = experiment.data.size
        root = arguments.work / ("phantom-smoke" if arguments.smoke else f"phantom-{size}")
        if not (root / "films.csv").exists():
            generate_phantom(root, 200 if arguments.smoke else PHANTOM_FILMS, size=size, progress=progress())
    experiment = changed(
        experiment,
        root=str(root),
        size=arguments.size,
        epochs=arguments.epochs,
        max_minutes=arguments.max_minutes,
        methods=arguments.methods.split(",") if arguments.methods else (),
    )
    twins = arguments.data_root / "near_duplicates.csv"
    if twins.exists() and not generated:
        experiment = replace(experiment, data=replace(experiment.data, near_duplicates=str(twins)))
    name = f"comparison_{arguments.name}"
    if arguments.smoke:
        experiment, name = smoke(experiment), f"{name}_smoke"
    out = arguments.work / name
    comparison = compare(out=out, experiment=experiment, costs=arguments.costs, progress=progress())
    for path in comparison.save(out):
        say(path)
    document = comparison.to_dict()
    for key in ("root", "near_duplicates"):  # folders of this machine
        document["experiment"]["data"][key] = Path(document["experiment"]["data"][key]).name
    for row in document["rows"]:
        if row["error"]:
            say(f"{row['name']}: {row['error']}")
    write_results(arguments.results, name, document, comparison.to_markdown())
    shutil.copyfile(out / "comparison_values.npz", arguments.results / f"{name}_values.npz")


def smoke(experiment: Experiment) -> Experiment:
    """The same methods with so little of everything that figures mean nothing."""
    methods = tuple(replace(method, bits=(16,) if method.bits else ()) for method in experiment.methods)
    return replace(
        experiment,
        methods=methods,
        data=replace(experiment.data, size=32, n_queries=40, n_database=300, fractions=(0.1, 0.05, 0.85)),
        budget=replace(experiment.budget, epochs=1, max_minutes=0.02),
        bits=(16,),
        intervals=replace(experiment.intervals, n_resamples=100),
        timed_queries=5,
        tune_queries=40,
        tune_seconds=2.0,
    )


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = parser_of(__doc__, work="comparison")
    parser.add_argument("name", choices=sorted(path.stem for path in HERE.glob("*.toml")))
    parser.add_argument(
        "--data-root", type=Path, default=Path("../shared/data"), help="folder of mednist, kermany, nih"
    )
    parser.add_argument("--size", type=int)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--max-minutes", type=float)
    parser.add_argument("--methods", default="", help="only these, with commas between them")
    parser.add_argument("--costs", action="store_true", help="when all is trained, time every row alone")
    parser.add_argument("--smoke", action="store_true", help="a few films and steps, to see that every method runs")
    return parser.parse_args()


if __name__ == "__main__":
    main()
