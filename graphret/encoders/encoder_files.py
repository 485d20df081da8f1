"""The files of an encoder: weights (safetensors), config and record (JSON), model card; written kill-safe."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from graphret._errors import EncoderError, MissingFileError
from graphret._version import __version__
from graphret.encoders.model_card import model_card
from graphret.files import make_folder, move, parse_json, read_plain, write_file, write_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import torch

__all__ = ["fill", "fingerprint", "read_encoder", "write_encoder"]

FORMAT_VERSION = 1
WEIGHTS, CONFIG, CARD = "encoder.safetensors", "encoder.json", "MODEL_CARD.md"
PENDING = "encoder.json.pending"
_AGAIN = "restore it from a backup, or train again"
_DOCUMENT_BYTES, _WEIGHT_BYTES = 2**26, 2**36
"""Larger files are not read."""
_LIBRARIES = ("torch", "torchvision", "safetensors", "accelerate", "torchmetrics", "numpy", "pillow")


def write_encoder(folder: Path, tensors: Mapping[str, torch.Tensor], about: Mapping[str, Any]) -> None:
    """Write an encoder into ``folder``: its weights, and ``about`` (config, code_length, fingerprint, record).

    Two files cannot be replaced in one step, so the new config is first written beside the old one as
    ``encoder.json.pending``: a process killed between the two replacements leaves weights that fit the pending config,
    and :func:`read_encoder` then takes that one.
    """
    from safetensors.torch import save

    make_folder(folder)
    weights = save(dict(tensors), metadata={"format": "pt"})
    document = {
        "format": "graphret encoder",
        "format_version": FORMAT_VERSION,
        **about,
        "weights": {"file": WEIGHTS, "sha256": hashlib.sha256(weights).hexdigest(), "bytes": len(weights)},
        "versions": _versions(),
    }
    text = json.dumps(document, indent=1, allow_nan=False)
    spec = model_card(document)
    write_text(folder / PENDING, text)
    write_file(folder / WEIGHTS, weights)
    move(folder / PENDING, folder / CONFIG)
    write_text(folder / CARD, spec)


def read_encoder(
    folder: Path, stored: Mapping[str, bytes] | None = None
) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Read the document of ``encoder.json`` and the weights, whose sha256 is verified.

    ``stored`` holds the files by name where they were read already.

    Raises
    ------
    MissingFileError
        The folder holds no encoder.
    EncoderError
        A file is damaged, of a later format, or missing.
    """
    read = (lambda name, _: stored.get(name)) if stored is not None else (lambda name, most: _read(folder / name, most))
    documents = {name: read(name, _DOCUMENT_BYTES) for name in (CONFIG, PENDING)}
    if not any(documents.values()):
        unfinished = (folder / "checkpoint" / "checkpoint.json").is_file()
        hint = "its training has not finished: train again into this folder to resume it" if unfinished else ""
        raise MissingFileError(folder / CONFIG, "encoder", hint or "give the folder of a trained or saved encoder")
    weights = read(WEIGHTS, _WEIGHT_BYTES)
    if weights is None:
        raise EncoderError(f"damaged encoder: {folder / WEIGHTS} is missing ({_AGAIN})")
    digest = hashlib.sha256(weights).hexdigest()
    for name, content in documents.items():
        if content is not None:
            document = _parse(folder / name, content)
            if document["weights"]["sha256"] == digest:
                return document, _tensors(folder / WEIGHTS, weights)
    raise EncoderError(
        f"damaged encoder: {folder / WEIGHTS}: its sha256 is {digest[:16]}..., not the one that {folder / CONFIG} "
        f"states ({_AGAIN})"
    )


def _read(path: Path, most: int) -> bytes | None:
    """Read a file; None where there is none."""
    try:
        return read_plain(path, most, follow=True)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise EncoderError(f"encoder {path}: it cannot be read: {error.strerror} ({_AGAIN})") from error


def _tensors(path: Path, weights: bytes) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        tensors: dict[str, torch.Tensor] = load(weights)
    except (SafetensorError, ValueError, TypeError, KeyError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise EncoderError(f"damaged encoder: {path}: it holds no tensors: {reason} ({_AGAIN})") from error
    return tensors


def fill(module: torch.nn.Module, tensors: dict[str, torch.Tensor], folder: Path) -> None:
    """Copy every tensor into the network, or say that the files are of another version of it."""
    try:
        module.load_state_dict(tensors)
    except RuntimeError as error:
        raise EncoderError(
            f"encoder {folder}: its weights do not fit the network of this version of graphret: "
            f"{str(error).splitlines()[-1].strip()} (use the version that {folder / CARD} names)"
        ) from error


def fingerprint(config: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> str:
    """Hex sha256 over a config and named tensors, in the order of their names."""
    digest = hashlib.sha256(json.dumps(config, sort_keys=True, allow_nan=False).encode())
    for key in sorted(tensors):
        array = tensors[key].numpy()
        digest.update(f"\n{key} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _parse(path: Path, content: bytes) -> dict[str, Any]:
    try:
        document = parse_json(content)
    except ValueError as error:
        raise EncoderError(f"damaged encoder: {path}: {error} ({_AGAIN})") from error
    kinds = {"config": dict, "weights": dict, "record": dict, "fingerprint": str}
    complete = all(isinstance(document.get(name), kind) for name, kind in kinds.items())
    if document.get("format_version") != FORMAT_VERSION or not complete or "sha256" not in document["weights"]:
        raise EncoderError(
            f"encoder {path}: format version {document.get('format_version')!r} is not the {FORMAT_VERSION} that "
            f"graphret {__version__} reads (use the graphret that wrote it)"
        )
    return document


def _versions() -> dict[str, str]:
    versions = {"graphret": __version__}
    for library in _LIBRARIES:
        try:
            versions[library] = version(library)
        except PackageNotFoundError:
            versions[library] = "unknown"
    return versions
