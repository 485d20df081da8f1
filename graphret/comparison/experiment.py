"""What a comparison is: films, methods, budget, rankings, measures. Declarative: plain values, no code."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any

from graphret._errors import ExperimentError, GraphretError
from graphret.comparison.compare_ranking import CompareRanking
from graphret.comparison.data_settings import DataSettings, check_count, require
from graphret.comparison.question_settings import (
    IntervalSettings,
    OrderSettings,
    QuestionSettings,
    names_a_row,
)
from graphret.evaluation.measures import parse_measure
from graphret.index import BuildConfig
from graphret.retrieval import TUNED, list_rankings
from graphret.training import TrainConfig

__all__ = [
    "KINDS",
    "MEASURES",
    "BudgetSettings",
    "DataSettings",
    "Experiment",
    "IntervalSettings",
    "MethodSettings",
    "OrderSettings",
    "QuestionSettings",
    "RankingSettings",
    "SheetSettings",
    "names_a_row",
]

KINDS = ("encoder", "hasher", "random", "untrained")
MEASURES = (
    *(f"P@{k}" for k in (10, 20, 30, 50, 100)),
    *("ACG@10", "nDCG@10", "nDCG@100", "mAP@10", "mAP@100", "mAP@100:relevant", "gmAP@100"),
)
_OF_THE_BUDGET = ("epochs", "max_minutes")
_OF_THE_EXPERIMENT = (*_OF_THE_BUDGET, "size", "n_bits", "options")


@dataclass(frozen=True)
class BudgetSettings:
    """What every training may take: passes over the training films, and minutes (0: no limit); the same for all."""

    epochs: int = 5
    max_minutes: float = 0.0

    def __post_init__(self) -> None:
        check_count("budget.epochs", self.epochs, 1)
        require(self.max_minutes >= 0, "budget.max_minutes", self.max_minutes, "minutes, or 0 for no limit")


@dataclass(frozen=True)
class RankingSettings:
    """Rankings of methods that name none, by what the method gives: real values, or values whose signs are bits.

    A name of `list_rankings`, perhaps with options ("alpha_qe:n=20,alpha=2"); "tuned", which `tune` chooses for every
    method on the searched films; or either with ``:bits``: the same ranking with +1 and -1 for the bits.
    """

    dense: tuple[str, ...] = ("nearest", "region_growing", "contextual", TUNED)
    hash: tuple[str, ...] = ("hamming", "nearest", "region_growing", "region_growing:bits", "contextual:bits")

    def __post_init__(self) -> None:
        for key in ("dense", "hash"):
            _check_rankings(f"rankings.{key}", getattr(self, key), bits=key == "hash")


@dataclass(frozen=True)
class MethodSettings:
    """One method.

    Parameters
    ----------
    kind
        "encoder": trained on the films; "untrained": an encoder with random weights; "hasher": fitted to the codes of
        another method; "random": codes that know nothing, the level of chance.
    name
        Registry name of the encoder or hasher; "random" needs none.
    label
        How the report calls it; made of the other keys when empty.
    on
        For a hasher: the label of the method whose codes it takes.
    bits
        Lengths of the code; those of the experiment when empty. An encoder of real values has none.
    options
        Options of the encoder or hasher.
    options_of_spec
        Further ones by dataset spec: they hold where the films are of that spec.
    training
        Parameters of `TrainConfig` for this method alone; size and budget are the same for all.
    rankings
        Instead of those of the experiment.
    grow
        The training of a code begins from the weights of the next shorter one in ``bits`` (Cai et al. 2019).
    """

    kind: str
    name: str = ""
    label: str = ""
    on: str = ""
    bits: tuple[int, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    rankings: tuple[str, ...] = ()
    grow: bool = False
    options_of_spec: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require(self.kind in KINDS, "methods.kind", self.kind, f"one of {', '.join(KINDS)}")
        require(bool(self.name) or self.kind == "random", "methods.name", self.name, f"the name of the {self.kind}")
        require((self.kind == "hasher") == bool(self.on), "methods.on", self.on, "the label of a method, for a hasher")
        require(
            not self.training or self.kind == "encoder",
            "methods.training",
            self.training,
            'none: only an "encoder" is trained',
        )
        for spec, given in self.options_of_spec.items():
            require(isinstance(given, dict), f"methods.options_of_spec.{spec}", given, "a table of options")
        require(not self.grow or self.kind == "encoder", "methods.grow", self.grow, 'it for kind "encoder" only')
        if not self.label:
            made = {"hasher": f"{self.name} on {self.on}", "untrained": f"{self.name} untrained", "random": "random"}
            object.__setattr__(self, "label", made.get(self.kind, self.name))
        for bits in self.bits:
            check_count("methods.bits", bits, 1)
        _check_rankings("methods.rankings", self.rankings, bits=True)
        _check_training("methods.training", self.training, _OF_THE_EXPERIMENT)


@dataclass(frozen=True)
class SheetSettings:
    """Contact sheets: the same queries by several methods; 0 queries draws none."""

    queries: int = 4
    hits: int = 6
    methods: int = 8

    def __post_init__(self) -> None:
        check_count("sheets.queries", self.queries, 0)
        check_count("sheets.hits", self.hits, 1)
        check_count("sheets.methods", self.methods, 1)


@dataclass(frozen=True)
class Experiment:
    """A comparison.

    Parameters
    ----------
    name, title, notes
        Short and long name, and what a reader should know.
    data, budget, rankings, intervals, sheets
        See their classes.
    methods
        One or more, every label once; a hasher comes after the method that it stands on.
    bits
        Lengths of the codes of methods that name none.
    measures
        See `list_measures`.
    reference
        Row or method that the others are compared with, query by query; the first row that is there when empty.
    training
        Parameters of `TrainConfig` for all trainings, such as seed or device. ``weights="imagenet"`` takes ImageNet's
        where they are on this machine, and random ones where not, which the rows then say.
    training_of_spec
        Further ones by dataset spec: they hold where the films are of that spec.
    engine
        Parameters of `BuildConfig` for the graph, such as k.
    seed
        Of untrained weights, random codes, hashers and trainings.
    timed_queries
        Queries that are timed one by one.
    tune_queries, tune_seconds
        For the ranking "tuned".
    published
        Names of tables of published figures (`list_templates`) that stand beside.
    orders
        Orders of papers that the report tests.
    questions
        Stated before there are figures; answered first in the report.
    seeds
        Instead of ``seed``: everything that a seed decides is made once with each. A row has the means over them.

    Raises
    ------
    ExperimentError, InvalidParameterError
        A value that is not allowed.

    Examples
    --------
    >>> Experiment(name="mine", methods=(MethodSettings("random"),)).methods[0].label
    'random'
    """

    name: str
    methods: tuple[MethodSettings, ...]
    title: str = ""
    notes: str = ""
    data: DataSettings = field(default_factory=DataSettings)
    budget: BudgetSettings = field(default_factory=BudgetSettings)
    bits: tuple[int, ...] = (64,)
    rankings: RankingSettings = field(default_factory=RankingSettings)
    measures: tuple[str, ...] = MEASURES
    intervals: IntervalSettings = field(default_factory=IntervalSettings)
    reference: str = ""
    training: dict[str, Any] = field(default_factory=dict)
    training_of_spec: dict[str, dict[str, Any]] = field(default_factory=dict)
    engine: dict[str, Any] = field(default_factory=dict)
    sheets: SheetSettings = field(default_factory=SheetSettings)
    seed: int = 0
    timed_queries: int = 50
    tune_queries: int = 500
    tune_seconds: float = 60.0
    published: tuple[str, ...] = ()
    orders: tuple[OrderSettings, ...] = ()
    questions: tuple[QuestionSettings, ...] = ()
    seeds: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        require(bool(self.methods), "methods", self.methods, "at least one method")
        labels: list[str] = []
        for method in self.methods:
            require(method.label not in labels, "methods.label", method.label, "every label once")
            if method.on:
                require(
                    method.on in labels,
                    "methods.on",
                    method.on,
                    f"the label of a method above it: {', '.join(labels) or 'there is none'}",
                )
            labels.append(method.label)
        for key, names in (
            ("reference", (self.reference,) if self.reference else ()),
            *(("orders.methods", order.methods) for order in self.orders),
        ):
            for name in names:
                allowed = f"a row or the label of a method: {', '.join(labels)}"
                require(names_a_row(name, labels), key, name, allowed)
        require(bool(self.bits), "bits", self.bits, "at least one length")
        for bits in self.bits:
            check_count("bits", bits, 1)
        require(
            bool(self.measures) and len(set(self.measures)) == len(self.measures),
            "measures",
            self.measures,
            "every measure once",
        )
        for measure in self.measures:
            parse_measure(measure)
        check_count("seed", self.seed, 0)
        for seed in self.seeds:
            check_count("seeds", seed, 0)
        require(len(set(self.seeds)) == len(self.seeds), "seeds", self.seeds, "every seed once")
        if self.seeds:
            own = [method.label for method in self.methods if "seed" in method.training]
            require(
                not own, "methods.training.seed", own, "none where seeds are given: they are the same for all methods"
            )
        for question in self.questions:
            question.check_against(labels, [order.title for order in self.orders], self.measures)
        check_count("timed_queries", self.timed_queries, 1)
        check_count("tune_queries", self.tune_queries, 2)
        require(self.tune_seconds > 0, "tune_seconds", self.tune_seconds, "seconds > 0")
        _check_training("training", self.training, (*_OF_THE_EXPERIMENT, "seed"))
        for spec, given in self.training_of_spec.items():
            require(isinstance(given, dict), f"training_of_spec.{spec}", given, "a table of training parameters")
            _check_training(f"training_of_spec.{spec}", given, (*_OF_THE_EXPERIMENT, "seed"))
        try:
            BuildConfig.of(None, self.engine)
        except GraphretError as error:
            raise ExperimentError(f"engine: {error}") from error

    def to_json(self) -> dict[str, Any]:
        """Return all settings as a JSON object."""
        return asdict(self)


def _check_rankings(key: str, names: tuple[str, ...], *, bits: bool) -> None:
    for name in names:
        try:
            ranking = CompareRanking.parse(name)
        except ExperimentError as error:
            raise ExperimentError(f"{key} = {name!r} cannot be read: {error}") from error
        require(not ranking.choice.uses_labels, key, name, f"one of {', '.join(list_rankings())}, {TUNED}")
        require(bits or not ranking.form, key, name, "it without :bits: real values have none")


def _check_training(key: str, given: dict[str, Any], elsewhere: tuple[str, ...]) -> None:
    known = [entry.name for entry in fields(TrainConfig) if entry.name not in elsewhere]
    for name, value in given.items():
        hint = " (the budget is the same for all methods: [budget])" if name in _OF_THE_BUDGET else ""
        require(name in known, f"{key}.{name}", value, f"one of {', '.join(known)}{hint}")
    try:
        TrainConfig.of(None, given)
    except GraphretError as error:
        raise ExperimentError(f"{key}: {error}") from error
