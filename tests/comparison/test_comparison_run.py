"""A comparison measures as evaluate does, goes on after a kill, and says what failed."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import graphret
from graphret._errors import DataError, ExperimentError, IndexLockedError
from graphret.comparison import BudgetSettings, DataSettings, MethodSettings, compare
from graphret.comparison.films import prepare_films
from graphret.comparison.significance import holm
from graphret.comparison.starts import Start
from graphret.comparison.training import trained_encoder
from graphret.data import read_dataset
from graphret.evaluation import evaluate
from graphret.files import Stages, writer_lock


def figures(comparison):
    """Everything that does not depend on the clock."""
    document = json.loads(comparison.to_json())
    for row in document["rows"]:
        for name in ("training_seconds", "fitting_seconds", "films_per_second", "query_milliseconds", "peak_megabytes"):
            row["costs"].pop(name, None)
    return {
        name: document[name]
        for name in ("films", "rows", "reference", "differences", "same_codes", "orders", "published")
    }


def codes_of(out, label):
    (folder,) = [path for path in (out / "methods").iterdir() if path.name.rsplit("-", 1)[0] == label]
    with np.load(next(folder.glob("codes-*.npz"))) as stored:
        return stored["codes"], stored["query_codes"]


def test_one_row_for_every_method_length_and_ranking(ran):
    assert [row.name for row in ran.comparison.rows] == [
        "densenet121, nearest",
        "densenet121, tuned",
        "gem untrained, nearest",
        "gem untrained, region_growing",
        "lsh, 16 bits, hamming",
        "lsh, 16 bits, region_growing:bits",
        "random, 16 bits, nearest",
        "random, 16 bits, hamming",
        "siamese_hash",
    ]
    assert ran.comparison.reference == "densenet121, nearest"


@pytest.mark.parametrize(
    ("name", "folder", "ranking", "signs"),
    [
        ("gem untrained, region_growing", "gem-untrained", "region_growing", False),
        ("lsh, 16 bits, hamming", "lsh-16", "hamming", False),
        ("lsh, 16 bits, region_growing:bits", "lsh-16", "region_growing", True),
    ],
)
def test_figures_are_those_of_evaluate(ran, tmp_path, name, folder, ranking, signs):
    codes, query_codes = codes_of(ran.out, folder)
    if signs:
        codes, query_codes = (np.where(values >= 0, 1, -1).astype(np.float32) for values in (codes, query_codes))
    table = read_dataset("phantom", ran.experiment.data.root)
    queries = table.select((table.splits == "test") & table.relevance().any(axis=1))
    searched = table.select(table.splits != "test")
    order = np.random.default_rng([ran.experiment.data.seed, 3]).permutation(len(searched))
    films = searched.select(order)
    index = graphret.build(codes[order], out=tmp_path / "index", films=films, k=10, tune=False)
    report = evaluate(
        index,
        (query_codes, queries),
        measures=ran.experiment.measures,
        rankings=[ranking],
        n_resamples=60,
        baselines=(),
    )
    row = ran.comparison[name]
    assert row.measures == report.rankings[0].to_dict()["measures"]
    for measure in ran.experiment.measures:
        np.testing.assert_array_equal(row.values[measure], report.rankings[0].values[measure])
    np.testing.assert_array_equal(row.positions, order[report.rankings[0].positions])


def test_random_codes_are_at_the_level_of_chance(ran):
    table = read_dataset("phantom", ran.experiment.data.root)
    queries = table.select((table.splits == "test") & table.relevance().any(axis=1))
    searched = table.select(table.splits != "test")
    grades = queries.relevance().astype(int) @ searched.relevance().T.astype(int)
    chance = float((grades > 0).mean())
    for ranking in ("nearest", "hamming"):
        row = ran.comparison[f"random, 16 bits, {ranking}"]
        assert abs(row.measures["P@50"]["mean"] - chance) < 0.04
        assert row.measures["P@50"]["low"] - 0.02 < chance < row.measures["P@50"]["high"] + 0.02


def test_hamming_rows_say_what_is_expected_under_ties(ran):
    row = ran.comparison["lsh, 16 bits, hamming"]
    assert set(row.ties) == set(ran.experiment.measures)
    assert all(0 <= value <= 1.5 for value in row.ties.values())
    assert any(row.ties[name] != row.measures[name]["mean"] for name in row.ties)
    assert ran.comparison["lsh, 16 bits, region_growing:bits"].ties is None


def test_costs(ran):
    trained = ran.comparison["densenet121, nearest"].costs
    assert trained["training_seconds"] > 0
    assert trained["films_per_second"] > 0
    assert all(0 <= area <= 1 for area in trained["auc"].values())
    assert trained["bytes_per_film"] == 4 * 64
    untrained = ran.comparison["gem untrained, nearest"].costs
    assert untrained["training_seconds"] is None
    assert untrained["auc"] is None
    assert ran.comparison["gem untrained, region_growing"].costs["bytes_per_film"] > 4 * 64
    assert ran.comparison["lsh, 16 bits, hamming"].costs["bytes_per_film"] == 2
    assert ran.comparison["lsh, 16 bits, region_growing:bits"].costs["bytes_per_film"] > 4 * 16
    assert ran.comparison["random, 16 bits, nearest"].costs["films_per_second"] is None
    assert all(row.costs["query_milliseconds"] > 0 for row in ran.comparison.rows if not row.error)


def test_tuned_says_what_was_chosen(ran):
    chosen = ran.comparison["densenet121, tuned"].chosen
    assert chosen["ranking"] in graphret.list_rankings()
    assert ran.comparison["densenet121, nearest"].chosen is None


@pytest.mark.parametrize("reference", ["itq on random", "itq on random, 8 bits, hamming"])
def test_a_reference_that_failed_is_none(untrained_experiment, tmp_path, reference):
    """Its row has no ranking then: what is said is why it failed, and not that there is no such row."""
    methods = (
        MethodSettings("random", rankings=("nearest",)),
        MethodSettings("hasher", "itq", on="random", options={"colour": 1}, rankings=("hamming",)),
    )
    experiment = replace(untrained_experiment, methods=methods, bits=(8,), reference=reference)
    comparison = compare(out=tmp_path, experiment=experiment)
    assert comparison.reference is None
    assert "colour" in comparison["itq on random, 8 bits"].error


def test_a_method_that_fails_is_a_row_that_says_why(ran):
    row = ran.comparison["siamese_hash"]
    assert "encoder='alexnet' is not allowed" in row.error
    assert not row.values
    assert "siamese_hash" not in ran.comparison.differences


def test_what_suits_no_method_fails_alone(untrained_experiment, tmp_path):
    methods = (
        MethodSettings("untrained", "gem", bits=(8,)),
        MethodSettings("random", rankings=("nearest",)),
        MethodSettings("random", label="again", rankings=("diffusion", "nearest")),
        MethodSettings("hasher", "ksh", on="random", options={"colour": 1}, rankings=("hamming",)),
    )
    comparison = compare(out=tmp_path, experiment=replace(untrained_experiment, methods=methods, bits=(8,)))
    errors = {row.name: row.error for row in comparison.rows}
    assert "gives real values" in errors["gem untrained"]
    assert "colour" in errors["ksh on random, 8 bits"]
    assert errors["random, 8 bits, nearest"] == errors["again, 8 bits, nearest"] == ""


def test_differences_are_against_the_reference(ran):
    found = ran.comparison.differences
    assert "densenet121, nearest" not in found
    row, base = ran.comparison["random, 16 bits, nearest"], ran.comparison["densenet121, nearest"]
    for measure in ran.experiment.measures:
        entry = found[row.name][measure]
        np.testing.assert_allclose(entry["mean"], np.nanmean(row.values[measure] - base.values[measure]), atol=1e-12)
        assert entry["p_holm"] >= entry["p_value"]


def test_rankings_of_the_same_codes_are_compared(ran):
    found = {pair["row"]: pair for pair in ran.comparison.same_codes}
    assert {name: pair["reference"] for name, pair in found.items()} == {
        "densenet121, tuned": "densenet121, nearest",
        "gem untrained, region_growing": "gem untrained, nearest",
        "lsh, 16 bits, region_growing:bits": "lsh, 16 bits, hamming",
        "random, 16 bits, hamming": "random, 16 bits, nearest",
    }
    name = "lsh, 16 bits, region_growing:bits"
    row, base = ran.comparison[name], ran.comparison["lsh, 16 bits, hamming"]
    for measure in ran.experiment.measures:
        entry = found[name]["differences"][measure]
        np.testing.assert_allclose(entry["mean"], np.nanmean(row.values[measure] - base.values[measure]), atol=1e-12)
        assert entry["low"] <= entry["mean"] <= entry["high"]
        others = [pair["differences"][measure] for pair in ran.comparison.same_codes]
        assert [other["p_holm"] for other in others] == holm([other["p_value"] for other in others])


def test_published_orders_are_tested_pair_by_pair(ran):
    """Neighbours, and the first with the last; a method without figures is passed over."""
    assert [(pair["title"], pair["better"], pair["worse"]) for pair in ran.comparison.orders] == [
        ("systems", "densenet121, nearest", "gem untrained, nearest"),
        ("systems", "gem untrained, nearest", "lsh, 16 bits, hamming"),
        ("systems", "densenet121, nearest", "lsh, 16 bits, hamming"),
        ("rankings of bits", "lsh, 16 bits, hamming", "random, 16 bits, hamming"),
    ]
    for pair in ran.comparison.orders:
        better, worse = (ran.comparison[pair[name]].values["P@10"] for name in ("better", "worse"))
        np.testing.assert_allclose(pair["differences"]["P@10"]["mean"], np.nanmean(better - worse), atol=1e-12)


def test_one_process_at_a_time_works_in_a_folder(untrained_experiment, tmp_path):
    with writer_lock(tmp_path), pytest.raises(IndexLockedError, match=f"{tmp_path} is being written by process"):
        compare(out=tmp_path, experiment=untrained_experiment)
    assert not (tmp_path / "methods").exists()


def test_nothing_is_kept_that_can_be_made_again(ran):
    """Encoders, codes, and the checkpoints that a larger budget goes on from stay; indexes do not."""
    for name in ("encoder.safetensors", "checkpoint"):
        assert list(ran.out.glob(f"methods/*/encoder/{name}"))
    assert not [path for name in ("index-values", "index-bits") for path in ran.out.rglob(name)]


@pytest.mark.slow
def test_a_larger_budget_goes_on_where_a_smaller_one_ended(untrained_experiment, tmp_path):
    method = MethodSettings("encoder", "gem", options={"backbone": "small_cnn"})
    films = prepare_films(untrained_experiment.data, tmp_path)
    few = films.table.select(np.arange(0, len(films.table), 3))

    def trained(folder, epochs):
        experiment = replace(untrained_experiment, budget=BudgetSettings(epochs=epochs))
        stages = Stages(tmp_path / folder)
        return trained_encoder(experiment, method, None, few, stages, f"key {epochs}", Start(), None)[0]

    trained("out", 1)
    assert trained("out", 2).fingerprint == trained("whole", 2).fingerprint
    with pytest.raises(ExperimentError, match=r"budget.epochs is 1, and gem had 2 in this folder before"):
        trained("out", 1)


def test_a_second_call_does_nothing_again(ran, monkeypatch):
    def never(*args, **kwargs):
        raise AssertionError("it was done before")

    monkeypatch.setattr("graphret.training.train", never)
    monkeypatch.setattr("graphret.build", never)
    monkeypatch.setattr("graphret.comparison.representation.encode_films", never)
    assert figures(compare(out=ran.out, experiment=ran.experiment)) == figures(ran.comparison)


@pytest.fixture(scope="module")
def undisturbed(untrained_experiment, tmp_path_factory):
    return figures(compare(out=tmp_path_factory.mktemp("undisturbed"), experiment=untrained_experiment))


@pytest.mark.parametrize("call", [1, 6, 14])
def test_a_comparison_that_is_killed_goes_on(untrained_experiment, undisturbed, tmp_path, call):
    calls = []

    def kill(stage, done, total):
        calls.append(stage)
        if len(calls) == call:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compare(out=tmp_path, experiment=untrained_experiment, progress=kill)
    assert figures(compare(out=tmp_path, experiment=untrained_experiment)) == undisturbed


def test_a_changed_experiment_does_not_take_the_old_figures(ran, untrained_experiment, undisturbed, tmp_path):
    compare(out=tmp_path, experiment=untrained_experiment)
    longer = compare(
        out=tmp_path, experiment=replace(untrained_experiment, bits=(8,), methods=untrained_experiment.methods[2:])
    )
    assert {row.n_bits for row in longer.rows} == {8}
    again = figures(compare(out=tmp_path, experiment=untrained_experiment))
    assert again == undisturbed


def test_the_films_of_a_comparison(film_root, tmp_path):
    data = DataSettings(spec="phantom", root=str(film_root), n_queries=10, n_database=50)
    films = prepare_films(data, tmp_path)
    assert (len(films.queries), len(films.database)) == (10, 50)
    assert not films.whole_spec
    assert set(films.database.splits.tolist()) <= {"train", "valid"}
    assert prepare_films(replace(data, seed=1), tmp_path).queries.ids.tolist() != films.queries.ids.tolist()
    assert prepare_films(replace(data, n_queries=0, n_database=0), tmp_path).whole_spec
    with pytest.raises(ExperimentError, match=r"data.spec is not given"):
        prepare_films(replace(data, spec=""), tmp_path)


def test_films_that_cannot_be_read_are_in_no_method(film_root, tmp_path):
    table = read_dataset("phantom", film_root)
    lines = ["path,labels,patient,split"]
    for row in range(40):
        path = tmp_path / f"{row}.png"
        path.write_bytes(b"no picture" if row == 3 else Path(table.paths[row]).read_bytes())
        split = "test" if row % 4 == 0 else "train"
        lines.append(f"{path.name},Edema,p{row},{split}")
    (tmp_path / "films.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    twins = tmp_path / "twins.csv"
    twins.write_text("file_a,file_b\n0.png,1.png\n5.png,6.png\n", encoding="utf-8")
    data = DataSettings(spec="csv", root=str(tmp_path), near_duplicates=str(twins))
    films = prepare_films(data, tmp_path / "out")
    assert films.record["left_out"] == {
        "missing or empty": 0, "not readable": 1, "near duplicates of a query": 1,
    }  # fmt: skip
    assert not {"1.png", "3.png"} & set(films.database.ids.tolist())
    assert {"5.png", "6.png"} <= set(films.database.ids.tolist())
    with pytest.raises(DataError, match=r"data.queries: no film with a label"):
        prepare_films(replace(data, queries="valid", database=("train",), fractions=(1.0, 0.0, 0.0)), tmp_path / "out")


def test_a_film_whose_code_is_zero_does_not_cost_the_method_its_row(untrained_experiment, tmp_path, monkeypatch):
    from graphret.encoders.inference.forward import Forward

    apply = Forward.apply

    def with_zeros(self, *arguments):
        codes = apply(self, *arguments)
        codes[0] = 0
        return codes

    monkeypatch.setattr(Forward, "apply", with_zeros)
    monkeypatch.setattr(Forward, "_works_in_threads", lambda self, precision: False)
    methods = untrained_experiment.methods[:1]
    comparison = compare(out=tmp_path, experiment=replace(untrained_experiment, methods=methods))
    row = comparison["gem untrained, nearest"]
    assert row.costs["films_without_code"] > 0
    assert not row.error
    codes, _ = codes_of(tmp_path, "gem-untrained")
    constant = (codes == codes[:, :1]).all(axis=1)
    assert constant.any()
    assert (codes[constant] > 0).all()
    assert "## Films with a code of zeros" in comparison.to_markdown()
