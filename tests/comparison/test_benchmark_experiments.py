"""The experiments of benchmarks/comparison are valid, and name registered methods only."""

from dataclasses import replace
from pathlib import Path

import pytest

from graphret.comparison import missing_methods, read_experiment
from graphret.encoders import encoder_spec, list_encoders
from graphret.hashing import list_hashers

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks" / "comparison"


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.toml")), ids=lambda path: path.stem)
def test_an_experiment_on_films(path):
    experiment = read_experiment(path)
    assert experiment.name == path.stem
    assert missing_methods(experiment) == []
    for method in experiment.methods:
        if method.kind == "encoder":
            encoder_spec(method.name).check_options(method.options)


def test_mednist_has_every_method():
    methods = read_experiment(FOLDER / "mednist.toml").methods
    assert {method.name for method in methods if method.kind == "encoder"} == set(list_encoders())
    assert {method.name for method in methods if method.kind == "hasher"} == set(list_hashers())
    assert {"random", "untrained"} <= {method.kind for method in methods}


@pytest.mark.parametrize("name", ["kermany64", "nih64", "kermany128", "nih128"])
def test_seeds_of_an_experiment_ask_the_same_films_the_same_questions(name):
    one, seeds = (read_experiment(FOLDER / f"{file}.toml") for file in (name, f"{name}_seeds"))
    assert seeds.seeds == (0, 1, 2)
    assert one.seed == 0  # the stages of its folder are those of the first seed
    for settings in ("data", "budget", "training", "bits", "rankings", "reference", "intervals", "measures"):
        assert getattr(seeds, settings) == getattr(one, settings), settings
    of_one = {method.label: method for method in one.methods}
    assert all(of_one[method.label] == method for method in seeds.methods)
    assert sum(method.kind == "encoder" for method in seeds.methods) == 8
    asked = [replace(question, methods=()) for question in one.questions]
    assert [replace(question, methods=()) for question in seeds.questions] == asked
