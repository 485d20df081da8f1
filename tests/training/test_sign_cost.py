"""What the sign costs: bit balance, quantisation error and precision before and after it, and which epoch is kept.

CNNH and the Siamese hash had lost a third of their precision at the sign. On features that tell the classes they lose
some after the first pass and next to nothing at the end; a heavier quantisation makes bits constant. So what decides is
how far the training is at the epoch that is kept, and that of a hash encoder is judged by its bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from graphret.encoders.objectives import create_objective
from graphret.encoders.objectives.objective import NetworkOutputs, Targets
from graphret.training import TrainConfig, train
from graphret.training.run import make_task

if TYPE_CHECKING:
    from graphret._types import Float32Array

N_BITS, LENGTH, N_FILMS = 32, 24, 240


@dataclass
class Codes:
    """Values of films that did not train and of those that did, and what their signs keep of them."""

    asked: Float32Array
    searched: Float32Array
    group: np.ndarray

    def precision(self, of_bits: bool) -> float:
        """Share of films of the query's class among the ten nearest by cosine; of bits, ties fall by chance."""
        asked, searched = (np.where(v < 0, -1.0, 1.0) if of_bits else v for v in (self.asked, self.searched))
        asked, searched = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (asked, searched))
        nearness = asked @ searched.T + 1e-6 * np.random.default_rng(0).random((N_FILMS, N_FILMS))
        first = np.argsort(-nearness, axis=1)[:, :10]
        return float((self.group[first] == self.group[:, None]).mean())

    @property
    def cost(self) -> float:
        return self.precision(of_bits=False) - self.precision(of_bits=True)

    @property
    def n_constant(self) -> int:
        """Bits that nearly all films (95 %) have alike."""
        share = (self.searched >= 0).mean(axis=0)
        return int((np.abs(share - 0.5) > 0.45).sum())

    @property
    def quantisation_error(self) -> float:
        """Mean squared distance of a value from its bit."""
        return float(np.square(np.abs(self.searched) - 1).mean())


def trained(name: str, n_passes: int, seed: int = 0, **options) -> Codes:
    """A small network over noisy features of three classes, the middle one twice as frequent as the others."""
    group = np.repeat(np.arange(3), [60, 120, 60])
    labels = np.eye(3, dtype=np.int8)[group]
    generator = torch.Generator().manual_seed(0)
    middles = 0.7 * torch.randn(3, LENGTH, generator=generator)
    seen, new = (middles[group] + torch.randn(N_FILMS, LENGTH, generator=generator) for _ in range(2))
    torch.manual_seed(seed)
    network = torch.nn.Sequential(torch.nn.Linear(LENGTH, 64), torch.nn.ReLU(), torch.nn.Linear(64, N_BITS))
    classifier = torch.nn.Linear(LENGTH, 3)
    objective = create_objective(name, labels, N_BITS, **options)
    optimizer = torch.optim.Adam([*network.parameters(), *classifier.parameters()], lr=3e-3)
    for _ in range(n_passes):
        for rows in torch.randperm(N_FILMS).split(40):
            outputs = NetworkOutputs(network(seen[rows]), classifier(seen[rows]))
            loss = objective(outputs, Targets(torch.from_numpy(labels)[rows], rows))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        return Codes(network(new).numpy(), network(seen).numpy(), group)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cnnh", "siamese_hash"])
def test_the_sign_costs_much_after_the_first_pass_and_little_in_the_end(name):
    early, late = ([trained(name, n_passes, seed) for seed in range(2)] for n_passes in (1, 20))
    assert np.mean([codes.cost for codes in early]) > 0.02
    assert np.mean([codes.cost for codes in late]) < 0.015
    assert sum(codes.n_constant for codes in late) <= sum(codes.n_constant for codes in early)
    assert np.mean([codes.precision(of_bits=True) for codes in late]) > 0.95


def test_a_heavier_quantisation_lowers_its_error_and_makes_bits_constant():
    """So the weight of Cai et al. 2019 stays at .01: bits that no film differs in are what a sign loses."""
    light, heavy = (trained("siamese_hash", 10, pairs="all", alpha=alpha) for alpha in (0.01, 1.0))
    assert heavy.quantisation_error < light.quantisation_error
    assert heavy.n_constant > light.n_constant + 8
    assert heavy.precision(of_bits=True) < light.precision(of_bits=True)


@pytest.mark.parametrize(("name", "chosen"), [("cnnh", "retrieval"), ("ynet", "retrieval"), ("resnet18", "auc")])
def test_the_epoch_of_a_hash_encoder_is_chosen_by_its_bits_also_beside_a_classifier(table, name, chosen):
    config = TrainConfig.for_encoder(name, device="cpu")
    assert make_task(table, name, config).select_by == chosen
    if name == "cnnh":
        by_classifier = TrainConfig.for_encoder(name, device="cpu", select_by="auc")
        assert make_task(table, name, by_classifier).select_by == "auc"


def test_the_history_says_so_and_keeps_the_auc(table, small, tmp_path):
    config = TrainConfig.for_encoder("cnnh", n_bits=8, options={"backbone": "small_cnn"}, **{**small, "epochs": 1})
    encoder = train(table, "cnnh", out=tmp_path, config=config)
    best = encoder.record["validation"]
    assert best["selected_by"] == "retrieval"
    assert set(best["auc"]) == set(table.label_names)
