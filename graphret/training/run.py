"""What a training is about: its data, its settings, and whether a checkpoint belongs to it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._errors import DataError, InvalidParameterError
from graphret.encoders.encoder_config import EncoderConfig
from graphret.encoders.inference.colours import say_channels
from graphret.encoders.objectives import objective_spec
from graphret.encoders.registry.create import encoder_spec
from graphret.training.masks import MASK_COLUMN, has_masks
from graphret.training.validation import labels_with_both_classes

if TYPE_CHECKING:
    from pathlib import Path

    from graphret._types import Int64Array
    from graphret.data import ImageTable
    from graphret.training.config import TrainConfig

__all__ = ["Task", "make_task", "refuse_other_task"]


@dataclass(frozen=True)
class Task:
    """Films, settings and network of one training."""

    table: ImageTable
    config: TrainConfig
    encoder: EncoderConfig
    split_note: str

    @property
    def train_rows(self) -> Int64Array:
        """Rows of the training split."""
        return np.flatnonzero(self.table.splits == "train")

    @property
    def valid_rows(self) -> Int64Array:
        """Rows of the validation split."""
        return np.flatnonzero(self.table.splits == "valid")

    @property
    def objective(self) -> str:
        """Name of what is minimised."""
        return self.config.objective or encoder_spec(self.encoder.name).objective

    @property
    def objective_options(self) -> dict[str, Any]:
        """Every option of the objective."""
        return objective_spec(self.objective).check_options(self.config.objective_options)

    @property
    def select_by(self) -> str:
        """What epochs are compared by: "auc" or "retrieval"."""
        spec = encoder_spec(self.encoder.name)
        # A classifier beside the bits says nothing of them: they may all be constant where its AUC is best.
        return self.config.select_by or ("auc" if spec.classifies and spec.kind == "dense" else "retrieval")

    def identity(self, n_processes: int) -> dict[str, Any]:
        """What decides the weights, as flat JSON: equal identities may share a checkpoint."""
        table = self.table
        return {
            **{f"encoder {key}": value for key, value in self.encoder.to_json().items()},
            **self.config.deciding(),
            "n_bits": self.encoder.n_bits,
            "options": dict(self.encoder.options),
            "objective": self.objective,
            "objective_options": self.objective_options,
            "select_by": self.select_by,
            "masks of the films": _digest("\n".join(table.columns[MASK_COLUMN].tolist()).encode())
            if has_masks(table)
            else None,
            "training films": len(self.train_rows),
            "validation films": len(self.valid_rows),
            "ids of the films": _digest("\n".join(table.ids.tolist()).encode()),
            "labels of the films": _digest(table.labels.tobytes()),
            "splits of the films": _digest("\n".join(table.splits.tolist()).encode()),
            "processes": n_processes,
        }

    def describe_data(self, n_problems: int) -> dict[str, Any]:
        """Counts for the model card."""
        table = self.table
        splits = [(name, table.splits == name) for name in ("train", "valid", "test")]
        labels = table.labels[self.train_rows]
        return {
            "spec": table.spec,
            "split_note": self.split_note,
            "splits": [
                {"split": name, "films": int(mask.sum()), "patients": len(np.unique(table.patients[mask]))}
                for name, mask in splits
            ],
            "labels": [
                {
                    "label": name,
                    "positive": int((labels[:, column] == 1).sum()),
                    "negative": int((labels[:, column] == 0).sum()),
                    "uncertain": int((labels[:, column] == -1).sum()),
                }
                for column, name in enumerate(table.label_names)
            ],
            "problems": n_problems,
        }


def make_task(table: ImageTable, name: str, config: TrainConfig) -> Task:
    """Check that a table can be trained on, and make a validation split by patient if it has none.

    Raises
    ------
    DataError
        Too few films, no labels, or validation films by which no epoch can be chosen.
    UnknownNameError, InvalidParameterError
        Unknown encoder, objective or option, or a parameter that does not fit the encoder.
    """
    if not table.label_names:
        raise DataError("the table has no labels: there is nothing to train on (choose a dataset spec with labels)")
    options = encoder_spec(name).options_for(config.weights, config.options)
    encoder = EncoderConfig(name, config.size, table.label_names, config.n_bits, options)
    note = "The splits are those of the table."
    if not (table.splits == "valid").any() and (table.splits == "train").any():
        share = config.validation_share
        rows = np.flatnonzero(table.splits == "train")
        split = table.select(rows).with_split_by_patient((1 - share, share, 0.0), seed=config.seed).splits
        splits = table.splits.astype("<U5")
        splits[rows] = split
        table = replace(table, splits=splits)
        note = f"The validation split was made of the training split, by patient ({share:g}, seed {config.seed})."
    task = Task(table, config, encoder, note)
    colour = encoder.reads_colour
    say_channels(name, colour=colour, spec=table.spec, channels=table.channels, n_films=len(table))
    if len(task.train_rows) < 2:
        raise DataError(f"the training split has {len(task.train_rows)} films: give at least 2 with split 'train'")
    if task.select_by == "auc" and not encoder_spec(name).classifies:
        raise InvalidParameterError("select_by", "auc", "'retrieval' or None", f"{name!r} has no classifier")
    task.objective_options  # noqa: B018 - refuses unknown ones
    if task.select_by == "retrieval" and not _can_rank(table, task.valid_rows):
        raise DataError(
            f"no two of the {len(task.valid_rows)} films of the validation split are of different patients and share a "
            "label, so no epoch can be chosen: give more films with split 'valid', or another validation_share or seed"
        )
    if task.select_by == "auc" and not labels_with_both_classes(table.labels[task.valid_rows]):
        raise DataError(
            f"no label has a positive and a negative film among the {len(task.valid_rows)} of the validation split, "
            "so no epoch can be chosen: give more films with split 'valid', or another validation_share or seed"
        )
    return task


def refuse_other_task(found: dict[str, Any], wanted: dict[str, Any], out: Path) -> None:
    """Say what differs between the training of a checkpoint and the one that was asked for.

    Raises
    ------
    InvalidParameterError
        Anything differs.
    """
    different = [
        f"{key} was {found.get(key)!r} and is {wanted.get(key)!r}"
        for key in sorted({*found, *wanted})
        if found.get(key) != wanted.get(key)
    ]
    if different:
        raise InvalidParameterError(
            "out",
            str(out),
            "a folder without another training, the same data and parameters, or resume=False to start again",
            "its checkpoint differs: " + "; ".join(different),
        )


def _can_rank(table: ImageTable, rows: Int64Array) -> bool:
    """Whether a class of the validation films has two patients."""
    labels, patients = table.labels[rows], table.patients[rows]
    classes = np.column_stack([labels == 1, (labels == 0).all(axis=1)])
    return any(len(np.unique(patients[column])) > 1 for column in classes.T)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
