"""Specifications of the hashing systems of Öztürk, Fang, Guan and Cai et al., with the recipes of their trainings."""

from __future__ import annotations

from typing import Any

from graphret.encoders.registry.spec import EncoderSpec

__all__ = ["SYSTEM_SPECS"]

_ATTENTION_HASH = "Öztürk, Alhudhaif, Polat 2021: attention hash"
_ATTENTION_HASH_RECIPE = {
    "iterations": 15_000,
    "batch_size": 20,
    "learning_rate": 1e-4,
    "schedule": "steps",
    "step_iterations": 4000,
    "step_factor": 0.6,
    "sampler": "few_of_a_class",
    "max_of_a_class": 3,
    "horizontal_flip": False,
}


def _system(name: str, module: str, factory: str, paper: str, **further: Any) -> EncoderSpec:
    return EncoderSpec(
        name=name,
        kind="hash",
        module=f"graphret.encoders.networks.{module}",
        factory=factory,
        code_length=None,
        paper=paper,
        **further,
    )


def _attention_hash(name: str, factory: str, what: str, **options: Any) -> EncoderSpec:
    return _system(
        name,
        "attention_hash",
        factory,
        f"{_ATTENTION_HASH}, {what}",
        default_size=224,
        default_bits=64,
        options=options,
        pretrained=("imagenet",),
        colour=True,
        builds_channels=True,
        classifies=False,
        objective="attention_hash",
        recipe=_ATTENTION_HASH_RECIPE,
    )


SYSTEM_SPECS = (
    _attention_hash("resnet18_hash", "ResNet18Hash", "its ResNet-18 alone"),
    _attention_hash("attention_hash_pf0", "AttentionHash", "no attention block", n_blocks=0, gate="sigmoid"),
    _attention_hash("attention_hash_pf1", "AttentionHash", "one attention block", n_blocks=1, gate="sigmoid"),
    _attention_hash("attention_hash_pf2", "AttentionHash", "two attention blocks", n_blocks=2, gate="sigmoid"),
    _system(
        "ynet",
        "ynet",
        "YNet",
        "Fang et al. 2021: Y-Net",
        fidelity="changed formula",
        default_size=256,
        default_bits=64,
        options={"fpn": True, "rmac": True, "centre": True, "mask_classes": 1},
        colour=True,
        objective="ynet",
        # Fang et al. (2021) give neither learning rate nor schedule.
        recipe={
            "epochs": 500,
            "optimizer": "sgd",
            "momentum": 0.9,
            "weight_decay": 1e-3,
            "learning_rate": 1e-2,
            "plateau_patience": 10,
            "horizontal_flip": False,
        },
    ),
    _system(
        "fusion_hash",
        "fusion_hash",
        "FusionHash",
        "Guan et al. 2023: fusion hash",
        fidelity="parts of the paper",
        default_size=224,
        default_bits=64,
        options={"descriptors": "full", "feature": "fused"},
        pretrained=("imagenet",),
        colour=True,
        objective="fusion_hash",
        recipe={"horizontal_flip": False},
    ),
    _system(
        "siamese_hash",
        "siamese_hash",
        "SiameseHash",
        "Cai et al. 2019: Siamese hash",
        default_size=64,
        default_bits=48,
        options={"centre": False},
        changing_options=("centre",),
        colour=True,
        builds_channels=True,
        classifies=False,
        objective="siamese_hash",
        # Cai et al. (2019) name no optimiser; their network and rates are those of DSH, which has this one. Its rate
        # falls after every 20,000 iterations; they write "after 20,000 iterations".
        recipe={
            "iterations": 50_000,
            "batch_size": 200,
            "optimizer": "sgd",
            "momentum": 0.9,
            "weight_decay": 4e-3,
            "schedule": "steps",
            "step_iterations": 20000,
            "step_factor": 0.6,
            "sampler": "pairs",
            "horizontal_flip": False,
        },
    ),
)
