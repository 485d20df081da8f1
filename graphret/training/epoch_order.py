"""The order of the films in an epoch, and their batches: a function of the seed and the number of the epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from graphret._errors import DataError
from graphret.training import samplers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graphret._types import BoolArray, Int64Array
    from graphret.training.run import Task

__all__ = ["batches_of_epoch", "order_of_epoch"]


def order_of_epoch(task: Task, epoch: int, skipped: Sequence[int]) -> tuple[Int64Array, BoolArray]:
    """Rows of the training films in the order of an epoch; for every row of the table, whether it is flipped."""
    generator = np.random.default_rng([task.config.seed, epoch])
    order = generator.permutation(task.train_rows)
    flips = generator.random(len(task.table)) < 0.5
    return order[~np.isin(order, skipped)], flips


def batches_of_epoch(task: Task, epoch: int, order: Int64Array, n_processes: int) -> list[Int64Array]:
    """The batches of an epoch, for all processes together.

    Raises
    ------
    DataError
        Too few films for one step of every process.
    """
    generator = np.random.default_rng([task.config.seed, epoch, 1])
    groups = samplers.batches_of(task.config, order, task.table.labels[order], generator)
    # Batch normalisation has no statistics of a single film.
    groups = [group for group in groups if len(group) > 1]
    if len(groups) < n_processes:
        raise DataError(
            f"{len(order)} of {len(task.train_rows)} training films can be read: too few for a step of "
            f"{n_processes} processes (the log names the others and why)"
        )
    return groups
