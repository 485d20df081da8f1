"""Which device a model runs on."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from graphret._errors import DeviceError, UnknownNameError
from graphret._notes import note_once

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

__all__ = ["DEVICES", "arithmetic", "choose_device"]

DEVICES = ("auto", "cpu", "cuda")

logger = logging.getLogger(__name__)


def choose_device(device: str) -> torch.device:
    """Turn ``"auto"``, ``"cpu"`` or ``"cuda"`` into a device that is there.

    ``"auto"`` is CUDA where there is one and otherwise the processor, which is logged once.

    Raises
    ------
    DeviceError
        ``"cuda"`` on a machine without one.

    Examples
    --------
    >>> choose_device("cpu")
    device(type='cpu')
    """
    import torch

    if device not in DEVICES:
        raise UnknownNameError("device", device, DEVICES, "CUDA_VISIBLE_DEVICES chooses among several")
    if device == "cpu" or (device == "auto" and not torch.cuda.is_available()):
        if device == "auto":
            note_once(logger, "no CUDA device: using the processor", logging.INFO)
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise DeviceError(
            f"device={device!r}: this machine has no CUDA device that torch can use "
            "(give device='cpu', or 'auto' to take what there is)"
        )
    return torch.device("cuda")


@contextmanager
def arithmetic(device: torch.device, precision: str) -> Iterator[None]:
    """Full float32 convolutions (no TF32, so that a GPU gives the codes of a processor), or bfloat16 ones."""
    import torch

    flags = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
    with flags, torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16"):
        yield
