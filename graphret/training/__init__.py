"""Training of encoders. torch is imported by the first call, not by the import of this package."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graphret.training.config import TrainConfig

if TYPE_CHECKING:
    from graphret.training.archive_whitening import whitened_encoder
    from graphret.training.loop import train
    from graphret.training.validation import classifier_auc

__all__ = ["TrainConfig", "classifier_auc", "train", "whitened_encoder"]

_HOMES = {
    "train": "graphret.training.loop",
    "classifier_auc": "graphret.training.validation",
    "whitened_encoder": "graphret.training.archive_whitening",
}


def __getattr__(name: str) -> Any:
    # The command line shows the defaults of TrainConfig; it must not pay for torch to do so.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
