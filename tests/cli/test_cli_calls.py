"""Wrong calls: one line, the right status, an empty stdout, and nothing written."""

import re
import shutil

import numpy as np
import pytest

from graphret.data import write_png

TRAIN = ["train", "--data", "phantom", "--root", "{films}", "--encoder", "resnet18", "--out", "{out}"]
BUILD = ["build", "--data", "phantom", "--root", "{films}", "--encoder", "{encoder}", "--out", "{out}"]
ENCODE = ["encode", "--data", "phantom", "--root", "{films}", "--encoder", "{encoder}", "--out", "{out}"]
QUERY = ["query", "{index}", "{film}"]
EVALUATE = ["evaluate", "{index}", "--out", "{out}"]
DEMO = ["demo", "--out", "{out}"]


PYTHON = re.compile(r"\bNone\b|\b(True|False)\b|\w\(|\b[a-z]+(_[a-z]+)+=|[\[{]['\"]")
"""A keyword, a call, a parameter or a container, as only Python writes them."""


def instead(call, old, new):
    return [new if part == old else part for part in call]


WRONG = [
    (["nonsense"], "No such command 'nonsense'"),
    (TRAIN[:-2], "Missing option '--out'"),
    ([*TRAIN, "--epochs", "0"], "--epochs 0 is not allowed: give an integer >= 1"),
    ([*TRAIN, "--epochs", "some"], "--epochs"),
    ([*TRAIN, "--size", "8"], "--size 8 is not allowed: give an integer >= 32"),
    ([*TRAIN, "--learning-rate", "-1"], "--learning-rate -1.0 is not allowed"),
    ([*TRAIN, "--device", "tpu"], "--device 'tpu' is not allowed: give one of auto, cpu, cuda"),
    ([*TRAIN, "--options", "novalue"], "NAME=VALUE"),
    ([*TRAIN, "--options", "colour=1"], "colour"),
    (instead(TRAIN, "resnet18", "resnet81"), "did you mean 'resnet18'?"),
    (instead(TRAIN, "phantom", "phantoms"), "did you mean 'phantom'?"),
    (instead(TRAIN, "phantom", "{out}/spec.toml"), "dataset spec not found"),
    (instead(TRAIN, "{films}", "{out}/films"), "not found"),
    ([*BUILD, "-k", "0"], "-k 0 is not allowed"),
    ([*BUILD, "--threshold", "high"], "--threshold 'high' is not allowed"),
    ([*BUILD, "--split", "validation"], "--split 'validation' is not allowed: give one of test, train, valid"),
    (instead(BUILD, "{encoder}", "resnet81"), "did you mean 'resnet18'?"),
    (instead(BUILD, "{encoder}", "{out}/encoder"), "not found"),
    (instead(BUILD, "phantom", "nhi"), "did you mean 'nih'?"),
    (instead(ENCODE, "{encoder}", "{out}/encoder"), "not found"),
    ([*ENCODE, "--split", "night"], "--split 'night' is not allowed"),
    (QUERY[:2], "at least one FILE, or --like FILE"),
    ([*QUERY, "--like", "{film}"], "either FILE..., or --like"),
    (["query", "{index}", "--unlike", "{film}"], "with --like FILE"),
    (["query", "{index}", "--like", "{out}/film.png"], "film not found"),
    (["query", "{index}", "--id", "--like", "nobody"], "nobody"),
    (["query", "{index}", "--like", "{film}", "--unlike", "{stranger}", "--unlike-weight", "-1"], "--unlike-weight -1"),
    ([*QUERY, "--alarm-level", "1"], "--alarm-level 1.0"),
    ([*QUERY, "-k", "0"], "-k 0 is not allowed: give an integer >= 1"),
    ([*QUERY, "-k", "-3"], "-k -3 is not allowed"),
    ([*QUERY, "--ranking", "neares"], "did you mean 'nearest'?"),
    ([*QUERY, "--where", "view"], "COLUMN=VALUE"),
    ([*QUERY, "--where", "colour=red"], "colour"),
    (["query", "{index}", "{out}/film.png"], "film not found"),
    (["query", "{out}", "{film}"], "is not a graphret index: it does not exist"),
    (["query", "{films}", "{film}"], "is not a graphret index"),
    (["query", "{index}", "--id", "nobody"], "nobody"),
    ([*QUERY, "--patients", "ann"], "--exclude-same-patient"),
    ([*QUERY, "--exclude-same-patient", "--patients", "ann,bob"], "one for each query"),
    (["query", "{index}", "{stranger}", "--exclude-same-patient"], "is not known to the index"),
    ([*EVALUATE, "--measures", "P@ten"], "--measures 'P@ten' is not allowed"),
    ([*EVALUATE, "--measures", "P@0"], "K >= 1"),
    ([*EVALUATE, "--rankings", "nearest,random_walk"], "random_walk"),
    ([*EVALUATE, "--baselines", "chance"], "chance"),
    ([*EVALUATE, "--split", "tests"], "tests"),
    (["evaluate", "{films}"], "is not a graphret index"),
    (["info", "{out}"], "is not a graphret index: it does not exist"),
    (["info", "{films}"], "is not a graphret index"),
    (["verify", "{films}"], "is not a graphret index"),
    (["export", "{index}", "{out}/no/graph.graphml"], "not found"),
    (
        ["export", "{index}", "{films}/graph.png"],
        "is not allowed: give a name that ends in .graphml or .xml",
    ),
    (["export", "{index}", "{films}/graph"], "ends in .graphml or .xml"),
    ([*TRAIN, "--bits", "8"], "--n-bits 8 is not allowed: give no value"),
    ([*TRAIN, "--batch-size", "1"], "--batch-size 1 is not allowed"),
    (
        [*BUILD, "--communities", "leiden", "--objective", "weighted_modularity"],
        "--communities 'leiden' knows no other",
    ),
    ([*QUERY, "--n-threads", "0"], "--n-threads 0 is not allowed"),
    ([*QUERY, "--ranking", "alpha_qe:n=3", "--options", "n=4"], "no value with --ranking 'alpha_qe:n=3'"),
    (["query", "{index}", "{stranger}", "--exclude-same-patient"], "give --patients NAME,... as well"),
    ([*EVALUATE, "--n-resamples", "0"], "--n-resamples 0 is not allowed"),
    ([*EVALUATE, "--reference", "hamming"], "--reference 'hamming' is not allowed"),
    (["tune", "{index}", "--n-queries", "1"], "--n-queries 1 is not allowed"),
    (["tune", "{index}", "--split", "night"], "--split 'night' is not allowed"),
    ([*DEMO, "--films", "3"], "--films 3 is not allowed: give an integer >= 60"),
    ([*DEMO, "--epochs", "0"], "--epochs 0 is not allowed"),
    ([*DEMO, "--encoder", "densenet"], "did you mean 'densenet121'?"),
    (["demo", "--out", "{films}"], "it holds something else than a demo"),
]


