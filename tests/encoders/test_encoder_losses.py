"""The loss of Haq et al. 2021, Eq. 1 against a loop that is written like the equation."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphret.encoders.losses import label_weights, weighted_cross_entropy

logits_and_labels = st.integers(1, 6).flatmap(
    lambda n_labels: st.lists(
        st.lists(
            st.tuples(st.floats(-15, 15, width=32), st.sampled_from([1, 0, -1])), min_size=n_labels, max_size=n_labels
        ),
        min_size=1,
        max_size=7,
    )
)


def naive_loss(logits: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> float:
    total = 0.0
    for film in range(len(logits)):
        for label in range(logits.shape[1]):
            probability = 1 / (1 + math.exp(-logits[film, label]))
            if labels[film, label] == 1:
                total += -weights[0, label] * math.log(probability)
            elif labels[film, label] == 0:
                total += -weights[1, label] * math.log(1 - probability)
    return total / len(logits)


@settings(max_examples=60, deadline=None)
@given(logits_and_labels)
def test_it_is_the_equation(pairs):
    logits = np.array([[pair[0] for pair in row] for row in pairs], dtype=np.float64)
    labels = np.array([[pair[1] for pair in row] for row in pairs], dtype=np.int8)
    weights = label_weights(labels)
    loss = weighted_cross_entropy(torch.from_numpy(logits), torch.from_numpy(labels), torch.from_numpy(weights))
    assert float(loss) == pytest.approx(naive_loss(logits, labels, weights), rel=1e-6, abs=1e-9)


def test_the_weights_are_counted_over_the_known_labels():
    labels = np.array([[1, 1, -1], [0, 1, -1], [0, -1, -1], [0, 1, -1]], dtype=np.int8)
    np.testing.assert_allclose(label_weights(labels), [[3 / 4, 0, 0], [1 / 4, 1, 0]])


def test_uncertain_labels_have_no_gradient_and_known_ones_have():
    logits = torch.randn(6, 4, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor(np.random.default_rng(0).integers(-1, 2, (6, 4)).astype(np.int8))
    weighted_cross_entropy(logits, labels, torch.full((2, 4), 0.5, dtype=torch.float64)).backward()
    assert torch.equal(logits.grad == 0, labels == -1)


def test_the_gradient_is_that_of_finite_differences():
    torch.manual_seed(0)
    logits = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([[1, 0], [-1, 1], [0, 0]], dtype=torch.int8)
    weights = torch.tensor([[0.3, 0.6], [0.7, 0.4]], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: weighted_cross_entropy(x, labels, weights), logits)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_extreme_logits_stay_finite(dtype):
    logits = torch.tensor([[1e4, -1e4]], dtype=dtype, requires_grad=True)
    loss = weighted_cross_entropy(logits, torch.tensor([[0, 1]]), torch.ones(2, 2))
    loss.backward()
    assert loss.item() == pytest.approx(2e4, rel=0.01)
    assert torch.isfinite(logits.grad).all()


def test_summed_over_labels_averaged_over_films():
    logits, weights = torch.zeros(4, 3), torch.ones(2, 3)
    labels = torch.ones(4, 3, dtype=torch.int8)
    assert float(weighted_cross_entropy(logits, labels, weights)) == pytest.approx(3 * math.log(2))
