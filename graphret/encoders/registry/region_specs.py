"""Specifications of the encoders that look at regions or patches: R-MAC + RPN, Deep Vision with SOLO, SOLAR-local."""

from __future__ import annotations

from graphret.encoders.registry.spec import EncoderSpec

__all__ = ["REGION_SPECS"]

REGION_SPECS = (
    EncoderSpec(
        name="rmac_rpn",
        kind="dense",
        module="graphret.encoders.networks.regions",
        factory="RMACProposals",
        code_length=512,
        default_size=224,
        paper="Gordo, Almazan, Revaud, Larlus, IJCV 2017",
        fidelity="abstract only",
        options={"backbone": "resnet18", "n_regions": 32},
        pretrained=("imagenet",),
        colour=True,
        objective="region_proposals",
        length_option="backbone",
    ),
    EncoderSpec(
        name="deep_vision_solo",
        kind="dense",
        module="graphret.encoders.networks.regions",
        factory="DeepVisionSolo",
        code_length=1024,
        default_size=224,
        paper="Salvador et al., CVPR workshops 2016; SOLO: Wang et al., ECCV 2020",
        fidelity="abstract only",
        options={"backbone": "resnet18", "grid": 5},
        non_negative=True,
        pretrained=("imagenet",),
        colour=True,
        objective="segment_proposals",
        length_option="backbone",
        length_factor=2,
    ),
    EncoderSpec(
        name="solar_local",
        kind="dense",
        module="graphret.encoders.networks.solar",
        factory="SolarLocal",
        code_length=1024,
        default_size=224,
        paper="Ng, Balntas, Tian, Mikolajczyk, ECCV 2020",
        fidelity="public implementation",
        options={"n_values": 1024},
        classifies=False,
        objective="second_order",
        length_option="n_values",
    ),
)
