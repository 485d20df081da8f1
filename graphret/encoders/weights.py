"""Pretrained weights into a network: torchvision's, torchxrayvision's, or a file."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from graphret._errors import EncoderError, InvalidParameterError, UnknownNameError
from graphret.encoders.tensor_files import download, read_published, read_tensors, split_sha256
from graphret.encoders.xrayvision import xrayvision_tensors

if TYPE_CHECKING:
    from os import PathLike

    from graphret.encoders.networks.network import EncoderNetwork
    from graphret.encoders.registry.spec import EncoderSpec

__all__ = ["fit_tensors", "imagenet_file", "load_weights"]

logger = logging.getLogger(__name__)


def load_weights(module: EncoderNetwork, spec: EncoderSpec, weights: str | PathLike[str]) -> None:
    """Fill a network of :func:`graphret.encoders.create` with the weights that its parameter ``weights`` names."""
    name = str(weights)
    if name == "imagenet" and "imagenet" in spec.pretrained:
        tensors = _imagenet_tensors(module)
    elif name.startswith("txrv:") and "txrv" in spec.pretrained:
        tensors, _ = xrayvision_tensors(name.removeprefix("txrv:"))
    elif name == "imagenet" or name.startswith("txrv:"):
        raise InvalidParameterError("weights", name, _allowed(spec), f"{spec.name!r} has no others")
    else:
        text, sha256 = split_sha256(name)
        path = Path(text)
        if not path.exists() and isinstance(weights, str) and not path.suffix and len(path.parts) == 1:
            raise UnknownNameError("weights", name, spec.pretrained, "or give a path that exists")
        tensors = read_published(path, sha256)
    fit_tensors(module, tensors, name)


def fit_tensors(module: EncoderNetwork, tensors: dict[str, Tensor], source: str) -> None:
    """Copy tensors into a network, by name.

    The backbone must be complete. A head (``module.heads``) whose tensors are missing or of another shape, as when the
    labels differ, keeps its random weights, which is logged.

    Raises
    ------
    EncoderError
        Tensors are missing, unknown, or of another shape; the message names the first ones.
    """
    wanted = module.state_dict()
    found = module.fitted({module.own_key(key): value for key, value in tensors.items()})
    for head in module.heads:
        keys = [key for key in {*wanted, *found} if key.startswith(f"{head}.")]
        if any(key not in found or key not in wanted or found[key].shape != wanted[key].shape for key in keys):
            logger.info("%s: its %s does not fit this network and stays random", source, head)
            found = {key: value for key, value in found.items() if key not in keys}
            found.update({key: wanted[key] for key in keys if key in wanted})
    # Files older than torch 0.4.1 have no batch counters; nothing is computed from them.
    found.update(
        {key: value for key, value in wanted.items() if key.endswith("num_batches_tracked") and key not in found}
    )
    problems = [f"{key} is missing" for key in wanted if key not in found]
    problems += [f"{key} is unknown" for key in found if key not in wanted]
    problems += [
        f"{key} has shape {tuple(found[key].shape)} instead of {tuple(value.shape)}"
        for key, value in wanted.items()
        if key in found and found[key].shape != value.shape
    ]
    if problems:
        raise EncoderError(
            f"weights {source} do not fit {type(module).__name__}: {'; '.join(problems[:3])}"
            f"{f' and {len(problems) - 3} more' if len(problems) > 3 else ''} (give weights of this architecture)"
        )
    module.load_state_dict(found)


def imagenet_file(module: EncoderNetwork) -> tuple[Path, str]:
    """Where torchvision's weights of a network's backbone belong on this machine, and where they are published.

    Raises
    ------
    InvalidParameterError
        There are none of this backbone.
    """
    if module.imagenet_weights is None:
        raise InvalidParameterError("weights", "imagenet", "None or a path", "nobody has trained this backbone on it")
    url = str(module.imagenet_weights.url)
    return Path(torch.hub.get_dir()) / "checkpoints" / Path(url).name, url


def _imagenet_tensors(module: EncoderNetwork) -> dict[str, Tensor]:
    file, url = imagenet_file(module)
    download(url, file, hash_prefix=file.stem.rsplit("-", 1)[1])
    return read_tensors(file)


def _allowed(spec: EncoderSpec) -> str:
    names = {"imagenet": "'imagenet'", "txrv": "'txrv:NAME'"}
    return ", ".join(["None", *(names[kind] for kind in spec.pretrained), "or a path"])
