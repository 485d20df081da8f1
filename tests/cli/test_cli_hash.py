"""A hash encoder through the command line: the recipe of its paper under what the user says, its bits, an index."""

import numpy as np
import pytest

import graphret
from graphret.cli import main
from graphret.training import TrainConfig

BITS = 12


@pytest.fixture(scope="module")
def hash_encoder(workshop, tmp_path_factory):
    out = tmp_path_factory.mktemp("hash") / "encoder"
    given = ["--size", "32", "--bits", str(BITS), "--epochs", "1", "--batch-size", "20", "--device", "cpu"]
    objective = ["--objective-options", "loss=1", "--optimizer", "adam"]
    data = ["--data", "phantom", "--root", str(workshop.films)]
    assert main(["train", *data, "--encoder", "siamese_hash", *given, *objective, "--out", str(out), "--quiet"]) == 0
    return out


def test_the_recipe_of_the_paper_lies_under_what_the_user_says(hash_encoder):
    encoder = graphret.load_encoder(hash_encoder, device="cpu")
    assert (encoder.kind, encoder.code_length, encoder.size) == ("hash", BITS, 32)
    expected = TrainConfig.for_encoder(
        "siamese_hash",
        size=32,
        n_bits=BITS,
        epochs=1,
        batch_size=20,
        device="cpu",
        mixed_precision="no",  # "auto" on a processor
        objective_options={"loss": 1},
        optimizer="adam",
    )
    assert (expected.sampler, expected.weight_decay, expected.schedule) == ("pairs", 4e-3, "steps")
    assert encoder.record["training"] == {**expected.to_json(), "epochs done": 1}
    assert encoder.record["validation"]["selected_by"] == "retrieval"
    assert encoder.record["validation"]["name"] == "mAP"


def test_a_default_that_the_user_names_is_no_default(workshop, run, hash_encoder):
    data = ["--data", "phantom", "--root", workshop.films, "--out", hash_encoder, "--device", "cpu"]
    refused = run("train", *data, "--encoder", "siamese_hash", "--bits", BITS, "--size", 32, "--sampler", "shuffled")
    assert refused.status == 2
    assert "sampler was 'pairs' and is 'shuffled'" in refused.err


def test_an_index_holds_the_values_before_their_signs(workshop, run, run_json, hash_encoder, tmp_path):
    data = ["--data", "phantom", "--root", workshop.films, "--split", "train", "--split", "valid"]
    run_json("build", *data, "--encoder", hash_encoder, "--out", tmp_path / "index", "-k", "10")
    document = run_json("encode", *data, "--encoder", hash_encoder, "--out", tmp_path / "codes")
    assert document["code_length"] == BITS
    codes = np.load(document["codes"])
    index = graphret.open(tmp_path / "index")
    np.testing.assert_allclose(np.asarray(index.codes), codes, atol=1e-5)
    path = next((workshop.films / "images").iterdir())
    hits = run_json("query", tmp_path / "index", path, "-k", "5")
    assert hits


def test_an_untrained_hash_encoder_takes_bits(workshop, run, run_json, tmp_path):
    data = ["--data", "phantom", "--root", workshop.films, "--split", "valid", "--size", "32"]
    for given, length in (([], 48), (["--bits", "20"], 20)):
        out = tmp_path / str(length)
        document = run_json("encode", *data, "--encoder", "siamese_hash", *given, "--out", out)
        assert document["code_length"] == length
    run_json("build", *data, "--encoder", "siamese_hash", "--bits", "20", "--out", tmp_path / "index")
    refused = run("encode", *data, "--encoder", "resnet18", "--bits", "20", "--out", tmp_path / "dense")
    assert refused.status == 2
    assert "dense encoder" in refused.err


def test_the_list_of_encoders_says_what_trains_them(run_json):
    listed = {spec["name"]: spec for spec in run_json("encoders")}
    assert listed["siamese_hash"]["recipe"]["batch_size"] == 200
    assert listed["siamese_hash"]["default_bits"] == 48
    assert not listed["siamese_hash"]["classifies"]
    assert listed["densenet121"]["objective"] == "classification"


def test_the_list_of_encoders_says_what_follows_the_paper_and_what_makes_it(run_json):
    listed = {spec["name"]: spec for spec in run_json("encoders")}
    assert listed["crow"]["fidelity"] == "changed formula"
    assert listed["crow"]["formula_options"] == {"whitening": ["training", "archive"]}
    assert listed["cam"]["formula_options"] == {}
