"""A running average of the weights of a training: steadier than the weights of its last step."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import nn

__all__ = ["WeightAverage"]


class WeightAverage:
    """Exponential moving average of the parameters and floating buffers of a network (Polyak and Juditsky 1992).

    After step t an average a becomes ``d a + (1 - d) w`` with ``d = min(decay, (1 + t) / (10 + t))``, so that the first
    weights are soon forgotten.

    Parameters
    ----------
    module
        The network that is trained; its weights now are the first average.
    decay
        Weight of what was before, above 0 and below 1.

    Examples
    --------
    >>> from torch import nn
    >>> line = nn.Linear(1, 1, bias=False)
    >>> _ = nn.init.ones_(line.weight)
    >>> average = WeightAverage(line, 0.5)
    >>> _ = nn.init.zeros_(line.weight)
    >>> average.update(1)
    >>> with average.in_place():
    ...     round(line.weight.item(), 3)
    0.182
    >>> line.weight.item()
    0.0
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self._module, self._decay = module, decay
        self.tensors: dict[str, Tensor] = {name: value.detach().clone() for name, value in self._floating()}

    def update(self, step: int) -> None:
        """Take the weights after step number ``step``, counted from 1, into the average."""
        decay = min(self._decay, (1 + step) / (10 + step))
        with torch.no_grad():
            names, values = zip(*self._floating(), strict=True)
            torch._foreach_lerp_([self.tensors[name] for name in names], list(values), 1 - decay)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Let the network have the averages inside the block."""
        before = {name: value.detach().clone() for name, value in self._floating()}
        self._copy(self.tensors)
        try:
            yield
        finally:
            self._copy(before)

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take averages from a checkpoint, each in the memory layout that it has here."""
        for name, value in self.tensors.items():
            value.copy_(tensors[name])

    def _copy(self, tensors: Mapping[str, Tensor]) -> None:
        with torch.no_grad():
            for name, value in self._floating():
                value.copy_(tensors[name])

    def _floating(self) -> Iterator[tuple[str, Tensor]]:
        return ((name, value) for name, value in self._module.state_dict().items() if value.is_floating_point())
