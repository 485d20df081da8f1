"""The network of an encoder on its device; of a saved encoder it is made when something needs it."""

from __future__ import annotations

import importlib
from functools import cached_property
from typing import TYPE_CHECKING, Any

from graphret.encoders import encoder_files
from graphret.encoders.registry.create import encoder_spec

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from graphret.encoders.encoder_config import EncoderConfig
    from graphret.encoders.networks.network import EncoderNetwork, InferenceNetwork

__all__ = ["OwnNetwork", "StoredNetwork", "on_device"]


def on_device(module: EncoderNetwork, device: torch.device) -> EncoderNetwork:
    """Move a network to a device, in evaluation mode and without gradients."""
    import torch

    # The type stubs of torch know no call that takes both.
    network: Any = module.eval().requires_grad_(False)
    moved: EncoderNetwork = network.to(device, memory_format=torch.channels_last)
    return moved


class OwnNetwork:
    """A network that was made already.

    Parameters
    ----------
    module
        Of :func:`graphret.encoders.create`; it is moved to the device and set to evaluation mode.
    device
        Where it runs.
    """

    def __init__(self, module: EncoderNetwork, device: torch.device) -> None:
        self.module, self.device = on_device(module, device), device

    @cached_property
    def folded(self) -> InferenceNetwork:
        """The form of the network that is faster on a processor."""
        return self.module.for_inference()

    @cached_property
    def on_device(self) -> InferenceNetwork:
        """The form of the network that is faster on a GPU."""
        return self.module.for_device()

    def tensors(self) -> dict[str, torch.Tensor]:
        """The weights by name, on the processor, contiguous."""
        return {key: value.detach().cpu().contiguous() for key, value in self.module.state_dict().items()}


class StoredNetwork:
    """The weights of a saved encoder.

    On a processor they are enough for codes and probabilities, where the encoder has such a form; the network itself
    is made when something else asks for it. Elsewhere it is made at once.

    Parameters
    ----------
    config
        What the network is.
    stored
        Its weights by name.
    device
        Where it runs.
    folder
        Of the encoder, for messages.

    Raises
    ------
    EncoderError
        The weights are not those of this network.
    """

    def __init__(
        self, config: EncoderConfig, stored: dict[str, torch.Tensor], device: torch.device, folder: Path
    ) -> None:
        self.device = device
        self._config, self._stored, self._folder = config, stored, folder
        self._folded = _folded(config, stored) if device.type == "cpu" else None
        if self._folded is None:
            self.module  # noqa: B018 - made now, so that weights that do not fit are refused now

    @cached_property
    def module(self) -> EncoderNetwork:
        """The network."""
        import torch

        with torch.random.fork_rng(devices=[]):
            module = self._config.create()
        encoder_files.fill(module, self._stored, self._folder)
        return on_device(module, self.device)

    @cached_property
    def folded(self) -> InferenceNetwork:
        """The form of the network that is faster on a processor."""
        return self.module.for_inference() if self._folded is None else self._folded

    @cached_property
    def on_device(self) -> InferenceNetwork:
        """The form of the network that is faster on a GPU."""
        return self.module.for_device()

    def tensors(self) -> dict[str, torch.Tensor]:
        """The weights by name, on the processor, contiguous."""
        return {key: value.contiguous() for key, value in self._stored.items()}


def _folded(config: EncoderConfig, tensors: dict[str, torch.Tensor]) -> InferenceNetwork | None:
    """The form for a processor of weights alone; None where there is none, or for weights of another network."""
    spec = encoder_spec(config.name)
    if not spec.from_tensors:
        return None
    try:
        made: InferenceNetwork = importlib.import_module(spec.from_tensors).for_inference(tensors, **config.options)
    except (KeyError, ValueError, RuntimeError):
        return None  # making the network says what does not fit
    return made
