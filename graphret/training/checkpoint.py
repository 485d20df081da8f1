"""Checkpoints of a training: safetensors and JSON, replaced so that a kill at any moment leaves a whole one."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load, save
from torch import Tensor

from graphret._errors import EncoderError
from graphret.files import make_folder, write_file, write_text

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Checkpoint", "CheckpointFolder", "flatten_optimizer", "restore_optimizer"]

_VERSION = 2


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds: JSON values, the tensors of the run, and the weights of the best epoch."""

    state: dict[str, Any]
    tensors: dict[str, Tensor]
    best: dict[str, Tensor] | None


class CheckpointFolder:
    """``out/checkpoint/``: ``checkpoint.json`` names the two files of tensors by their sha256.

    The files of tensors are written first under names of their own; replacing ``checkpoint.json`` makes them the
    checkpoint; only then are the old ones removed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._index = folder / "checkpoint.json"

    def write(self, checkpoint: Checkpoint) -> None:
        """Replace the checkpoint."""
        make_folder(self.folder)
        files = {"run": self._write_tensors("run", checkpoint.tensors)}
        if checkpoint.best is not None:
            files["best"] = self._write_tensors("best", checkpoint.best)
        document = {"format_version": _VERSION, "files": files, "state": checkpoint.state}
        write_text(self._index, json.dumps(document, indent=1, allow_nan=False))
        keep = {self._index.name, *(entry["file"] for entry in files.values())}
        for path in self.folder.iterdir():
            if path.name not in keep:
                path.unlink()

    def read(self) -> Checkpoint | None:
        """Read the checkpoint, verified; ``None`` if there is none.

        Raises
        ------
        EncoderError
            A file is damaged or missing; the message names it.
        """
        if not self._index.is_file():
            return None
        try:
            document = json.loads(self._index.read_text(encoding="utf-8"))
            version, files, state = document["format_version"], document["files"], document["state"]
        except (ValueError, KeyError, TypeError) as error:
            raise self._damaged(self._index, f"not a checkpoint of graphret: {error}") from error
        if version != _VERSION:
            raise self._damaged(self._index, f"format version {version!r}, this graphret reads {_VERSION}")
        best = self._read_tensors(files["best"]) if "best" in files else None
        return Checkpoint(state, self._read_tensors(files["run"]), best)

    def remove(self) -> None:
        """Remove the checkpoint, the index first, so that no half of one is ever read."""
        self._index.unlink(missing_ok=True)
        if self.folder.is_dir():
            shutil.rmtree(self.folder)

    def _write_tensors(self, kind: str, tensors: dict[str, Tensor]) -> dict[str, str]:
        content = save({key: value.detach().cpu().contiguous() for key, value in tensors.items()})
        digest = hashlib.sha256(content).hexdigest()
        path = self.folder / f"{kind}-{digest[:16]}.safetensors"
        if not path.is_file():  # the best epoch is often that of the last checkpoint
            write_file(path, content)
        return {"file": path.name, "sha256": digest}

    def _read_tensors(self, entry: dict[str, str]) -> dict[str, Tensor]:
        path = self.folder / entry["file"]
        if not path.is_file():
            raise self._damaged(path, "it is missing")
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != entry["sha256"]:
            raise self._damaged(path, f"its sha256 is not the one that {self._index.name} states")
        tensors: dict[str, Tensor] = load(content)
        return tensors

    @staticmethod
    def _damaged(path: Path, reason: str) -> EncoderError:
        return EncoderError(f"damaged checkpoint: {path}: {reason} (give resume=False to start again)")


def flatten_optimizer(optimizer: torch.optim.Optimizer) -> tuple[dict[str, Tensor], list[dict[str, Any]]]:
    """State of an optimiser as named tensors ``optimizer.<parameter>.<name>`` and JSON parameter groups."""
    state = optimizer.state_dict()
    tensors = {
        f"optimizer.{number}.{name}": value for number, entry in state["state"].items() for name, value in entry.items()
    }
    return tensors, state["param_groups"]


def restore_optimizer(
    optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor], groups: list[dict[str, Any]]
) -> None:
    """Put a flattened state back, each tensor in the memory layout of its parameter.

    The layout decides which kernels run, and so the last bit of a resumed run. Whether the step is fused is a matter of
    the device, which may be another one now: it stays as the optimiser has it.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimizer."):
            _, number, name = key.split(".")
            like = parameters[int(number)]
            placed = torch.empty_like(like, device="cpu").copy_(value) if value.shape == like.shape else value
            state.setdefault(int(number), {})[name] = placed
    lists = [
        {key: tuple(value) if key == "betas" else value for key, value in group.items()} | {"fused": own["fused"]}
        for group, own in zip(groups, optimizer.param_groups, strict=True)
    ]
    optimizer.load_state_dict({"state": state, "param_groups": lists})
