"""The experiment of a call that names none: the graph engine, hash encoders, hashers, and two controls."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from graphret._checks import check_integer, check_number
from graphret._errors import ExperimentError, UnknownNameError
from graphret.comparison.compare_ranking import CompareRanking
from graphret.comparison.experiment import BudgetSettings, DataSettings, Experiment, MethodSettings, names_a_row
from graphret.comparison.question_settings import ALL_ORDERS, QuestionSettings
from graphret.encoders import encoder_spec, list_encoders
from graphret.encoders.registry.spec import MINIMUM_SIZE
from graphret.hashing import list_hashers

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["GRAPH_ENCODER", "SYSTEMS", "changed", "default_experiment", "methods_by_name", "standard_questions"]

GRAPH_ENCODER = "densenet121"
"""The encoder of the engine (Haq et al. 2021); hashers stand on its codes."""
SYSTEMS = ("attention_hash_pf2", "ynet", "fusion_hash", "siamese_hash")
"""The hash encoders of the four hashing systems."""


def default_experiment() -> Experiment:
    """Compare the engine with the hash encoders of the papers, all hashers on its codes, an untrained one and chance.

    Five epochs, at most five minutes a method, 64 px.

    Examples
    --------
    >>> [method.label for method in default_experiment().methods][-2:]
    ['densenet121 untrained', 'random']
    """
    names = [GRAPH_ENCODER, *(name for name in SYSTEMS if name in list_encoders()), *list_hashers()]
    return Experiment(
        name="default",
        title="The graph engine and hashing on the same films",
        methods=methods_by_name([*names, f"untrained:{GRAPH_ENCODER}", "random"]),
        budget=BudgetSettings(epochs=5, max_minutes=5.0),
        questions=standard_questions(),
    )


def standard_questions() -> tuple[QuestionSettings, ...]:
    """State the questions of a comparison without an experiment: graph or Hamming, values or bits, tuned or not.

    Examples
    --------
    >>> standard_questions()[2].ranking, standard_questions()[2].against
    ('nearest', 'hamming')
    """
    graph = "contextual:bits"
    return (
        QuestionSettings("Does the graph beat Hamming on the same bits?", ranking=graph, against="hamming"),
        QuestionSettings(
            "Does the graph beat Hamming at equal bytes?", ranking=graph, against="hamming", equal_bytes=True
        ),
        QuestionSettings("Do values beat their bits?", ranking="nearest", against="hamming"),
        QuestionSettings("Does tuning beat the nearest of the same codes?", ranking="tuned", against="nearest"),
    )


def methods_by_name(names: Sequence[str]) -> tuple[MethodSettings, ...]:
    """Turn names into methods: an encoder, a hasher (on the first encoder of real values), untrained:ENCODER, random.

    A hasher without an encoder before it brings `GRAPH_ENCODER` along.

    Raises
    ------
    UnknownNameError
        A name that no registry has.

    Examples
    --------
    >>> [method.label for method in methods_by_name(["resnet18", "random"])]
    ['resnet18', 'random']
    """
    encoders, hashers = list_encoders(), list_hashers()
    dense = next((name for name in names if name in encoders and encoder_spec(name).kind == "dense"), GRAPH_ENCODER)
    methods: list[MethodSettings] = []
    for name in dict.fromkeys(names):
        kind, _, encoder = name.partition(":")
        if name == "random":
            methods.append(MethodSettings("random"))
        elif name in encoders:
            methods.append(MethodSettings("encoder", name))
        elif name in hashers:
            if not any(method.label == dense for method in methods):
                methods.append(MethodSettings("encoder", dense))
            methods.append(MethodSettings("hasher", name, on=dense))
        elif kind == "untrained" and encoder in encoders:
            methods.append(MethodSettings("untrained", encoder))
        else:
            known = [*encoders, *hashers, "random", *(f"untrained:{name}" for name in encoders)]
            raise UnknownNameError("methods", name, known)
    # A hasher may have been named before the encoder that it stands on, which then came along already.
    return tuple({method.label: method for method in methods}.values())


def changed(
    experiment: Experiment,
    *,
    spec: str = "",
    root: str = "",
    size: int | None = None,
    bits: Sequence[int] = (),
    methods: Sequence[str] = (),
    epochs: int | None = None,
    max_minutes: float | None = None,
) -> Experiment:
    """Put what a call says over what an experiment says; what is not given stays.

    Raises
    ------
    InvalidParameterError, UnknownNameError
        A value of the call that is not allowed, by the name of its parameter here.

    Examples
    --------
    >>> changed(default_experiment(), bits=[16], epochs=1).budget.epochs
    1
    """
    data: DataSettings = experiment.data
    if spec:
        data = replace(data, spec=spec)
    if root:
        data = replace(data, root=root)
    if size is not None:
        check_integer("size", size, MINIMUM_SIZE, "the encoders halve the image five times")
        data = replace(data, size=size)
    budget = experiment.budget
    if epochs is not None:
        check_integer("epochs", epochs, 1)
        budget = replace(budget, epochs=epochs)
    if max_minutes is not None:
        check_number("max_minutes", max_minutes, at_least=0, hint="0 for no limit")
        budget = replace(budget, max_minutes=max_minutes)
    changes: dict[str, Any] = {"data": data, "budget": budget}
    kept = experiment.methods
    if methods:
        by_label = {method.label: method for method in kept}
        kept = tuple(by_label[name] for name in methods if name in by_label)
        bases = [by_label[method.on] for method in kept if method.on and by_label[method.on] not in kept]
        named = methods_by_name([name for name in methods if name not in by_label])
        found = {method.label: method for method in (*bases, *kept, *named)}
        order = sorted(found.values(), key=lambda method: bool(method.on))
        changes["methods"] = kept = tuple(order)
        labels = {method.label for method in kept}
        changes["orders"] = tuple(
            order for order in experiment.orders if all(names_a_row(name, labels) for name in order.methods)
        )
        changes["questions"] = _still_asked(experiment.questions, labels, {order.title for order in changes["orders"]})
        if not names_a_row(experiment.reference, labels):
            changes["reference"] = ""
    for length in bits:
        check_integer("bits", length, 1)
    if bits:
        changes["bits"] = tuple(bits)
        changes["methods"] = tuple(replace(method, bits=()) for method in kept)
    return replace(experiment, **changes)


def _still_asked(
    questions: Sequence[QuestionSettings], labels: set[str], orders: set[str]
) -> tuple[QuestionSettings, ...]:
    """Questions about the methods and orders that are left."""
    kept = []
    for question in questions:
        methods = tuple(name for name in question.methods if name in labels)
        rival_left = names_a_row(question.against, labels) or _is_a_ranking(question.against)
        if question.order:
            asked = question.order == ALL_ORDERS or question.order in orders
        else:
            asked = rival_left and (bool(methods) or not question.methods)
        if asked:
            kept.append(replace(question, methods=methods))
    return tuple(kept)


def _is_a_ranking(name: str) -> bool:
    try:
        CompareRanking.parse(name)
    except ExperimentError:
        return False
    return True
