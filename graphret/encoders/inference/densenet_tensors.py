"""The form of DenseNet-121 for a processor, from its weights alone.

The network itself comes from torchvision, which takes as long to import as torch. A query of one film needs neither
torchvision nor random weights that are then overwritten: only layers that hold the stored ones.
"""

from __future__ import annotations

from collections import defaultdict
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, nn

from graphret.encoders.inference.densenet_inference import DenseNetInference
from graphret.encoders.inference.pixels import PIXELS

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["for_inference"]

_Layer = TypeVar("_Layer", bound=nn.Module)
_LAYERS = (6, 12, 24, 16)


def for_inference(tensors: Mapping[str, Tensor], *, pixels: str, **_training: Any) -> DenseNetInference:
    """Make of stored weights what ``DenseNet121.for_inference`` makes of the module, to the bit.

    Parameters
    ----------
    tensors
        The state of a `DenseNet121`, all of it and nothing else.
    pixels
        As of `DenseNet121`; its other options matter in training only.

    Raises
    ------
    KeyError, ValueError, RuntimeError
        The tensors are not those of this network.
    """
    layers = _Layers(tensors)
    blocks = {
        f"denseblock{number}": {
            f"denselayer{layer}": SimpleNamespace(
                norm1=layers.norm(f"{name}.norm1"),
                conv1=layers.convolution(f"{name}.conv1"),
                norm2=layers.norm(f"{name}.norm2"),
                conv2=layers.convolution(f"{name}.conv2"),
            )
            for layer in range(1, n_layers + 1)
            for name in [f"backbone.denseblock{number}.denselayer{layer}"]
        }
        for number, n_layers in enumerate(_LAYERS, 1)
    }
    transitions = {
        name: SimpleNamespace(
            norm=layers.norm(f"backbone.{name}.norm"), conv=layers.convolution(f"backbone.{name}.conv")
        )
        for name in (f"transition{number}" for number in range(1, len(_LAYERS)))
    }
    backbone = SimpleNamespace(
        conv0=layers.convolution("backbone.conv0", stride=2, padding=3),
        norm0=layers.norm("backbone.norm0"),
        norm5=layers.norm("backbone.norm5"),
        **blocks,
        **transitions,
    )
    network = SimpleNamespace(backbone=backbone, pixels=PIXELS[pixels](), classifier=layers.linear("classifier"))
    layers.check_all_used()
    return DenseNetInference(network)


class _Layers:
    """Layers by name, each with its stored tensors and never with random ones."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self._of: dict[str, dict[str, Tensor]] = defaultdict(dict)
        for key, value in tensors.items():
            layer, _, name = key.rpartition(".")
            self._of[layer][name] = value

    def norm(self, name: str) -> nn.BatchNorm2d:
        return self._filled(nn.BatchNorm2d(len(self._of[name]["weight"]), device="meta"), name)

    def convolution(self, name: str, stride: int = 1, padding: int = 0) -> nn.Conv2d:
        n_out, n_in, side, _ = self._of[name]["weight"].shape
        return self._filled(nn.Conv2d(n_in, n_out, side, stride, padding, bias=False, device="meta"), name)

    def linear(self, name: str) -> nn.Linear:
        n_out, n_in = self._of[name]["weight"].shape
        return self._filled(nn.Linear(n_in, n_out, device="meta"), name)

    def _filled(self, layer: _Layer, name: str) -> _Layer:
        layer.load_state_dict(self._of.pop(name), assign=True)
        filled: Any = layer.requires_grad_(False).eval()
        # as a whole network is moved: the order of a product's terms in memory decides the last bit of its sum
        moved: _Layer = filled.to(memory_format=torch.channels_last)
        return moved

    def check_all_used(self) -> None:
        """Refuse tensors of another network.

        Raises
        ------
        ValueError
            Some belong to no layer.
        """
        if self._of:
            raise ValueError(f"unknown layers: {', '.join(sorted(self._of))}")
