"""graphret finds, for a query X-ray, the most similar films of a hospital-size archive.

Every name below is loaded at its first use: importing this package is cheap, and brings neither torch nor faiss.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graphret._errors import (
    CodesError,
    DamagedIndexError,
    DataError,
    DatasetSpecError,
    DeviceError,
    EncoderError,
    ExperimentError,
    FilmError,
    GraphretError,
    IndexLockedError,
    InvalidParameterError,
    MissingDependencyError,
    MissingFileError,
    NotAnIndexError,
    PluginError,
    StaleFrontError,
    StoreError,
    UnknownNameError,
)
from graphret._version import __version__

if TYPE_CHECKING:
    from graphret.auditing import audit
    from graphret.comparison import compare
    from graphret.data import ImageTable, read_dataset, read_film
    from graphret.encoders import list_encoders, load_encoder
    from graphret.evaluation import evaluate
    from graphret.index import Hits, Index, join_shards, open, pack, unpack
    from graphret.mapping import archive_map, community_summaries
    from graphret.overview import ArchiveReport, report
    from graphret.retrieval import list_rankings
    from graphret.training import train
    from graphret.tuning import build, tune

__all__ = [
    "ArchiveReport",
    "CodesError",
    "DamagedIndexError",
    "DataError",
    "DatasetSpecError",
    "DeviceError",
    "EncoderError",
    "ExperimentError",
    "FilmError",
    "GraphretError",
    "Hits",
    "ImageTable",
    "Index",
    "IndexLockedError",
    "InvalidParameterError",
    "MissingDependencyError",
    "MissingFileError",
    "ModelEncoder",
    "NotAnIndexError",
    "PluginError",
    "StaleFrontError",
    "StoreError",
    "UnknownNameError",
    "__version__",
    "archive_map",
    "audit",
    "build",
    "community_summaries",
    "compare",
    "evaluate",
    "join_shards",
    "list_encoders",
    "list_rankings",
    "load_encoder",
    "open",
    "pack",
    "read_dataset",
    "read_film",
    "report",
    "train",
    "tune",
    "unpack",
]

_HOMES = {
    "ArchiveReport": "graphret.overview",
    "Hits": "graphret.index",
    "ImageTable": "graphret.data",
    "Index": "graphret.index",
    "ModelEncoder": "graphret.encoders",
    "archive_map": "graphret.mapping",
    "audit": "graphret.auditing",
    "build": "graphret.tuning",
    "community_summaries": "graphret.mapping",
    "compare": "graphret.comparison",
    "evaluate": "graphret.evaluation",
    "join_shards": "graphret.index",
    "list_encoders": "graphret.encoders",
    "list_rankings": "graphret.retrieval",
    "load_encoder": "graphret.encoders",
    "open": "graphret.index",
    "pack": "graphret.index",
    "read_dataset": "graphret.data",
    "read_film": "graphret.data",
    "report": "graphret.overview",
    "train": "graphret.training",
    "tune": "graphret.tuning",
    "unpack": "graphret.index",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
