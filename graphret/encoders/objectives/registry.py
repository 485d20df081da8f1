"""The objectives by name. Nothing here imports torch until :func:`create_objective` makes one."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from graphret._registry import Registry, check_options

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from graphret.encoders.objectives.objective import Objective

__all__ = ["OBJECTIVES", "ObjectiveSpec", "create_objective", "list_objectives", "objective_spec"]


@dataclass(frozen=True)
class ObjectiveSpec:
    """One objective of the registry.

    Parameters
    ----------
    name
        Registry name.
    module, factory
        File and class: ``factory(labels, n_bits, **options)`` gives an :class:`Objective`.
    paper
        The source of the loss.
    options
        Keyword options of the factory and their defaults.
    """

    name: str
    module: str
    factory: str
    paper: str
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def check_options(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return every option of the factory: those given over the defaults."""
        return check_options(f"objective {self.name!r}", options, self.options)


OBJECTIVES = Registry(
    "objective",
    {
        spec.name: spec
        for spec in (
            ObjectiveSpec(
                name="classification",
                module="graphret.encoders.objectives.classification",
                factory="Classification",
                paper="Haq, Moradi, Wang 2021, Eq. 1",
                options={"label_smoothing": 0.0, "contrast": 0.0, "temperature": 0.1},
            ),
            ObjectiveSpec(
                name="attention_hash",
                module="graphret.encoders.objectives.attention_hash",
                factory="AttentionHashLoss",
                paper="Öztürk, Alhudhaif, Polat 2021, Eq. 7",
                options={"margin": 1.0, "alpha": None, "contrastive_weight": 0.5, "likelihood_weight": 0.5},
            ),
            ObjectiveSpec(
                name="ynet",
                module="graphret.encoders.objectives.ynet",
                factory="YNetLoss",
                paper="Fang et al. 2021, Eq. 2",
                options={"loss": "circle", "segmentation": 0.5, "scale": 32.0, "margin": 0.25},
            ),
            ObjectiveSpec(
                name="fusion_hash",
                module="graphret.encoders.objectives.fusion_hash",
                factory="FusionLoss",
                paper="Guan et al. 2023",
                options={"margin": 2.0, "quantisation": 0.01, "classification": 1.0},
            ),
            ObjectiveSpec(
                name="siamese_hash",
                module="graphret.encoders.objectives.siamese_hash",
                factory="SiameseLoss",
                paper="Cai et al. 2019, Eq. 1 and 3",
                options={"loss": 3, "alpha": 0.01, "margin": 2.0, "pairs": "consecutive"},
            ),
            ObjectiveSpec(
                name="second_order",
                module="graphret.encoders.objectives.second_order",
                factory="SecondOrder",
                paper="Ng, Balntas, Tian, Mikolajczyk, ECCV 2020",
                options={"margin": 0.7, "weight": 5.0},
            ),
            ObjectiveSpec(
                name="region_proposals",
                module="graphret.encoders.objectives.proposals",
                factory="RegionProposalLoss",
                paper="Ren, He, Girshick, Sun, NIPS 2015, Eq. 1",
                options={"proposals": 1.0},
            ),
            ObjectiveSpec(
                name="segment_proposals",
                module="graphret.encoders.objectives.proposals",
                factory="SegmentProposalLoss",
                paper="Wang, Kong, Shen, Jiang, Li, ECCV 2020",
                options={"proposals": 1.0},
            ),
            ObjectiveSpec(
                name="ath",
                module="graphret.encoders.objectives.ath",
                factory="ATH",
                paper="Fang, Fu, Liu, Medical Image Analysis 2021",
                options={"margin": 0.5, "classification": 1.0},
            ),
            ObjectiveSpec(
                name="cnnh",
                module="graphret.encoders.objectives.cnnh",
                factory="CNNH",
                paper="Xia, Pan, Lai, Liu, Yan, AAAI 2014",
                options={"classification": 0.1, "sweeps": 10, "max_sets": 2048, "seed": 0},
            ),
            ObjectiveSpec(
                name="ddmh",
                module="graphret.encoders.objectives.ddmh",
                factory="DDMH",
                paper="Yang et al., MICCAI 2020",
                options={"scale": 10.0, "alpha": 5.0, "quantisation": 0.1, "queue": 128},
            ),
            ObjectiveSpec(
                name="dh",
                module="graphret.encoders.objectives.dh",
                factory="DH",
                paper="Erin Liong et al., CVPR 2015 (supervised)",
                options={"balance": 1.0, "scatter": 1.0, "independence": 20.0},
            ),
            ObjectiveSpec(
                name="dnnh",
                module="graphret.encoders.objectives.dnnh",
                factory="DNNH",
                paper="Lai, Pan, Liu, Yan, CVPR 2015",
                options={"margin": 1.0, "epsilon": 0.45},
            ),
            ObjectiveSpec(
                name="dpsh",
                module="graphret.encoders.objectives.dpsh",
                factory="DPSH",
                paper="Li, Wang, Kang, IJCAI 2016",
                options={"eta": 10.0},
            ),
            ObjectiveSpec(
                name="drh",
                module="graphret.encoders.objectives.drh",
                factory="DRH",
                paper="Conjeti, Guha Roy, Katouzian, Navab, MICCAI 2017",
                options={"quantisation": 0.05, "balance": 0.025, "orthogonal": 0.01},
            ),
            ObjectiveSpec(
                name="dsh",
                module="graphret.encoders.objectives.dsh",
                factory="DSH",
                paper="Liu, Wang, Shan, Chen, CVPR 2016",
                options={"alpha": 0.01, "margin": 2.0},
            ),
            ObjectiveSpec(
                name="hashnet",
                module="graphret.encoders.objectives.hashnet",
                factory="HashNet",
                paper="Cao, Long, Wang, Yu, ICCV 2017",
                options={"alpha": 10.0, "gamma": 0.005, "step_size": 200},
            ),
            ObjectiveSpec(
                name="osdh",
                module="graphret.encoders.objectives.osdh",
                factory="OSDH",
                paper="Chen, Cai, Lu, Feng, Zhou, MICCAI 2018",
                options={"rho": 5.0, "classification": 0.5},
            ),
            ObjectiveSpec(
                name="bihalf",
                module="graphret.encoders.objectives.bihalf",
                factory="BiHalf",
                paper="Li, van Gemert, AAAI 2021",
                options={"gamma": 6.0},
            ),
            ObjectiveSpec(
                name="cibhash",
                module="graphret.encoders.objectives.cibhash",
                factory="CIBHash",
                paper="Qiu, Su, Ou, Yu, Chen, IJCAI 2021",
                options={"temperature": 0.3, "weight": 0.001, "sampled": True},
            ),
            ObjectiveSpec(
                name="csq",
                module="graphret.encoders.objectives.csq",
                factory="CSQ",
                paper="Yuan, Wang, Zhang, Tay, Jie, Liu, Feng, CVPR 2020",
                options={"quantisation": 1e-4, "centers": "auto", "seed": 0},
            ),
            ObjectiveSpec(
                name="dfh",
                module="graphret.encoders.objectives.dfh",
                factory="DFH",
                paper="Li, Pei, Zha, van Gemert, BMVC 2019",
                options={"margin": 3.0, "pull": 1.0, "apart": 1.0, "binary": 1.0, "quantisation": 0.5},
            ),
            ObjectiveSpec(
                name="dpn",
                module="graphret.encoders.objectives.dpn",
                factory="DPN",
                paper="Fan, Ng, Ju, Zhang, Chan, IJCAI 2020",
                options={"margin": 1.0, "centers": "bernoulli", "seed": 0},
            ),
            ObjectiveSpec(
                name="dtsh",
                module="graphret.encoders.objectives.dtsh",
                factory="DTSH",
                paper="Wang, Shi, Kitani, ACCV 2016",
                options={"margin": 0.5, "quantisation": 1 / 225},
            ),
            ObjectiveSpec(
                name="greedyhash",
                module="graphret.encoders.objectives.greedyhash",
                factory="GreedyHash",
                paper="Su, Zhang, Han, Tian, NeurIPS 2018",
                options={"quantisation": 0.1},
            ),
            ObjectiveSpec(
                name="greedyhash_unsupervised",
                module="graphret.encoders.objectives.greedyhash_unsupervised",
                factory="GreedyHashUnsupervised",
                paper="Su, Zhang, Han, Tian, NeurIPS 2018 (unsupervised)",
                options={"quantisation": 0.1},
            ),
            ObjectiveSpec(
                name="orthohash",
                module="graphret.encoders.objectives.orthohash",
                factory="OrthoHash",
                paper="Hoe, Ng, Zhang, Chan, Song, Xiang, NeurIPS 2021",
                options={"scale": 8.0, "margin": 0.2, "centers": "bernoulli", "seed": 0},
            ),
        )
    },
)


def list_objectives() -> list[str]:
    """Names of the registered objectives, sorted."""
    return list(OBJECTIVES)


def objective_spec(name: str) -> ObjectiveSpec:
    """Specification of one objective.

    Raises
    ------
    UnknownNameError
        No objective has this name; the message lists those there are.
    """
    return OBJECTIVES[name]


def create_objective(name: str, labels: NDArray[np.int8], n_bits: int | None = None, **options: Any) -> Objective:
    """Make an objective for the labels of the training films.

    Parameters
    ----------
    name
        One of :func:`list_objectives`.
    labels
        int8 (n_train, L): 1 positive, 0 negative, -1 uncertain.
    n_bits
        Length of the codes of a hash encoder.
    **options
        Options of the objective; ``objective_spec(name).options`` has their defaults.

    Raises
    ------
    UnknownNameError, InvalidParameterError
        Unknown objective or option, or a value that is not allowed.
    """
    spec = objective_spec(name)
    arguments = spec.check_options(options)
    factory = getattr(importlib.import_module(spec.module), spec.factory)
    objective: Objective = factory(labels, n_bits, **arguments)
    return objective
