"""Accuracy of the nearest training film, by loops; and the memory of a block."""

import subprocess
import sys

import numpy as np
import pytest

from graphret.comparison.training_accuracy import training_accuracy
from graphret.data import ImageTable


@pytest.fixture
def films():
    rng = np.random.default_rng(0)
    labels = (rng.random((40, 3)) < 0.4).astype(np.int8)
    splits = np.where(rng.random(40) < 0.7, "train", "valid")
    patients = rng.integers(0, 15, 40).astype(str)
    names = [str(row) for row in range(40)]
    return ImageTable(names, [], labels, ("a", "b", "c"), patients=patients.tolist(), splits=splits.tolist())


def naive(codes, films, binary):
    """For each training film the nearest others; of several equally near ones the share that is similar."""
    labels = films.relevance()
    rows = [row for row in range(len(films)) if films.splits[row] == "train" and labels[row].any()]
    shares = []
    for row in rows:
        near = []
        for other in rows:
            if films.patients[other] == films.patients[row]:
                continue
            if binary:
                closeness = -sum((a >= 0) != (b >= 0) for a, b in zip(codes[row], codes[other], strict=True))
            else:
                closeness = codes[row] @ codes[other] / np.linalg.norm(codes[row]) / np.linalg.norm(codes[other])
            near.append((closeness, (labels[row] & labels[other]).any()))
        best = max(closeness for closeness, _ in near)
        shares.append(np.mean([similar for closeness, similar in near if closeness == best]))
    return np.mean(shares)


@pytest.mark.parametrize("binary", [True, False])
def test_accuracy_is_the_loop(films, binary):
    codes = np.random.default_rng(1).normal(size=(40, 4)).astype(np.float32)
    assert training_accuracy(codes, films, binary=binary) == pytest.approx(naive(codes, films, binary), rel=1e-6)


def test_codes_that_are_the_labels_are_right_and_without_training_films_there_is_none(films):
    one_label = np.flatnonzero(films.labels.sum(axis=1) == 1)
    simple = films.select(one_label)
    codes = simple.labels.astype(np.float32)
    assert training_accuracy(codes, simple, binary=False) == 1
    none = films.select(np.flatnonzero(films.splits == "valid"))
    assert training_accuracy(np.ones((len(none), 2), np.float32), none, binary=False) is None


HELD = """
import numpy as np
from graphret.comparison.memory import PeakMemory
with PeakMemory() as before:
    pass
with PeakMemory() as memory:
    block = np.ones(25_000_000)
    assert block.any()
print(before.megabytes, memory.megabytes)
"""


def test_memory_that_is_held_in_the_block_is_seen():
    """In a process of its own: what other tests left here may be freed within the block, which then takes its place."""
    told = subprocess.run([sys.executable, "-c", HELD], check=True, capture_output=True, text=True).stdout.split()
    if told == ["None", "None"]:
        pytest.skip("this system has no /proc")
    before, after = map(float, told)
    assert after >= before + 150
