"""Readers of data sets that other packages bring (entry points of the group ``graphret.readers``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graphret._plugins import PluginRegistry

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["OTHER_READERS", "READERS"]

READERS = ("chexpert", "cifar10", "csv", "dicom", "elcap", "folder", "jsrt", "nih", "origa", "tcia")
"""Those of graphret."""


def _problem(name: str, reader: object) -> str:
    if name in READERS:
        return "has a name that is taken: graphret has it"
    return "" if callable(reader) else "is no function of a dataset spec and a folder"


OTHER_READERS: PluginRegistry[Callable[..., Any]] = PluginRegistry("reader", {}, "graphret.readers", _problem)
"""By name: functions of a `DatasetSpec` and a folder that give `Records`."""