@pytest.fixture(scope="session")
def places(workshop, tmp_path_factory):
    stranger = tmp_path_factory.mktemp("stranger") / "stranger.png"
    write_png(stranger, np.random.default_rng(0).random((32, 32), dtype=np.float32))
    film = min((workshop.films / "images").iterdir())
    return {**vars(workshop), "film": film, "stranger": stranger}


@pytest.mark.parametrize(("call", "words"), WRONG, ids=lambda part: " ".join(part) if isinstance(part, list) else "")
def test_a_wrong_call_is_refused_in_one_line_and_writes_nothing(call, words, run, places, tmp_path, listing):
    out = tmp_path / "out"
    before = listing(places["films"].parent)
    done = run(*(part.format(**places, out=out) for part in call))
    assert done.status == 2, done.err
    assert done.out == ""
    lines = done.err.strip().splitlines()
    assert lines[-1].startswith("graphret: error: ")
    assert words in lines[-1]
    assert not PYTHON.search(lines[-1]), lines[-1]
    assert all(line.startswith("graphret: ") for line in lines)
    assert not out.exists()
    assert listing(places["films"].parent) == before


@pytest.mark.parametrize("call", [QUERY, EVALUATE, ["info", "{index}"]], ids=lambda call: call[0])
def test_a_wrong_call_with_json_leaves_stdout_empty(call, run, places, tmp_path):
    done = run(*(part.format(**places, out=tmp_path / "out") for part in call), "--json", "--nonsense")
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("graphret: error: No such option: --nonsense")


@pytest.fixture
def damaged(workshop, tmp_path):
    """A copy of the index in which one byte of the codes is another one."""
    index = tmp_path / "damaged"
    shutil.copytree(workshop.index, index)
    file = max(index.rglob("*.npy"), key=lambda path: path.stat().st_size)
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.chmod(0o644)
    file.write_bytes(content)
    return index, file


def test_verify_names_the_damaged_file(run, damaged):
    index, file = damaged
    done = run("verify", index)
    assert done.status == 1
    assert done.out == ""
    assert file.name in done.err.strip().splitlines()[-1]


def test_films_that_cannot_be_decoded_fail_the_work_not_the_call(run, workshop, tmp_path):
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no film")
    done = run("query", workshop.index, bad)
    assert (done.status, done.out) == (1, "")
    assert "bad.png" in done.err
