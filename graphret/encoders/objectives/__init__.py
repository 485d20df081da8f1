"""What trainings minimise, one file a loss. Importing this package does not import torch."""

from __future__ import annotations

from graphret.encoders.objectives.registry import ObjectiveSpec, create_objective, list_objectives, objective_spec

__all__ = ["ObjectiveSpec", "create_objective", "list_objectives", "objective_spec"]
