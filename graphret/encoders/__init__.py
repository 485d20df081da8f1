"""Encoders: from films to codes. Importing this package does not import torch."""

from __future__ import annotations

from graphret.encoders.encoder import Encoder
from graphret.encoders.loading import load_encoder
from graphret.encoders.model_encoder import ModelEncoder
from graphret.encoders.registry.create import create, encoder_spec, list_encoders
from graphret.encoders.registry.spec import EncoderSpec

__all__ = ["Encoder", "EncoderSpec", "ModelEncoder", "create", "encoder_spec", "list_encoders", "load_encoder"]
