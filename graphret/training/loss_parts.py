"""The terms of a loss over an epoch: summed on the device, so that no step waits for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from accelerate import Accelerator
    from torch import Tensor

__all__ = ["LossParts"]


class LossParts:
    """Sums of the terms that an objective names in ``parts``.

    Parameters
    ----------
    sums
        Of the steps that were done before, by name.
    device
        Where the steps run.

    Examples
    --------
    >>> sums = LossParts({"classes": 1.0}, torch.device("cpu"))
    >>> sums.add({"classes": torch.tensor(2.0)})
    >>> sums.to_json()
    {'classes': 3.0}
    """

    def __init__(self, sums: Mapping[str, float], device: torch.device) -> None:
        self._device = device
        self._sums = {name: self._scalar(value) for name, value in sums.items()}

    def add(self, parts: Mapping[str, Tensor] | None) -> None:
        """Add the terms of a step."""
        for name, value in (parts or {}).items():
            self._sums[name] = self._sums.get(name, self._scalar(0.0)) + value.double()

    def to_json(self) -> dict[str, float]:
        """The sums as plain numbers."""
        return {name: float(value) for name, value in self._sums.items()}

    def means(self, n_steps: int, accelerator: Accelerator) -> dict[str, float]:
        """Means over the steps of all processes."""
        return {
            name: float(accelerator.reduce(value, reduction="mean")) / n_steps for name, value in self._sums.items()
        }

    def _scalar(self, value: float) -> Tensor:
        return torch.tensor(value, dtype=torch.float64, device=self._device)
