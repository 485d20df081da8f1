"""Files of named tensors: read, or fetched once. Nothing but tensors is ever unpickled."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from graphret._errors import EncoderError, InvalidParameterError, MissingFileError
from graphret.files import sha256_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["download", "load_allowed", "read_published", "read_tensors", "split_sha256"]

logger = logging.getLogger(__name__)

_MARK = "#sha256="
_HEX_DIGITS = 64
_PICKLES = (".pth", ".pt")
HOW_TO_SUM = "take the sum from where the file was published; `sha256sum FILE` tells that of your copy"


def split_sha256(source: str) -> tuple[str, str | None]:
    """Split ``FILE#sha256=HEX`` into the file and its sum, None where none is given.

    Raises
    ------
    InvalidParameterError
        The sum is not 64 hexadecimal digits.

    Examples
    --------
    >>> split_sha256("weights.safetensors")
    ('weights.safetensors', None)
    """
    path, mark, digits = source.rpartition(_MARK)
    if not mark:
        return source, None
    if len(digits) != _HEX_DIGITS or set(digits.lower()) - set("0123456789abcdef"):
        raise InvalidParameterError("weights", source, f"FILE{_MARK} and 64 hexadecimal digits", HOW_TO_SUM)
    return path, digits.lower()


def read_published(path: Path, sha256: str | None) -> dict[str, Tensor]:
    """Read a file of tensors that a user names; one that is a pickle is read with its sum only.

    Raises
    ------
    InvalidParameterError
        A ``.pth`` or ``.pt`` file without a sum, or a folder with one.
    EncoderError
        The file has another sum; otherwise as `read_tensors`.
    """
    if path.is_dir() and sha256 is not None:
        allowed = "a folder alone: its encoder.json has the sum already"
        raise InvalidParameterError("weights", f"{path}{_MARK}{sha256}", allowed)
    if sha256 is None and path.suffix in _PICKLES and path.is_file():
        allowed = f"{path}{_MARK}HEX, a pickle of torch with its sum, or safetensors"
        raise InvalidParameterError("weights", str(path), allowed, HOW_TO_SUM)
    if sha256 is not None and path.is_file():
        found = sha256_of(path)
        if found != sha256:
            raise EncoderError(
                f"weights {path} have the sha256 {found}, not {sha256}: they are damaged, or other weights "
                "(fetch them again from where the sum was published)"
            )
    return read_tensors(path)


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
    if path.suffix not in _PICKLES:
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
