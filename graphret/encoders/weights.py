"""Pretrained weights into a network: torchvision's, torchxrayvision's, or a file. Nothing is unpickled but tensors."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from graphret._errors import EncoderError, InvalidParameterError, MissingFileError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

    from graphret.encoders.networks.network import EncoderNetwork
    from graphret.encoders.registry.spec import EncoderSpec

__all__ = ["download", "fit_tensors", "load_allowed", "load_weights", "read_tensors"]

logger = logging.getLogger(__name__)


def load_weights(module: EncoderNetwork, spec: EncoderSpec, weights: str | PathLike[str]) -> None:
    """Fill a network of :func:`graphret.encoders.create` with the weights that its parameter ``weights`` names."""
    name = str(weights)
    if name == "imagenet" and "imagenet" in spec.pretrained:
        tensors = _imagenet_tensors(module)
    elif name.startswith("txrv:") and "txrv" in spec.pretrained:
        from graphret.encoders.xrayvision import xrayvision_tensors

        tensors, _ = xrayvision_tensors(name.removeprefix("txrv:"))
    elif name == "imagenet" or name.startswith("txrv:"):
        raise InvalidParameterError("weights", name, _allowed(spec), f"{spec.name!r} has no others")
    else:
        path = Path(weights)
        if not path.exists() and isinstance(weights, str) and not path.suffix and len(path.parts) == 1:
            raise UnknownNameError("weights", name, spec.pretrained, "or give a path that exists")
        tensors = read_tensors(path)
    fit_tensors(module, tensors, name)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read named tensors from a safetensors file, a folder of a saved encoder, or a ``.pth`` of tensors only.

    Raises
    ------
    MissingFileError
        There is no such file.
    InvalidParameterError
        Another kind of file.
    EncoderError
        The file is damaged, or holds more than tensors.
    """
    if path.is_dir():
        path /= "encoder.safetensors"
    if not path.is_file():
        raise MissingFileError(path, "weights", "give 'imagenet', 'txrv:NAME', or a file of tensors")
    if path.suffix == ".safetensors":
        import safetensors
        from safetensors.torch import load_file

        try:
            stored: dict[str, Tensor] = load_file(path)
        except (safetensors.SafetensorError, OSError, ValueError) as error:
            raise EncoderError(f"cannot read weights {path}: {error} (copy the file again)") from error
        return stored
    if path.suffix not in {".pt", ".pth"}:
        raise InvalidParameterError("weights", str(path), "a .safetensors, .pth or .pt file")
    loaded = load_allowed(path)
    if loaded is None:
        raise EncoderError(
            f"cannot read weights {path}: it is damaged or holds more than tensors, and objects are never unpickled "
            "(save model.state_dict() as safetensors where you trust the file)"
        )
    tensors = loaded.get("state_dict", loaded) if isinstance(loaded, dict) else None
    if not isinstance(tensors, dict) or not all(isinstance(value, Tensor) for value in tensors.values()):
        raise EncoderError(f"cannot read weights {path}: it is no dictionary of tensors (save model.state_dict())")
    return tensors


def load_allowed(path: Path, classes: Sequence[type] = ()) -> Any:
    """Read a file of ``torch.save`` that holds tensors, plain containers and objects of ``classes`` only.

    ``weights_only`` refuses every other class and function, so a tampered file runs no code. ``None`` if the file holds
    others or is damaged; torch's own message is not passed on, because it advises to unpickle the file.
    """
    with torch.serialization.safe_globals(list(classes)), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Detected pickle protocol")  # such a file loads, or is refused
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # noqa: BLE001 - a damaged file can raise anything
            logger.debug("torch cannot read %s: %s", path, error)
            return None


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


def download(url: str, file: Path, hash_prefix: str | None = None) -> None:
    """Fetch weights once into ``file``; offline, say which file belongs where.

    Raises
    ------
    EncoderError
        The file is not there and cannot be fetched.
    """
    if file.is_file():
        return
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(file), hash_prefix=hash_prefix, progress=False)
    except (OSError, RuntimeError) as error:
        raise EncoderError(
            f"cannot fetch pretrained weights ({error}): fetch {url} on a machine with a network "
            f"and put it at {file}, or give weights=PATH of that file"
        ) from error


def _imagenet_tensors(module: EncoderNetwork) -> dict[str, Tensor]:
    if module.imagenet_weights is None:
        raise InvalidParameterError("weights", "imagenet", "None or a path", "nobody has trained this backbone on it")
    url = module.imagenet_weights.url
    file = Path(torch.hub.get_dir()) / "checkpoints" / Path(url).name
    download(url, file, hash_prefix=file.stem.rsplit("-", 1)[1])
    return read_tensors(file)


def _allowed(spec: EncoderSpec) -> str:
    names = {"imagenet": "'imagenet'", "txrv": "'txrv:NAME'"}
    return ", ".join(["None", *(names[kind] for kind in spec.pretrained), "or a path"])
