"""The experiments of the papers, and the figures that they published."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from graphret._errors import ExperimentError, UnknownNameError
from graphret.comparison import list_published, list_templates, missing_methods, read_published, read_template
from graphret.comparison.experiment_file import fill_toml
from graphret.comparison.published import PublishedTable, why_other_images
from graphret.comparison.runner import prepared
from graphret.data import ImageTable, list_dataset_specs, read_dataset_spec
from graphret.data.cards import specs_folder
from graphret.encoders import encoder_spec, list_encoders
from graphret.evaluation import evaluate_ranking
from graphret.hashing import hasher_options, list_hashers
from graphret.training import TrainConfig

TABLES = {
    *(f"haq2021-table{n}" for n in (4, 5, 6, 7)),
    *(f"ozturk2021-table{n}" for n in (1, 2, 3)),
    *(f"fang2021-table{n}" for n in (1, 2, 3)),
    "fang2021-cdr",
    *(f"guan2023-table{n}" for n in (1, 2, 4, 5)),
    *(f"cai2019-table{n}" for n in (1, 2)),
    *(f"cifar10-hashing{n}" for n in (1, 2)),
    "cifar10-unsupervised",
}


def test_every_table_has_an_experiment_and_its_figures():
    assert set(list_templates()) == set(list_published()) == TABLES


@pytest.mark.parametrize("name", sorted(TABLES))
def test_a_template_names_known_methods_or_says_which_are_missing(name):
    experiment = read_template(name)
    assert experiment.name == name
    assert experiment.published == (name,)
    assert experiment.data.spec in list_dataset_specs()
    assert any(method.kind == "random" for method in experiment.methods)
    registered = {*list_encoders(), *list_hashers()}
    unknown = [
        method.name for method in experiment.methods if method.kind != "random" and method.name not in registered
    ]
    assert missing_methods(experiment) == unknown


@pytest.mark.parametrize("name", sorted(TABLES))
def test_options_and_trainings_of_a_template_are_possible(name):
    experiment = read_template(name)
    for method in experiment.methods:
        if method.kind == "encoder" and method.name in list_encoders():
            for options in ({}, *method.options_of_spec.values()):
                encoder_spec(method.name).check_options({**method.options, **options})
            TrainConfig.for_encoder(method.name, **experiment.training, **method.training)
        if method.kind == "hasher":
            assert set(method.options) <= set(hasher_options(method.name))


@pytest.mark.parametrize("name", sorted(TABLES))
def test_published_figures_stand_beside_methods_of_their_template(name):
    experiment, table = read_template(name), read_published(name)
    assert table.name == name
    assert set(table.specs) <= set(list_dataset_specs())
    labels = {method.label: method for method in experiment.methods}
    for figure in table.figures:
        assert figure.spec in {"", *list_dataset_specs()}
        if figure.method:
            method = labels[figure.method]
            lengths = method.bits or experiment.bits
            assert not figure.bits or figure.bits in lengths
            defaults = (*experiment.rankings.dense, *experiment.rankings.hash)
            assert figure.ranking in {"", *(method.rankings or defaults)}
    assert any(figure.method for figure in table.figures)


def test_figures_of_the_papers():
    def value(table, **wanted):
        figures = read_published(table).figures
        return [f.value for f in figures if all(getattr(f, key) == item for key, item in wanted.items())]

    assert value("haq2021-table7", spec="nih", size=224, measure="P@10") == [0.48]
    assert value("haq2021-table7", spec="stanford-u", size=512, measure="ACG@10") == [0.59]
    assert value("haq2021-table4", measure="AUC", size=512) == [0.83]
    assert value("haq2021-table6", method="densenet121") == [0.31]
    assert value("ozturk2021-table1", method="attention_hash_pf2", measure="P@10") == [0.7033]
    assert value("ozturk2021-table3", method="attention_hash_pf2") == [0.36]
    assert value("fang2021-table2", method="ynet", spec="fundus", measure="mAP@10:relevant") == [0.6102]
    assert value("fang2021-table2", method="ynet", spec="jsrt", measure="mAP@10:relevant") == [0.5518]
    assert value("fang2021-cdr", method="ynet") == [0.2157]
    assert value("fang2021-cdr", method="cam") == [0.3521]
    assert value("guan2023-table1", method="fusion_hash", spec="chexpert-12") == [0.27, 0.86]
    assert value("cai2019-table1", method="siamese_hash", bits=48) == [0.8163]
    assert value("cifar10-hashing1", method="dtsh", bits=48) == [0.774]
    assert value("cifar10-hashing1", method="orthohash", bits=64) == [0.824]
    assert value("cifar10-hashing2", method="greedyhash", bits=48) == [0.944]
    assert value("cifar10-unsupervised", bits=64) == [0.476, 0.593]


def test_the_starts_and_schedules_of_the_papers():
    start = {"haq": ["densenet121"], "ozturk": ["resnet18_hash", *(f"attention_hash_pf{n}" for n in range(3))]}
    start["guan"] = ["fusion_hash"]
    start["cifar10-hashing1"] = ["dsh", "dpsh", "dtsh", "greedyhash", "dfh", "csq", "orthohash"]
    start["cifar10-hashing2"] = ["dtsh", "greedyhash", "csq", "orthohash"]
    start["cifar10-unsupervised"] = ["bihalf", "cibhash", "greedyhash_unsupervised"]
    for name in TABLES:
        experiment = read_template(name)
        begin = {
            method.label: method.training.get("weights")
            for method in experiment.methods
            if method.kind == "encoder" and method.name in start.get(name.split("20")[0], [])
        }
        assert set(begin.values()) <= {"imagenet"}, (name, begin)
        assert bool(begin) == (name.split("20")[0] in start), name
        folds = (5, "valid") if name.startswith(("ozturk", "fang")) else (0, "queries")
        assert (experiment.data.folds, experiment.data.fold_of) == folds, name
        rates = {
            spec: prepared(replace(experiment, data=replace(experiment.data, spec=spec))).training.get("learning_rate")
            for spec in ("nih", "nih-u", "stanford", "stanford-u")
        }
        if name.startswith("haq"):
            assert rates == {"nih": 1e-3, "nih-u": 1e-3, "stanford": 1e-4, "stanford-u": 1e-4}, name
    whitened = {
        method.name: encoder_spec(method.name).fidelity_with(method.options)
        for name in ("fang2021-table2", "fang2021-cdr")
        for method in read_template(name).methods
        if method.options.get("whitening") == "training"
    }
    assert whitened == {
        "crow": "formula of the paper",
        "rmac": "formula of the paper",
        "cam": "changed formula",
        "regional_attention": "changed formula",
    }
    growing = [method.name for method in read_template("cai2019-table1").methods if method.grow]
    assert growing == ["siamese_hash"]


def test_unknown_names():
    with pytest.raises(UnknownNameError, match="template='cai2019-table9'"):
        read_template("cai2019-table9")
    with pytest.raises(UnknownNameError, match="published='cai2019-table9'"):
        read_published("cai2019-table9")
    figures = [{"name": "a", "measure": "P@1", "value": 1, "colour": 2}]
    with pytest.raises(ExperimentError, match=r"unknown key 'figures.0..colour'"):
        fill_toml(PublishedTable, {"name": "x", "table": "x", "paper": "x", "figures": figures}, "x.toml")


def fundus_like(n_glaucoma, n_normal, spec="fundus"):
    labels = np.array([[1, 0]] * n_glaucoma + [[0, 1]] * n_normal, dtype=np.int8)
    return ImageTable(
        ids=np.array([str(number) for number in range(len(labels))]),
        paths=[],
        labels=labels,
        label_names=("glaucoma", "normal"),
        spec=spec,
    )


def test_figures_are_of_the_same_images_only_if_the_facts_hold():
    table = read_published("fang2021-table2")
    films = SimpleNamespace(table=fundus_like(168, 482), whole_spec=True)
    assert why_other_images(table, films) == ""
    assert "not all films" in why_other_images(table, SimpleNamespace(table=films.table, whole_spec=False))
    other = SimpleNamespace(table=fundus_like(167, 483), whole_spec=True)
    assert why_other_images(table, other) == "167 positive films of glaucoma, the dataset spec says 168"
    fewer = SimpleNamespace(table=fundus_like(168, 400), whole_spec=True)
    assert why_other_images(table, fewer) == "568 films, the dataset spec says 650"
    foreign = SimpleNamespace(table=fundus_like(168, 482, spec="nih"), whole_spec=True)
    assert "the films are those of 'nih', the paper's are 'fundus', 'jsrt'" in why_other_images(table, foreign)
    without_facts = replace(table, specs=("folder",))
    assert not read_dataset_spec("folder").facts.films
    plain = SimpleNamespace(table=fundus_like(168, 482, spec="folder"), whole_spec=True)
    assert "states no counts" in why_other_images(without_facts, plain)


def test_a_figure_of_another_card_or_size_stands_beside_no_method():
    table = read_published("haq2021-table7")
    figures = table.to_dict("nih", 224, "other")["figures"]
    beside = [(figure["name"], figure["measure"], figure["value"]) for figure in figures if figure["method"]]
    assert beside == [("NIH (nih, 224 px)", "ACG@10", 0.36), ("NIH (nih, 224 px)", "P@10", 0.48)]
    assert not any(figure["method"] for figure in table.to_dict("phantom", 224, "other")["figures"])


CLASSES = {"fundus": (168, 482, 585), "jsrt": (100, 54, 138)}
"""Films of the two classes of Fang et al. (2021), and how many of all are searched."""


def chance(spec, measure):
    """Mean of a measure over random lists, for queries and searched films of a paper's class counts."""
    *counts, n_searched = CLASSES[spec]
    classes = np.repeat([0, 1], counts)
    rng = np.random.default_rng(0)
    found = []
    for _ in range(20):
        order = rng.permutation(len(classes))
        searched, asking = (np.eye(2, dtype=bool)[classes[part]] for part in np.split(order, [n_searched]))
        lists = np.array([rng.permutation(n_searched)[:50] for _ in asking], dtype=np.int32)
        found.append(np.nanmean(evaluate_ranking(lists, asking, searched, [measure])[measure]))
    return float(np.mean(found))


