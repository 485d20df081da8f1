"""Archives of one film, of equal films, of one patient: the right result, or one line that says what to do."""

import warnings

import numpy as np
import pytest

import graphret
from graphret._errors import InvalidParameterError
from graphret.retrieval import list_rankings

RANDOM = np.random.default_rng(0).normal(size=(30, 8)).astype(np.float32)
EQUAL = np.ones((30, 8), np.float32)
ARCHIVES = {"one film": RANDOM[:1], "two films": RANDOM[:2], "equal films": EQUAL}


@pytest.fixture(autouse=True)
def strict():
    """No warning of numpy: a user would read it."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize("name", ARCHIVES)
@pytest.mark.parametrize("ranking", list_rankings(with_labels=True))
def test_every_ranking_answers(name, ranking, tmp_path):
    codes = ARCHIVES[name]
    labels = np.eye(2, dtype=int)[np.arange(len(codes)) % 2]
    index = graphret.build(codes, out=tmp_path / "index", k=5, labels=labels)
    hits = index.query(codes[0], 3, ranking=ranking)
    found = hits.positions[0][hits.positions[0] >= 0].tolist()
    assert len(set(found)) == len(found) == min(3, len(codes))
    assert len(hits[0].reasons) == min(3, len(codes))
    itself_left_out = index.query("0", 3, ranking=ranking, exclude="patient")
    assert len(itself_left_out[0]) == min(3, len(codes) - 1)


def small(tmp_path, codes, **parts):
    return graphret.build(codes, out=tmp_path / "index", k=5, **parts)


def labels_of(n):
    return np.eye(2, dtype=int)[np.arange(n) % 2]


@pytest.mark.parametrize("codes", [RANDOM, RANDOM[:1]], ids=["thirty films", "one film"])
def test_films_of_one_patient_cannot_be_tuned_on(tmp_path, codes):
    index = small(tmp_path, codes, labels=labels_of(len(codes)), patients=["p"] * len(codes))
    with pytest.raises(InvalidParameterError, match=r"films of one patient.* give films of at least two patients"):
        graphret.tune(index, budget=5)


def test_of_equal_films_the_nearest_are_as_good_as_any(tmp_path):
    index = small(tmp_path, EQUAL, labels=labels_of(30))
    assert graphret.tune(index, budget=2).ranking == "nearest"


def test_films_that_share_no_label_with_another_patient_do_not_judge(tmp_path):
    labels = np.zeros((30, 15), int)
    labels[np.arange(30), np.arange(30) // 2] = 1
    index = small(tmp_path, RANDOM, labels=labels, patients=[f"p{film // 2}" for film in range(30)])
    with pytest.raises(InvalidParameterError, match=r"shares a positive label with a film of another patient"):
        graphret.tune(index)


def test_only_films_that_can_be_judged_ask(tmp_path):
    labels = np.zeros((30, 2), int)
    labels[:20, 0] = labels[29, 1] = 1
    index = small(tmp_path, RANDOM, labels=labels)
    assert graphret.tune(index, budget=2).n_queries == 20
