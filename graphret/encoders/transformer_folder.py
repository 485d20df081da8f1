"""A local folder of the library transformers (extra ``hf``) as an encoder: safetensors only, no code, no network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from graphret._errors import EncoderError, MissingFileError
from graphret.encoders.encoder import Encoder
from graphret.encoders.encoder_config import EncoderConfig

__all__ = ["load_transformer"]

_WEIGHTS = "model.safetensors"
_PARTS = "model.safetensors.index.json"
_LARGEST_JSON = 2**22
_SUMMARISED = ("clip_vision_model", "siglip_vision_model", "dinov2", "dinov2_with_registers", "dinov3_vit")
"""Types whose summary ("pooler") is trained with the model; of others the first token is taken."""


def load_transformer(folder: Path, device: str) -> Encoder:
    """Read a folder that ``save_pretrained`` of transformers wrote.

    ``config.json`` says what the model is, ``preprocessor_config.json`` which pixels it was trained on, and
    ``model.safetensors`` (or parts with an index) has the weights. Of a model of pictures and texts the part of the
    pictures is taken.

    Raises
    ------
    MissingFileError
        One of the three is not there; weights as ``.bin`` are pickles, and never read.
    EncoderError
        A config that asks for code of its own, pixels in another range than [0, 1] scaled from 255, a model that
        transformers does not have or that is no model of square pictures, weights that do not fit.
    MissingDependencyError
        transformers is not installed.
    """
    config = _document(folder / "config.json", "config")
    pixels = _document(folder / "preprocessor_config.json", "pixels that the model was trained on")
    if config.get("auto_map"):
        raise EncoderError(
            f"{folder / 'config.json'} asks for code of its own (auto_map), which is never run: give a model whose "
            "code is in transformers"
        )
    inner = config.get("vision_config")
    if isinstance(inner, dict):
        config = {"model_type": f"{config.get('model_type')}_vision_model", **inner}
    size = config.get("image_size")
    if not isinstance(size, int):
        raise EncoderError(f"{folder / 'config.json'} has no image_size of a square picture, but {size!r}")
    _check_weights(folder)
    mean, std = _normalisation(folder, pixels, int(config.get("num_channels", 3)))
    kind = str(config.get("model_type"))
    options: dict[str, Any] = {
        "architecture": json.dumps(config, sort_keys=True),
        "code_length": int(config.get("hidden_size", 0)),
        "mean": ",".join(map(repr, mean)),
        "std": ",".join(map(repr, std)),
        "pooling": "pooler" if kind in _SUMMARISED else "cls",
    }
    encoder_config = EncoderConfig("transformer", size, ("label_0",), options=options)
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = encoder_config.create()
    _fill(module, folder)
    return Encoder(module, encoder_config, device=device, record={"trained": True, "weights": f"hf:{folder.name}"})


def _document(path: Path, what: str) -> dict[str, Any]:
    if not path.is_file():
        raise MissingFileError(path, what, "give a folder that save_pretrained of transformers wrote")
    try:
        if path.stat().st_size > _LARGEST_JSON:
            raise ValueError(f"it has more than {_LARGEST_JSON:,} bytes")
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise EncoderError(f"cannot read {path}: {error}") from error
    if not isinstance(found, dict):
        raise EncoderError(f"cannot read {path}: it is no JSON object")
    return found


def _normalisation(folder: Path, pixels: dict[str, Any], n_channels: int) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of every channel, for pixels in [0, 1]."""
    path = folder / "preprocessor_config.json"
    factor = pixels.get("rescale_factor", 1 / 255)
    rescaled = pixels.get("do_rescale", True)
    if rescaled is not True or not isinstance(factor, int | float) or abs(factor * 255 - 1) > 1e-3:
        raise EncoderError(
            f"{path}: do_rescale={rescaled!r} and rescale_factor={factor!r} are not those of pixels "
            "in [0, 1]; graphret gives a model grey values in [0, 1], so its codes would be wrong"
        )
    if pixels.get("do_normalize", True) is False:
        return [0.0] * n_channels, [1.0] * n_channels
    found = []
    for name in ("image_mean", "image_std"):
        values = pixels.get(name)
        numbers = isinstance(values, list) and all(isinstance(value, int | float) for value in values)
        if not numbers or len(values or []) not in {1, n_channels} or (name == "image_std" and min(values or [0]) <= 0):
            raise EncoderError(f"{path}: {name}={values!r}: it must be {n_channels} numbers, one a channel")
        found.append([float(value) for value in values or []] * (n_channels if len(values or []) == 1 else 1))
    return found[0], found[1]


def _check_weights(folder: Path) -> None:
    """Ask for safetensors inside the folder: a library that finds none would look for pickles."""
    whole, index = folder / _WEIGHTS, folder / _PARTS
    if whole.is_file():
        return
    if not index.is_file():
        hint = "only safetensors are read: save the model again with safe_serialization=True where its .bin is trusted"
        raise MissingFileError(whole, "weights", hint)
    names = list(_document(index, "index of the weights").get("weight_map", {}).values())
    foreign = [name for name in names if not isinstance(name, str) or Path(name).name != name]
    if foreign or not names or not all(name.endswith(".safetensors") for name in names):
        raise EncoderError(f"{index} names files outside its folder, none, or others than safetensors: {foreign[:1]}")


def _fill(module: Any, folder: Path) -> None:
    """Copy the weights; a summary that the files lack is no loss where the first token is taken."""
    from transformers import AutoModel

    try:
        loaded, report = AutoModel.from_pretrained(
            folder, config=module.model.config, local_files_only=True, use_safetensors=True, trust_remote_code=False,
            output_loading_info=True,
        )  # fmt: skip
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise EncoderError(f"the weights of {folder} do not fit its config, or are damaged: {reason}") from error
    missing = sorted(report["missing_keys"])
    if module.pooling != "pooler":
        missing = [key for key in missing if "pooler." not in key]
    if missing:
        raise EncoderError(f"the weights of {folder} do not fit its config: {missing[0]} is missing")
    module.model.load_state_dict(loaded.float().state_dict())
