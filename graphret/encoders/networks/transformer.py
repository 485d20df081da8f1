"""An image model of the library transformers, made of its config; code that comes with a model is never run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from graphret._errors import EncoderError, InvalidParameterError, MissingDependencyError
from graphret.encoders.networks.network import EncoderNetwork
from graphret.encoders.objectives.objective import NetworkOutputs

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["POOLINGS", "Transformer", "image_model"]

POOLINGS = ("cls", "mean", "pooler")


def image_model(config: Mapping[str, Any]) -> nn.Module:
    """Make the model of a config of transformers, with random weights.

    Raises
    ------
    MissingDependencyError
        transformers is not installed.
    EncoderError
        The config asks for code of others, or is of a model that this transformers does not have.
    """
    try:
        from transformers import AutoConfig, AutoModel
    except ImportError as error:
        raise MissingDependencyError("transformers", "hf", "an encoder from a folder of transformers") from error
    if config.get("auto_map"):
        raise EncoderError(
            "the config asks for code of its own (auto_map), which is never run: give a model that transformers has"
        )
    fields = dict(config)
    kind = fields.pop("model_type", None)
    try:
        made = AutoConfig.for_model(kind, **fields)
        model: nn.Module = AutoModel.from_config(made, trust_remote_code=False)
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise EncoderError(f"transformers makes no model of the type {kind!r}: {reason}") from error
    return model


class Transformer(EncoderNetwork):
    """Codes of an image model.

    Parameters
    ----------
    n_labels
        Outputs of a linear classifier on the codes, which no folder of transformers brings: it is random.
    architecture
        Config of the model as JSON.
    code_length
        Values of a code.
    mean, std
        Of its pixels, one number a channel with commas, after they were scaled to [0, 1].
    pooling
        "cls": the first token; "mean": the mean of all; "pooler": what the model gives as its summary.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, n_labels: int, architecture: str = "", code_length: int = 768, mean: str = "0.5", std: str = "0.5",
        pooling: str = "cls",
    ) -> None:  # fmt: skip
        super().__init__()
        if pooling not in POOLINGS:
            raise InvalidParameterError("pooling", pooling, f"one of {', '.join(POOLINGS)}")
        if not architecture:
            raise InvalidParameterError(
                "architecture", architecture, "a config of transformers as JSON",
                "graphret.load_encoder('hf:FOLDER') reads a folder",
            )  # fmt: skip
        self.pooling = pooling
        self.model = image_model(json.loads(architecture))
        for name, text in (("mean", mean), ("std", std)):
            values = torch.tensor([float(part) for part in text.split(",")]).view(1, -1, 1, 1)
            self.register_buffer(name, values, persistent=False)
        self.classifier = nn.Linear(code_length, n_labels)

    def features(self, images: Tensor) -> Tensor:
        """Codes, float (b, code_length)."""
        found = self.model(pixel_values=(images - self.mean) / self.std)
        if self.pooling == "pooler":
            codes: Tensor = found.pooler_output
        else:
            tokens = found.last_hidden_state
            codes = tokens[:, 0] if self.pooling == "cls" else tokens.mean(dim=1)
        return codes.flatten(1)

    def outputs(self, images: Tensor) -> NetworkOutputs:
        """Codes and logits."""
        codes = self.features(images)
        return NetworkOutputs(codes, self.classifier(codes))