@pytest.mark.parametrize("spec", sorted(CLASSES))
def test_random_codes_stay_below_the_best_that_fang_published(spec):
    """Divided by the relevant films of the list, random codes would beat every row: the tables cannot be that form."""
    best = {}
    for name in ("fang2021-table1", "fang2021-table2", "fang2021-table3"):
        for figure in read_published(name).figures:
            if figure.measure.startswith("mAP") and figure.spec == spec:
                best[figure.measure] = max(best.get(figure.measure, 0.0), figure.value)
    assert "mAP@10:relevant" in best
    for measure, value in best.items():
        assert chance(spec, measure) < value, measure
    ten = "mAP@10:relevant"
    assert chance(spec, ten.removesuffix(":relevant")) > best[ten]


def films_of(spec):
    """Labels of all films: by the counted label sets of ChestX-ray14, or six body parts of as many slices each."""
    if spec == "via-elcap":
        return np.repeat(np.eye(6, dtype=bool), 2000, axis=0)
    card = read_dataset_spec(spec)
    lines = (specs_folder() / "nih_label_sets.csv").read_text(encoding="utf-8").splitlines()
    sets = [line.rsplit(",", 1) for line in lines if line[0] != "#" and line != "findings,films"]
    wanted = [{name, *card.consolidate.get(name, ())} for name in card.labels]
    rows = [[bool(names & set(found.split("|"))) for names in wanted] for found, _ in sets]
    return np.repeat(np.array(rows), [int(number) for _, number in sets], axis=0)


