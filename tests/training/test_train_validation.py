import logging
from itertools import pairwise, permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from graphret._errors import DataError, InvalidParameterError
from graphret.encoders import Encoder
from graphret.training import classifier_auc
from graphret.training.validation import label_aucs, retrieval_chance, retrieval_map


def pairwise_auc(scores: np.ndarray, truth: np.ndarray) -> float:
    """The share of (positive, negative) pairs in the right order; ties count half."""
    difference = scores[truth == 1][:, None] - scores[truth == 0][None]
    return float(((difference > 0) + 0.5 * (difference == 0)).mean())


@settings(max_examples=50, deadline=None)
@given(
    hnp.arrays(np.float32, (12, 3), elements=st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])),
    hnp.arrays(np.int8, (12, 3), elements=st.sampled_from([-1, 0, 1])),
)
def test_it_is_the_share_of_ordered_pairs_among_the_known(probabilities, labels):
    aucs = label_aucs(probabilities, labels, ["a", "b", "c"])
    for column, name in enumerate("abc"):
        truth = labels[:, column]
        if (truth == 1).any() and (truth == 0).any():
            assert aucs[name] == pytest.approx(pairwise_auc(probabilities[:, column], truth), abs=1e-6)
        else:
            assert name not in aucs


@pytest.fixture
def encoder():
    return Encoder.untrained("tiny", ("bright side", "other", "bright top"), 32, seed=1, device="cpu")


def test_labels_are_matched_by_name_and_films_by_split(encoder, table):
    aucs = classifier_auc(encoder, table, split=None, batch_size=7)
    assert list(aucs) == ["bright side", "bright top"]
    images = np.stack([encoder.prepare(table.read(row)) for row in range(len(table))])
    probabilities = encoder.predict(images)
    for name, output in (("bright side", 0), ("bright top", 2)):
        truth = table.labels[:, table.label_names.index(name)]
        assert aucs[name] == pytest.approx(pairwise_auc(probabilities[:, output], truth), abs=1e-6)
    assert classifier_auc(encoder, table) == pytest.approx(classifier_auc(encoder, table.split("test"), split=None))
    assert classifier_auc(encoder, table) != classifier_auc(encoder, table, split="train")


def test_films_that_cannot_be_read_are_left_out(encoder, table):
    without = classifier_auc(encoder, table.select(np.arange(2, len(table))), split=None)
    for row in (0, 1):
        Path(table.paths[row]).write_bytes(b"no image")
    assert classifier_auc(encoder, table, split=None) == pytest.approx(without)
    with pytest.raises(DataError, match="no film"):
        classifier_auc(encoder, table.select([0, 1]), split=None)
    with pytest.raises(DataError, match="'valid'"):
        classifier_auc(encoder, table.split("test"), split="valid")


def test_a_label_with_one_class_is_left_out_and_named(encoder, table, caplog):
    rows = np.flatnonzero(table.labels[:, 0] == 1)
    with caplog.at_level(logging.INFO):
        assert list(classifier_auc(encoder, table.select(rows), split=None)) == ["bright side"]
    assert "bright top" in caplog.text


def test_no_shared_label_is_an_error(table):
    encoder = Encoder.untrained("tiny", ("Mass",), 32, device="cpu")
    with pytest.raises(InvalidParameterError, match="Mass"):
        classifier_auc(encoder, table)


def precision_of(order: list[int], relevant: np.ndarray) -> float:
    hits = [relevant[film] for film in order]
    return float(np.mean([sum(hits[: place + 1]) / (place + 1) for place, hit in enumerate(hits) if hit]))


@settings(max_examples=30, deadline=None)
@given(
    hnp.arrays(np.float32, (6, 3), elements=st.sampled_from([-1.0, -0.5, 0.0, 0.5, 2.0])),
    hnp.arrays(np.int8, (6, 2), elements=st.sampled_from([-1, 0, 1])),
    hnp.arrays(np.int64, (6,), elements=st.integers(0, 4)),
)
def test_retrieval_is_the_mean_over_all_orders_of_ties(codes, labels, patients):
    signs = codes >= 0
    found = []
    for query in range(6):
        others = [film for film in range(6) if patients[film] != patients[query]]
        relevant = np.array(
            [
                bool((labels[f] == 1) @ (labels[query] == 1)) or not (labels[f].any() or labels[query].any())
                for f in range(6)
            ]
        )
        if not relevant[others].any():
            continue
        distances = {film: int((signs[film] != signs[query]).sum()) for film in others}
        orders = [o for o in permutations(others) if all(distances[a] <= distances[b] for a, b in pairwise(o))]
        found.append(np.mean([precision_of(list(order), relevant) for order in orders]))
    value = retrieval_map(codes, labels, patients.astype(str), binary=True)
    assert np.isnan(value) if not found else value == pytest.approx(np.mean(found))


def test_retrieval_of_dense_codes_ranks_by_cosine_and_does_not_reward_the_order_of_the_table():
    labels = np.repeat(np.eye(2, dtype=np.int8), 3, axis=0)
    patients = [str(number) for number in range(6)]
    turned = np.array([[1, 0], [9, 1], [1, 0.1], [0, 5], [0.1, 1], [0, 0.2]], dtype=np.float32)
    assert retrieval_map(turned, labels, patients, binary=False) == 1
    assert retrieval_map(turned * [[1], [0.01], [100], [1], [7], [1]], labels, patients, binary=False) == 1
    same = np.ones((6, 2), dtype=np.float32)
    for binary in (True, False):
        constant = retrieval_map(same, labels, patients, binary=binary)
        assert constant == pytest.approx(retrieval_map(same, labels[::-1], patients, binary=binary))
        assert 0.4 < constant < 0.75
    assert np.isfinite(retrieval_map(0 * turned, labels, patients, binary=False))


def test_chance_of_retrieval_is_the_mean_of_random_codes():
    rng = np.random.default_rng(3)
    labels = (rng.random((40, 2)) < 0.3).astype(np.int8)
    patients = np.array([f"p{number // 2}" for number in range(40)])
    runs = []
    for _ in range(60):
        codes = rng.standard_normal((40, 16)).astype(np.float32)
        chance, margin = retrieval_chance(codes, labels, patients, binary=False)
        runs.append(retrieval_map(codes, labels, patients, binary=False))
        assert 0 < margin < 0.2
    assert np.mean(runs) == pytest.approx(chance, abs=0.02)
    assert retrieval_map(labels.astype(np.float32), labels, patients, binary=False) > chance + margin
