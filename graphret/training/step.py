"""One step of a training as one module: a network and what it is trained for, so that their gradients go together."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from graphret.encoders.objectives.objective import NetworkOutputs, Targets

if TYPE_CHECKING:
    from graphret.encoders.networks.network import EncoderNetwork
    from graphret.encoders.objectives.objective import Objective

__all__ = ["TrainingStep"]


class TrainingStep(nn.Module):
    """A network and its objective. Over several devices this is what is wrapped, so it must give the loss itself.

    Parameters
    ----------
    network, objective
        What is trained; the parameters of both are.
    """

    def __init__(self, network: EncoderNetwork, objective: Objective) -> None:
        super().__init__()
        self.network = network
        self.objective = objective

    def forward(self, images: Tensor, labels: Tensor, places: Tensor, masks: Tensor | None = None) -> Tensor:
        """Loss of a batch; the network may run in half precision, the objective always has float32."""
        outputs = _full_precision(self.network.outputs(images))
        with torch.autocast(images.device.type, enabled=False):
            loss: Tensor = self.objective(outputs, Targets(labels, places, masks))
        return loss


def _full_precision(outputs: NetworkOutputs) -> NetworkOutputs:
    def full(values: Tensor) -> Tensor:
        return values.float() if values.dtype in {torch.float16, torch.bfloat16} else values

    return replace(
        outputs,
        codes=full(outputs.codes),
        logits=None if outputs.logits is None else full(outputs.logits),
        mask_logits=None if outputs.mask_logits is None else full(outputs.mask_logits),
        further={key: full(value) for key, value in (outputs.further or {}).items()},
    )
