"""A small comparison on generated films, run once, and the experiment that it ran."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from graphret.comparison import (
    BudgetSettings,
    DataSettings,
    Experiment,
    IntervalSettings,
    MethodSettings,
    OrderSettings,
    RankingSettings,
    SheetSettings,
    compare,
)
from graphret.data import generate_phantom

SMALL = {"backbone": "small_cnn"}
MEASURES = ("P@10", "P@50", "nDCG@10", "mAP@10", "gmAP@10")


@pytest.fixture(autouse=True, scope="module")
def _one_thread(torch_threads):
    with torch_threads(1):
        yield


@pytest.fixture(scope="session")
def film_root(tmp_path_factory):
    root = tmp_path_factory.mktemp("compared") / "films"
    generate_phantom(root, 160, size=32)
    return root


@pytest.fixture(scope="session")
def untrained_experiment(film_root):
    """Nothing to train: an untrained encoder, a hasher on its codes, random codes."""
    return Experiment(
        name="small",
        title="Small films",
        methods=(
            MethodSettings("untrained", "gem", options=SMALL),
            MethodSettings("hasher", "itq", on="gem untrained", rankings=("hamming", "region_growing:bits")),
            MethodSettings("random", rankings=("nearest", "hamming")),
        ),
        data=DataSettings(spec="phantom", root=str(film_root), size=32),
        bits=(16,),
        rankings=RankingSettings(dense=("nearest", "region_growing")),
        measures=MEASURES,
        intervals=IntervalSettings(n_resamples=60),
        engine={"k": 10},
        sheets=SheetSettings(queries=2, hits=3, methods=2),
        timed_queries=3,
        tune_queries=20,
        tune_seconds=2.0,
        published=("cai2019-table1", "haq2021-table4"),
        training={"device": "cpu"},
    )


@pytest.fixture(scope="session")
def ran(untrained_experiment, tmp_path_factory, torch_threads):
    """The comparison, with one training, a method that is not registered, and labels of published figures."""
    out = tmp_path_factory.mktemp("comparison")
    first, hasher, random = untrained_experiment.methods
    experiment = replace(
        untrained_experiment,
        methods=(
            MethodSettings("encoder", "gem", label="densenet121", options=SMALL, rankings=("nearest", "tuned")),
            first,
            replace(hasher, label="lsh"),
            random,
            MethodSettings("encoder", "alexnet", label="siamese_hash"),
        ),
        budget=BudgetSettings(epochs=1),
        orders=(
            OrderSettings("systems", ("densenet121", "gem untrained", "siamese_hash", "lsh, 16 bits, hamming")),
            OrderSettings("rankings of bits", ("lsh", "random"), ranking="hamming"),
        ),
        training={"batch_size": 16, "device": "cpu"},
    )
    with torch_threads(1):  # made before what holds for a module
        comparison = compare(out=out, experiment=experiment)
    return SimpleNamespace(out=out, experiment=experiment, comparison=comparison)
