"""The encoders by name. Nothing here imports torch until :func:`create` makes a model."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from graphret._checks import check_integer
from graphret._plugins import PluginRegistry
from graphret.encoders.registry.comparison_specs import COMPARISON_SPECS
from graphret.encoders.registry.region_specs import REGION_SPECS
from graphret.encoders.registry.spec import EncoderSpec
from graphret.encoders.registry.system_specs import SYSTEM_SPECS

if TYPE_CHECKING:
    from os import PathLike

    from graphret.encoders.networks.network import EncoderNetwork

__all__ = ["ENCODERS", "create", "encoder_spec", "list_encoders"]


def _problem(name: str, spec: object) -> str:
    if not isinstance(spec, EncoderSpec):
        return "is no EncoderSpec"
    return "" if spec.name == name else f"calls itself {spec.name!r}: the EncoderSpec needs name={name!r}"


ENCODERS = PluginRegistry(
    "encoder",
    {
        spec.name: spec
        for spec in (
            EncoderSpec(
                name="densenet121",
                kind="dense",
                module="graphret.encoders.networks.densenet121",
                factory="DenseNet121",
                code_length=1024,
                default_size=224,
                paper="Haq, Moradi, Wang 2021: deep community retrieval; Huang et al. 2017",
                options={"pixels": "imagenet", "drop_rate": 0.0, "memory_efficient": False},
                non_negative=True,
                pretrained=("imagenet", "txrv"),
                colour=True,
                from_tensors="graphret.encoders.inference.densenet_tensors",
            ),
            EncoderSpec(
                name="resnet18",
                kind="dense",
                module="graphret.encoders.networks.resnet18",
                factory="ResNet18",
                code_length=512,
                default_size=224,
                paper="He et al. 2016; the small encoder for tests and demonstrations",
                non_negative=True,
                pretrained=("imagenet",),
                colour=True,
            ),
            *SYSTEM_SPECS,
            *COMPARISON_SPECS,
            *REGION_SPECS,
        )
    },
    "graphret.encoders",
    _problem,
)


FROM_FOLDERS = {
    "transformer": EncoderSpec(
        name="transformer",
        kind="dense",
        module="graphret.encoders.networks.transformer",
        factory="Transformer",
        code_length=768,
        length_option="code_length",
        default_size=224,
        paper="a model of the library transformers",
        fidelity="public implementation",
        options={"architecture": "", "code_length": 768, "mean": "0.5", "std": "0.5", "pooling": "cls"},
    )
}
"""Encoders without an architecture of their own: `create` by name alone cannot make them."""


def list_encoders() -> list[str]:
    """Names of the registered encoders, sorted.

    Examples
    --------
    >>> "densenet121" in list_encoders()
    True
    """
    return list(ENCODERS)


def encoder_spec(name: str) -> EncoderSpec:
    """Specification of one encoder, also of one that only a folder brings (`load_encoder`) and that no list has.

    Raises
    ------
    UnknownNameError
        No encoder has this name; the message lists those there are.
    """
    return FROM_FOLDERS[name] if name in FROM_FOLDERS else ENCODERS[name]


def create(
    name: str,
    *,
    n_labels: int,
    n_bits: int | None = None,
    weights: str | PathLike[str] | None = None,
    **options: Any,
) -> EncoderNetwork:
    """Make an encoder network.

    Parameters
    ----------
    name
        One of :func:`list_encoders`.
    n_labels
        Outputs of the classifier, >= 1.
    n_bits
        Length of the code of a hash encoder, ``None`` for its default; a dense encoder takes none.
    weights
        ``None``: random, from the caller's torch seed. ``"imagenet"``: torchvision's. ``"txrv:NAME"``: a
        DenseNet-121 of torchxrayvision, for example ``"txrv:densenet121-res224-all"``; it sets ``pixels="xrayvision"``.
        Otherwise a path: safetensors (saved by graphret, or with torchvision's names) or ``"FILE.pth#sha256=HEX"``,
        a pickle of torch with its sum, of which only tensors are read.
        The classifier comes along when it has ``n_labels`` outputs; otherwise it stays random.
    **options
        Options of the encoder; ``encoder_spec(name).options`` has their defaults. ``channels=3`` of one that reads
        colours (``encoder_spec(name).colour``): images are then (b, 3, s, s), red, green and blue.

    Returns
    -------
    EncoderNetwork
        A ``torch.nn.Module``: ``module(images) -> logits (b, n_labels)`` and ``module.features(images) -> codes
        (b, code_length)`` for images float32 (b, 1, s, s) in [0, 1], s >= 32. In training mode, on the CPU.

    Raises
    ------
    UnknownNameError
        Unknown encoder or option.
    InvalidParameterError
        ``n_labels``, ``n_bits`` or an option has a value that is not allowed.
    EncoderError
        The weights are not there or do not fit.

    Examples
    --------
    >>> import torch
    >>> module = create("resnet18", n_labels=3).eval()
    >>> module.features(torch.zeros(2, 1, 32, 32)).shape
    torch.Size([2, 512])
    """
    spec = encoder_spec(name)
    check_integer("n_labels", n_labels, 1, "a classifier needs a label")
    bits = spec.check_bits(n_bits)
    arguments = spec.options_for(weights, options)
    channels = arguments.pop("channels", 1)
    if spec.builds_channels:  # others normalise one channel and three by the same numbers
        arguments["channels"] = channels
    if bits is not None:
        arguments["n_bits"] = bits
    factory = getattr(importlib.import_module(spec.module), spec.factory)
    module: EncoderNetwork = factory(n_labels=n_labels, **arguments)
    if weights is not None:
        from graphret.encoders.weights import load_weights

        load_weights(module, spec, weights)
    return module
