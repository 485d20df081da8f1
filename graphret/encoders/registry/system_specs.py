"""Specifications of the four hashing systems that the papers P2 to P5 propose, with the recipes of their trainings."""

from __future__ import annotations

from typing import Any

from graphret.encoders.registry.spec import EncoderSpec

__all__ = ["SYSTEM_SPECS"]

_P2 = "P2: attention hash (Öztürk, Alhudhaif, Polat 2021)"
_P2_RECIPE = {
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
        module=f"graphret.encoders.{module}",
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
        f"{_P2}, {what}",
        default_size=224,
        default_bits=64,
        options=options,
        pretrained=("imagenet",),
        classifies=False,
        objective="attention_hash",
        recipe=_P2_RECIPE,
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
        "P3: Y-Net (Fang et al. 2021)",
        default_size=256,
        default_bits=64,
        options={"fpn": True, "rmac": True, "centre": True},
        objective="ynet",
        # P3 gives neither learning rate nor schedule.
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
        "P4: fusion hash (Guan et al. 2023)",
        default_size=224,
        default_bits=64,
        options={"descriptors": "full", "feature": "fused"},
        pretrained=("imagenet",),
        objective="fusion_hash",
        recipe={"horizontal_flip": False},
    ),
    _system(
        "siamese_hash",
        "siamese_hash",
        "SiameseHash",
        "P5: Siamese hash (Cai et al. 2019)",
        default_size=64,
        default_bits=48,
        classifies=False,
        objective="siamese_hash",
        # P5 names no optimiser; its network and rates are those of DSH, which has this one.
        recipe={
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
