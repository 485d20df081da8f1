"""An accelerate ``Accelerator`` for the time of one training."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, GradientState, PartialState
from accelerate.utils import DistributedDataParallelKwargs

from graphret._errors import InvalidParameterError
from graphret.encoders.inference.device import choose_device

if TYPE_CHECKING:
    from collections.abc import Iterator

    from accelerate.utils import KwargsHandler

__all__ = ["borrow_accelerator", "chosen_precision"]

_STATES = (AcceleratorState, GradientState, PartialState)


def chosen_precision(device: str, mixed_precision: str) -> str:
    """Turn "auto" into "bf16" on a GPU that has bfloat16, and into "no" elsewhere; others stay.

    Raises
    ------
    DeviceError
        The device is not there.

    Examples
    --------
    >>> chosen_precision("cpu", "auto"), chosen_precision("cpu", "bf16")
    ('no', 'bf16')
    """
    if mixed_precision != "auto":
        return mixed_precision
    return "bf16" if choose_device(device).type == "cuda" and torch.cuda.is_bf16_supported() else "no"


@contextmanager
def borrow_accelerator(
    device: str, mixed_precision: str, *, unused: bool = False, same_shapes: bool = False
) -> Iterator[Accelerator]:
    """Make an accelerator, and leave torch's random state and accelerate's global state as they were.

    accelerate keeps device and precision in singletons for the life of the process: without this a second training
    could not choose others, and a caller who uses accelerate would find them changed. ``unused`` says that a step may
    leave parameters without a gradient, which several processes have to know. ``same_shapes`` says that nearly all
    batches have one size: on CUDA the fastest convolutions for it are then found by trying them.

    Raises
    ------
    DeviceError
        The device is not there.
    InvalidParameterError
        ``"fp16"`` without CUDA.
    """
    chosen = choose_device(device)
    if mixed_precision == "fp16" and chosen.type != "cuda":
        raise InvalidParameterError("mixed_precision", "fp16", "'no' or 'bf16' on a processor", "fp16 needs CUDA")
    before = [dict(state._shared_state) for state in _STATES]
    for state in _STATES:
        state._shared_state.clear()
    devices = [torch.cuda.current_device()] if chosen.type == "cuda" else []
    tried_before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = tried_before or (same_shapes and chosen.type == "cuda")
    try:
        with torch.random.fork_rng(devices=devices):
            handlers: list[KwargsHandler] = [DistributedDataParallelKwargs(find_unused_parameters=unused)]
            yield Accelerator(cpu=chosen.type == "cpu", mixed_precision=mixed_precision, kwargs_handlers=handlers)
    finally:
        torch.backends.cudnn.benchmark = tried_before
        for state, content in zip(_STATES, before, strict=True):
            state._shared_state.clear()
            state._shared_state.update(content)
