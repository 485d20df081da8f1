"""Supervised contrast of several labels a film against a loop that is written like the equation."""

import math

import numpy as np
import pytest
import torch

from graphret._errors import InvalidParameterError
from graphret.encoders.objectives import create_objective
from graphret.encoders.objectives.contrast import supervised_contrast
from graphret.encoders.objectives.objective import NetworkOutputs, Targets

LABELS = np.array([[1, 0], [1, 1], [0, 1], [0, 0], [0, 0], [-1, 0], [-1, -1], [1, -1]], dtype=np.int8)


def codes_of(n: int = len(LABELS), seed: int = 0) -> torch.Tensor:
    return torch.randn(n, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def relation(one: np.ndarray, other: np.ndarray) -> bool | None:
    """Whether two films are similar; None where an uncertain label can change that."""
    if ((one == 1) & (other == 1)).any() or ((one == 0).all() and (other == 0).all()):
        return True
    may_share = ((one != 0) & (other != 0)).any()
    may_be_healthy = (one != 1).all() and (other != 1).all()
    return None if may_share or may_be_healthy else False


def naive(codes: np.ndarray, labels: np.ndarray, temperature: float) -> float:
    unit = codes / np.linalg.norm(codes, axis=1, keepdims=True)
    terms = []
    for i in range(len(codes)):
        others = [a for a in range(len(codes)) if a != i and relation(labels[i], labels[a]) is not None]
        similar = [p for p in others if relation(labels[i], labels[p])]
        if similar:
            below = sum(math.exp(unit[i] @ unit[a] / temperature) for a in others)
            logs = [math.log(math.exp(unit[i] @ unit[p] / temperature) / below) for p in similar]
            terms.append(-sum(logs) / len(similar))
    return sum(terms) / len(terms) if terms else 0.0


@pytest.mark.parametrize("temperature", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_it_is_the_equation(temperature, seed):
    labels = LABELS[np.random.default_rng(seed).permutation(len(LABELS))]
    codes = codes_of(seed=seed)
    loss = supervised_contrast(codes, torch.from_numpy(labels), temperature)
    assert float(loss) == pytest.approx(naive(codes.numpy(), labels, temperature), rel=1e-12)


def test_the_gradient_is_that_of_finite_differences():
    codes = codes_of().requires_grad_()
    assert torch.autograd.gradcheck(lambda values: supervised_contrast(values, torch.from_numpy(LABELS), 0.5), codes)


@pytest.mark.parametrize("labels", [[[1, 0], [0, 1]], [[-1, -1], [-1, -1]], [[1, 0]]])
def test_a_batch_without_similar_films_gives_nothing_and_a_gradient_of_nothing(labels):
    codes = codes_of(len(labels)).requires_grad_()
    loss = supervised_contrast(codes, torch.tensor(labels, dtype=torch.int8), 0.1)
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(codes.grad, torch.zeros_like(codes))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_summed_in_float32(dtype):
    codes, labels = codes_of().to(dtype), torch.from_numpy(LABELS)
    assert torch.equal(supervised_contrast(codes, labels, 0.1), supervised_contrast(codes.float(), labels, 0.1))


def test_it_is_added_to_the_classification_with_its_weight():
    codes, logits = codes_of(), codes_of(seed=1)[:, :2]
    outputs, targets = NetworkOutputs(codes, logits), Targets(torch.from_numpy(LABELS), torch.arange(len(LABELS)))
    plain = create_objective("classification", LABELS)
    assert plain.parts is None
    both = create_objective("classification", LABELS, contrast=0.3, temperature=0.2)
    expected = plain(outputs, targets) + 0.3 * supervised_contrast(codes, targets.labels, 0.2)
    assert float(both(outputs, targets)) == pytest.approx(float(expected), rel=1e-6)
    assert set(both.parts) == {"classification", "contrast"}


@pytest.mark.parametrize("options", [{"contrast": -0.1}, {"contrast": float("nan")}, {"temperature": 0.0}])
def test_values_out_of_their_range_are_refused(options):
    with pytest.raises(InvalidParameterError, match=next(iter(options))):
        create_objective("classification", LABELS, **options)
