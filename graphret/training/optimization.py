"""Optimisers and learning-rate schedules. A schedule has no state of its own, so that a resumed run repeats it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import nn

    from graphret.training.config import TrainConfig

__all__ = ["LearningRate", "make_optimizer"]


def make_optimizer(parameters: Iterable[nn.Parameter], config: TrainConfig) -> torch.optim.Optimizer:
    """Adam with the betas of Haq et al. 2021, or stochastic gradient descent with momentum."""
    if config.optimizer == "sgd":
        return torch.optim.SGD(
            parameters, lr=config.learning_rate, momentum=config.momentum, weight_decay=config.weight_decay
        )
    return torch.optim.Adam(parameters, lr=config.learning_rate, betas=(0.9, 0.999), weight_decay=config.weight_decay)


class LearningRate:
    """The learning rate as a function of the epochs' scores (``"plateau"``) or of the iterations (``"steps"``).

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

    @property
    def current(self) -> float:
        """The learning rate of the next iteration."""
        return float(self._optimizer.param_groups[0]["lr"])

    def after_iterations(self, n_iterations: int) -> None:
        """Set the rate for the iteration that follows ``n_iterations`` others."""
        if self._config.schedule == "steps":
            falls = n_iterations // self._config.step_iterations
            rate = self._config.learning_rate * self._config.step_factor**falls
            for group in self._optimizer.param_groups:
                group["lr"] = max(rate, self._config.learning_rate_floor)

    def after_epoch(self, score: float) -> None:
        """Take note of how good an epoch was."""
        if self._config.schedule == "plateau":
            self._plateau.step(score)
