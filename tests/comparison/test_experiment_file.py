"""Experiment files: what is refused, in which words, and what a call may change."""

import dataclasses

import pytest

from graphret._errors import ExperimentError, InvalidParameterError, MissingFileError, UnknownNameError
from graphret.comparison import (
    DataSettings,
    Experiment,
    MethodSettings,
    OrderSettings,
    changed,
    default_experiment,
    methods_by_name,
    open_experiment,
    read_experiment,
)
from graphret.encoders import encoder_spec, list_encoders
from graphret.hashing import list_hashers

MINIMAL = 'name = "mine"\n[[methods]]\nkind = "random"\n'


def write(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_whole_file(tmp_path):
    text = """
name = "mine"
title = "My films"
bits = [16, 32]
measures = ["P@5"]
reference = "mine too, nearest"

[data]
spec = "phantom"
size = 96
database = ["train"]
queries = "valid"
fractions = [0.5, 0.25, 0.25]

[budget]
epochs = 3
max_minutes = 2

[engine]
k = 7

[[methods]]
kind = "encoder"
name = "resnet18"
label = "mine too"
rankings = ["nearest", "tuned"]
[methods.training]
learning_rate = 0.01

[[methods]]
kind = "hasher"
name = "itq"
on = "mine too"
bits = [8]
[methods.options]
n_iterations = 5
"""
    found = read_experiment(write(tmp_path, text))
    assert found.bits == (16, 32)
    assert found.budget.max_minutes == 2.0
    assert found.data == DataSettings(
        spec="phantom", size=96, database=("train",), queries="valid", fractions=(0.5, 0.25, 0.25)
    )
    assert [method.label for method in found.methods] == ["mine too", "itq on mine too"]
    assert found.methods[0].training == {"learning_rate": 0.01}
    assert found.methods[1].options == {"n_iterations": 5}
    assert open_experiment(write(tmp_path, text)) == found


ENCODER = 'name = "mine"\n[[methods]]\nkind = "encoder"\nname = "resnet18"\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = ", "is not TOML"),
        ('name = "mine"', "the keys methods are missing: add them"),
        ('name = "mine"\nmethods = []', "methods = .* at least one method"),
        ('colour = "red"\n' + MINIMAL, "unknown key 'colour': known are name, methods, title"),
        (MINIMAL + "[data]\nsise = 3", "unknown key 'data.sise': known are data.spec"),
        (MINIMAL + '[data]\nsize = "large"', "data.size = 'large': give an integer"),
        (MINIMAL + "[data]\nsize = 8", "data.size = 8 is not allowed"),
        (MINIMAL + '[data]\nqueries = "tests"', "'tests' is not allowed: give one of train, valid, test"),
        (MINIMAL + '[data]\nqueries = "train"', "data.database = .* splits without that of the queries"),
        (MINIMAL + '[data]\nexclude = "film"', 'data.exclude = \'film\' .* "patient" or "none"'),
        (MINIMAL + "[data]\nfractions = [1.0, 1.0, 1.0]", "three shares"),
        (MINIMAL + "[budget]\nepochs = 0", "budget.epochs = 0"),
        (MINIMAL + "[budget]\nmax_minutes = -1", "budget.max_minutes = -1"),
        (MINIMAL + '[rankings]\ndense = ["hamming:bits"]', "rankings.dense = 'hamming:bits'"),
        (MINIMAL + '[rankings]\ndense = ["nearest:bits"]', "rankings.dense = 'nearest:bits'"),
        (MINIMAL + '[rankings]\nhash = ["nearby"]', "rankings.hash = 'nearby' .* nearest"),
        (MINIMAL + '[engine]\nK = 3', "engine: build parameter='K'"),
        (MINIMAL + '[training]\nlearning_rat = 3', "training.learning_rat = 3 .* learning_rate"),
        (MINIMAL + '[training]\nepochs = 3', r"training.epochs .*the budget is the same for all methods"),
        (MINIMAL.replace("random", "encode"), "methods.kind = 'encode' .* one of encoder, hasher, random, untrained"),
        (MINIMAL + 'name = 3', "methods.*.name = 3: give a text"),
        (MINIMAL + "bits = [0]", "methods.bits = 0"),
        (MINIMAL + MINIMAL.split("\n", 1)[1], "methods.label = 'random' .* every label once"),
        (MINIMAL + 'on = "x"', "methods.on = 'x'"),
        (MINIMAL + "[methods.training]\nlearning_rate = 1.0", "methods.training"),
        (ENCODER.replace('name = "resnet18"\n', ""), "methods.name = '' .* the name of the encoder"),
        (ENCODER + "[methods.training]\nlearning_rate = -1.0", "methods.training: learning_rate=-1.0"),
        (ENCODER + "[methods.training]\nmax_minutes = 1.0", "the budget is the same for all methods"),
        ('reference = "other"\n' + MINIMAL, "reference = 'other' .* a row or the label of a method: random"),
        (MINIMAL + '[[orders]]\ntitle = "x"\nmethods = ["random"]', "orders.methods .* two names or more"),
        (MINIMAL + '[[orders]]\ntitle = "x"\nmethods = ["random", "b"]', "orders.methods = 'b' .* label of a method"),
        ('measures = ["Q@10"]\n' + MINIMAL, "measures='Q@10'"),
        ('measures = ["P@10", "P@10"]\n' + MINIMAL, "every measure once"),
        ("bits = []\n" + MINIMAL, "bits = .* at least one length"),
        ("tune_seconds = 0.0\n" + MINIMAL, "tune_seconds"),
        ('name = "x"\n[[methods]]\nkind = "hasher"\nname = "itq"\non = "later"', "methods.on = 'later' .* above it"),
    ],
)  # fmt: skip
def test_wrong_files_are_refused(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(ExperimentError, match=message) as caught:
        read_experiment(path)
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(MissingFileError, match=r"experiment file not found.*list-templates"):
        read_experiment(tmp_path / "none.toml")


def test_the_default_asks_the_registries():
    found = default_experiment()
    names = {method.name for method in found.methods}
    assert set(list_hashers()) <= names
    assert all(method.on == "densenet121" for method in found.methods if method.kind == "hasher")
    assert {"random", "untrained"} <= {method.kind for method in found.methods}
    assert {name for name in ("ynet", "siamese_hash") if name in list_encoders()} <= names


def test_names_become_methods():
    methods = methods_by_name(["itq", "random", "untrained:resnet18", "resnet18"])
    assert [(method.kind, method.label) for method in methods] == [
        ("encoder", "resnet18"),
        ("hasher", "itq on resnet18"),
        ("random", "random"),
        ("untrained", "resnet18 untrained"),
    ]
    assert methods_by_name(["lsh"])[0].name == "densenet121"
    for wrong in ("resnet19", "untrained:resnet19", "untrained"):
        with pytest.raises(UnknownNameError, match="methods="):
            methods_by_name([wrong])


def test_what_a_call_says_goes_over_the_experiment():
    base = dataclasses.replace(default_experiment(), reference="densenet121, nearest")
    found = changed(base, spec="nih", root="/films", size=96, bits=[8], epochs=2, max_minutes=0.5)
    assert (found.data.spec, found.data.root, found.data.size) == ("nih", "/films", 96)
    assert (found.budget.epochs, found.budget.max_minutes, found.bits) == (2, 0.5, (8,))
    assert changed(base) == base
    some = changed(base, methods=["itq on densenet121", "random"])
    assert [method.label for method in some.methods] == ["densenet121", "random", "itq on densenet121"]
    assert some.reference == base.reference
    one = OrderSettings("one", ("random", "densenet121"))
    orders = one, OrderSettings("two", ("random, nearest", "itq on densenet121"))
    ordered = dataclasses.replace(base, orders=orders)
    assert changed(ordered).orders == orders
    assert changed(ordered, methods=["densenet121", "random"]).orders == (one,)
    other = changed(base, methods=["resnet18"])
    assert [method.label for method in other.methods] == ["resnet18"]
    assert other.reference == ""
    own = Experiment(name="own", methods=(MethodSettings("random", bits=(4, 8)),))
    assert changed(own, bits=[2]).methods[0].bits == ()
    for wrong in ({"epochs": 0}, {"max_minutes": -1.0}, {"size": 8}, {"bits": [0]}):
        with pytest.raises(InvalidParameterError, match=f"^{next(iter(wrong))}="):
            changed(base, **wrong)


def test_every_registered_hash_encoder_gets_the_rankings_of_bits(untrained_experiment):
    from graphret.comparison.rows import RowMaker

    maker = RowMaker(untrained_experiment, None, None)
    for name in list_encoders():
        kind = encoder_spec(name).kind
        rankings = maker.rankings(MethodSettings("encoder", name), None if kind == "dense" else 64)
        assert ("hamming" in rankings) == (kind == "hash")
