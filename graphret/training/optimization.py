"""Optimisers and learning-rate schedules. A schedule has no state of its own, so that a resumed run repeats it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import nn

    from graphret.training.config import TrainConfig

__all__ = ["LearningRate", "make_optimizer"]


def make_optimizer(parameters: Iterable[nn.Parameter], config: TrainConfig) -> torch.optim.Optimizer:
    """Adam with the betas of Haq et al. 2021, or stochastic gradient descent with momentum.

    On CUDA one kernel changes all weights ("fused"); what it computes is the same.
    """
    of_all = list(parameters)
    fused = True if all(parameter.is_cuda for parameter in of_all) else None
    rate, decay = config.learning_rate, config.weight_decay
    if config.optimizer == "sgd":
        return torch.optim.SGD(of_all, lr=rate, momentum=config.momentum, weight_decay=decay, fused=fused)
    return torch.optim.Adam(of_all, lr=rate, betas=(0.9, 0.999), weight_decay=decay, fused=fused)


class LearningRate:
    """The learning rate as a function of the epochs' scores (``"plateau"``) or of the iterations (the others).

    During a warm-up it is the share of its value that the iterations done are of those of the warm-up.

    Parameters
    ----------
    optimizer
        Whose learning rate is set.
    config
        Schedule and its parameters.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, config: TrainConfig) -> None:
        self._optimizer, self._config = optimizer, config
        self._plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer,
            mode="max",
            factor=config.plateau_factor,
            patience=config.plateau_patience,
            min_lr=config.learning_rate_floor,
        )
        self._after_scores = config.learning_rate

    @property
    def current(self) -> float:
        """The learning rate of the next iteration."""
        return float(self._optimizer.param_groups[0]["lr"])

    def after_iterations(self, n_iterations: int, share: float) -> None:
        """Set the rate for the iteration that follows ``n_iterations`` others, a ``share`` of all of the training."""
        config = self._config
        if config.schedule == "plateau":
            rate = self._after_scores
        elif config.schedule == "steps":
            falls = n_iterations // config.step_iterations
            rate = max(config.learning_rate * config.step_factor**falls, config.learning_rate_floor)
        else:
            wave = (1 + math.cos(math.pi * min(share, 1.0))) / 2
            rate = max(config.learning_rate * wave, config.learning_rate_floor)
        if n_iterations < config.warmup_iterations:
            rate *= (n_iterations + 1) / config.warmup_iterations
        for group in self._optimizer.param_groups:
            group["lr"] = rate

    def after_epoch(self, score: float) -> None:
        """Take note of how good an epoch was."""
        if self._config.schedule == "plateau":
            for group in self._optimizer.param_groups:
                group["lr"] = self._after_scores
            self._plateau.step(score)
            self._after_scores = self.current