@pytest.mark.parametrize(
    ("table", "spec"),
    [
        ("haq2021-table7", "nih"),
        ("haq2021-table7", "nih-u"),
        ("ozturk2021-table1", "nih-15"),
        ("guan2023-table1", "nih-12"),
        ("cai2019-table1", "via-elcap"),
    ],
)
def test_random_lists_stay_below_all_that_the_other_papers_published(table, spec):
    """Also by the divisor that is kinder to chance: theirs cannot be told from it."""
    labels, rng = films_of(spec), np.random.default_rng(0)
    with_label = labels[labels.any(axis=1)]
    asking, searched = with_label[rng.choice(len(with_label), 150)], labels[rng.choice(len(labels), 10_000)]
    lists = np.array([rng.choice(10_000, 100, replace=False) for _ in asking], dtype=np.int32)
    lowest = {}
    for figure in read_published(table).figures:
        if figure.spec in {"", spec}:
            lowest[figure.measure] = min(lowest.get(figure.measure, 1.0), figure.value)
    assert lowest
    found = evaluate_ranking(lists, asking, searched, list(lowest))
    for measure, value in lowest.items():
        assert np.nanmean(found[measure]) < value, measure


def test_a_template_measures_what_its_figures_are():
    for name in TABLES:
        measures = {figure.measure for figure in read_published(name).figures if figure.measure.startswith("mAP@")}
        assert measures <= set(read_template(name).measures), name
