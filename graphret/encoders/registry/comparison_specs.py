"""Specifications of the encoders that the papers' systems are compared with: deep hashing, and aggregation of maps."""

from __future__ import annotations

from typing import Any

from graphret._fidelity import FORMULA
from graphret.encoders.registry.spec import EncoderSpec

__all__ = ["COMPARISON_SPECS"]

_BACKBONE = {"backbone": "resnet18"}
_WHITENING = {"whitening": "none", "n_values": 0}


def _hashing(
    name: str,
    factory: str,
    paper: str,
    *,
    module: str = "deep_hash",
    classifies: bool = False,
    fidelity: str = FORMULA,
    **recipe: Any,
) -> EncoderSpec:
    """A network of a file of deep hashing with the loss of the same name."""
    return EncoderSpec(
        name=name,
        kind="hash",
        module=f"graphret.encoders.networks.{module}",
        factory=factory,
        code_length=None,
        default_size=224,
        paper=paper,
        fidelity=fidelity,
        options=_BACKBONE,
        pretrained=("imagenet",),
        colour=True,
        classifies=classifies,
        objective=name,
        recipe=recipe,
        default_bits=64,
    )


def _newer(name: str, factory: str, paper: str, **further: Any) -> EncoderSpec:
    """Written from the authors' code: the text of the paper was not at hand."""
    return _hashing(name, factory, paper, fidelity="public implementation", **further)


def _aggregation(
    name: str, factory: str, paper: str, *, whitened: str = "changed formula", **further: Any
) -> EncoderSpec:
    """A network of `aggregated.py`; ``further`` are the options of the aggregation.

    Each paper whitens its vectors, which is an option here; BLCF whitens before it makes words, and has none.
    ``whitened`` is the fidelity with that option.
    """
    bag = "n_words" in further
    return EncoderSpec(
        name=name,
        kind="dense",
        module="graphret.encoders.networks.aggregated",
        factory=factory,
        code_length=further.get("n_words", 512),
        default_size=224,
        paper=paper,
        fidelity="changed formula",
        formula_options={"whitening": ("training", "archive")} if whitened == FORMULA else {},
        options={**_BACKBONE, **further, **({} if bag else _WHITENING)},
        non_negative=True,
        pretrained=("imagenet",),
        colour=True,
        length_option="n_words" if bag else "backbone",
        kept_option="" if bag else "n_values",
    )


def _descriptor(name: str, factory: str, paper: str, length: str, value: int, **further: Any) -> EncoderSpec:
    """A network of `descriptors.py`; ``length`` is the option that decides the length of its code."""
    options, fidelity = further.pop("options", {}), further.pop("fidelity", FORMULA)
    return EncoderSpec(
        name=name,
        kind="dense",
        module="graphret.encoders.networks.descriptors",
        factory=factory,
        code_length=value,
        default_size=256,
        paper=paper,
        fidelity=fidelity,
        options={length: value, **options},
        non_negative=True,
        length_option=length,
    )


COMPARISON_SPECS = (
    _hashing(
        "ath",
        "AttentionTripletHash",
        "Fang, Fu, Liu, Medical Image Analysis 2021",
        classifies=True,
        fidelity="changed formula",
    ),
    _hashing(
        "cnnh", "ClassifyingHash", "Xia, Pan, Lai, Liu, Yan, AAAI 2014", classifies=True, fidelity="changed formula"
    ),
    _hashing("ddmh", "DeepHash", "Yang et al., MICCAI 2020", fidelity="abstract only"),
    _hashing("dh", "DeepHash", "Erin Liong et al., CVPR 2015 (supervised)", fidelity="changed formula"),
    _hashing("dnnh", "DivideAndEncodeHash", "Lai, Pan, Liu, Yan, CVPR 2015"),
    _hashing("dpsh", "DeepHash", "Li, Wang, Kang, IJCAI 2016"),
    _hashing("drh", "DeepHash", "Conjeti, Guha Roy, Katouzian, Navab, MICCAI 2017", fidelity="abstract only"),
    _hashing("dsh", "DeepHash", "Liu, Wang, Shan, Chen, CVPR 2016"),
    _hashing("hashnet", "DeepHash", "Cao, Long, Wang, Yu, ICCV 2017"),
    _hashing(
        "osdh",
        "ClassifyingHash",
        "Chen, Cai, Lu, Feng, Zhou, MICCAI 2018",
        classifies=True,
        fidelity="public implementation",
    ),
    _newer("csq", "DeepHash", "Yuan, Wang, Zhang, Tay, Jie, Liu, Feng, CVPR 2020"),
    _newer("dfh", "DeepHash", "Li, Pei, Zha, van Gemert, BMVC 2019"),
    _newer("dpn", "DeepHash", "Fan, Ng, Ju, Zhang, Chan, IJCAI 2020"),
    _newer("dtsh", "DeepHash", "Wang, Shi, Kitani, ACCV 2016"),
    _newer("greedyhash", "DeepHash", "Su, Zhang, Han, Tian, NeurIPS 2018"),
    _newer("orthohash", "NormalisedHash", "Hoe, Ng, Zhang, Chan, Song, Xiang, NeurIPS 2021"),
    _newer("bihalf", "FrozenHash", "Li, van Gemert, AAAI 2021 (without labels)", module="frozen_hash"),
    _newer(
        "cibhash",
        "FrozenPerceptronHash",
        "Qiu, Su, Ou, Yu, Chen, IJCAI 2021 (without labels)",
        module="frozen_hash",
        augmentation=1.0,
    ),
    _newer(
        "greedyhash_unsupervised",
        "FrozenHash",
        "Su, Zhang, Han, Tian, NeurIPS 2018 (without labels)",
        module="frozen_hash",
    ),
    _aggregation(
        "blcf",
        "BagOfFeaturesEncoder",
        "Mohedano et al. 2016",
        n_words=512,
        weighting="none",
        tf_idf=False,
    ),
    _aggregation("cam", "CAMEncoder", "Jimenez, Alvarez, Giro-i-Nieto, BMVC 2017"),
    _aggregation("crow", "CroWEncoder", "Kalantidis, Mellina, Osindero 2016", whitened=FORMULA),
    _aggregation("gem", "GeMEncoder", "Radenovic, Tolias, Chum, TPAMI 2019", p=3.0),
    _aggregation("regional_attention", "RegionalAttentionEncoder", "Kim, Yoon, BMVC 2018", n_scales=3),
    _aggregation("rmac", "RMACEncoder", "Tolias, Sicre, Jegou, ICLR 2016", whitened=FORMULA, n_scales=3),
    _descriptor("gist", "Gist", "Oliva, Torralba, IJCV 2001", "n_values", 1024, fidelity="public implementation"),
    _descriptor(
        "gabor_schmid",
        "GaborSchmid",
        "Lan, Zhong, Liu, Shi, Luo, Multimedia Tools and Applications 2018",
        "n_words",
        512,
        options={"patch": 8},
        fidelity="abstract only",
    ),
    _aggregation("spoc", "SPoCEncoder", "Babenko, Lempitsky, ICCV 2015", whitened=FORMULA),
)
