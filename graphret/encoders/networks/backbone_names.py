"""The backbones by name; no torch, so that a code's length is known without a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphret._errors import UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["BACKBONE_CHANNELS", "backbone_channels"]

BACKBONE_CHANNELS: Mapping[str, int] = {"densenet121": 1024, "resnet18": 512, "resnet50": 2048, "small_cnn": 64}


def backbone_channels(name: str) -> int:
    """Channels of the last maps of a backbone.

    Raises
    ------
    UnknownNameError
        No backbone has this name; the message lists those there are.

    Examples
    --------
    >>> backbone_channels("resnet50")
    2048
    """
    if name not in BACKBONE_CHANNELS:
        raise UnknownNameError("backbone", name, BACKBONE_CHANNELS)
    return BACKBONE_CHANNELS[name]
