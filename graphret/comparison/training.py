"""The trainings of a comparison: one budget for all, and a training that is finished is not done again."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from graphret._errors import ExperimentError

if TYPE_CHECKING:
    from pathlib import Path

    from graphret._types import Progress
    from graphret.comparison.experiment import BudgetSettings, Experiment, MethodSettings
    from graphret.comparison.starts import Start
    from graphret.data import ImageTable
    from graphret.encoders import Encoder
    from graphret.files import Stages

__all__ = ["auc_of", "fidelity_of", "masks_of", "other_objective", "trained_encoder"]


def trained_encoder(
    experiment: Experiment,
    method: MethodSettings,
    n_bits: int | None,
    table: ImageTable,
    stages: Stages,
    key: str,
    start: Start,
    progress: Progress | None,
) -> tuple[Encoder, float]:
    """Train an encoder within the budget from its first weights, or load it; return it with its seconds of training.

    A training that was killed, or that ended within a smaller budget, goes on from its checkpoint, with what is left of
    its epochs and minutes. The seconds are those of the epochs and of the unfinished one; validation and the reading of
    films are not counted.

    Raises
    ------
    ExperimentError
        It was given a larger budget before.
    """
    from graphret.encoders import load_encoder
    from graphret.training import train

    _refuse_a_smaller_budget(experiment.budget, method.label, stages)
    device = experiment.training.get("device", "auto")
    out = stages.folder / "encoder"
    done = stages.load("training", key)
    if done is not None and (out / "encoder.json").is_file():
        return load_encoder(out, device=device), float(done.record["seconds"])
    parameters: dict[str, Any] = {
        "seed": experiment.seed,
        **experiment.training,
        **method.training,
        "weights": start.weights,
        "size": experiment.data.size,
        "epochs": experiment.budget.epochs,
        "options": dict(method.options),
    }
    if n_bits is not None:
        parameters["n_bits"] = n_bits
    if experiment.budget.max_minutes:
        left = experiment.budget.max_minutes - _seconds_of_epochs(out) / 60
        parameters["max_minutes"] = max(left, 0.01)
    encoder = train(table, method.name, out=out, progress=progress, **parameters)
    seconds = _seconds_of_epochs(out)
    stages.save("training", key, {"seconds": seconds})
    return encoder, seconds


def other_objective(experiment: Experiment, method: MethodSettings) -> str | None:
    """Name the loss that an encoder is trained with in the place of its own; None where there is no such thing.

    Examples
    --------
    >>> from graphret.comparison.experiment import Experiment, MethodSettings
    >>> method = MethodSettings("encoder", "siamese_hash", training={"objective": "dsh"})
    >>> other_objective(Experiment(name="mine", methods=(method,)), method)
    'dsh'
    """
    if method.kind != "encoder":
        return None
    from graphret.encoders import encoder_spec

    own = encoder_spec(method.name).objective
    asked = {**experiment.training, **method.training}.get("objective") or own
    return None if asked == own else str(asked)


def fidelity_of(method: MethodSettings) -> str | None:
    """How close an encoder is to its paper with the options of a method; None for other methods.

    Examples
    --------
    >>> from graphret.comparison.experiment import MethodSettings
    >>> fidelity_of(MethodSettings("encoder", "rmac", options={"whitening": "training"}))
    'formula of the paper'
    """
    if method.kind != "encoder":
        return None
    from graphret.encoders import encoder_spec

    return encoder_spec(method.name).fidelity_with(method.options)


def auc_of(encoder: Encoder, table: ImageTable) -> dict[str, float] | None:
    """AUC of the classifier by label on the films of a table; None for an encoder without one."""
    from graphret.encoders import encoder_spec
    from graphret.training import classifier_auc

    if not encoder_spec(encoder.name).classifies:
        return None
    return classifier_auc(encoder, table, split=None)


def masks_of(encoder: Encoder, table: ImageTable) -> dict[str, Any] | None:
    """Dice and intersection over union of the masks that an encoder draws; None where it or the films have none."""
    from graphret.data.masks import n_mask_classes
    from graphret.evaluation import segmentation_quality

    if not encoder.draws_masks or not n_mask_classes(table.columns.get("mask", ())):
        return None
    return segmentation_quality(encoder, table)


def _refuse_a_smaller_budget(budget: BudgetSettings, label: str, stages: Stages) -> None:
    """Compare a budget with the one that was last given to this training, and remember it."""
    asked = {"epochs": budget.epochs, "max_minutes": budget.max_minutes}
    known = stages.load("budget", label)
    before = asked if known is None else known.record
    for name, limit in asked.items():
        if (limit or math.inf) < (before[name] or math.inf):
            given = f"{before[name]:g}" if before[name] else "no limit"
            raise ExperimentError(
                f"budget.{name} is {limit:g}, and {label} had {given} in this folder before: a training goes on with a "
                "larger budget, never back to a smaller one (give another --out)"
            )
    stages.save("budget", label, asked)


def _seconds_of_epochs(out: Path) -> float:
    try:
        history = json.loads((out / "history.json").read_text(encoding="utf-8"))
        parts = [*history["epochs"], *([history["unfinished"]] if history["unfinished"] else [])]
        return float(sum(part["seconds"] for part in parts))
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0
