"""The experiment of a call that names none: the graph engine, hash encoders, hashers, and two controls."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from graphret._errors import UnknownNameError
from graphret.comparison.experiment import BudgetSettings, DataSettings, Experiment, MethodSettings, names_a_row
from graphret.encoders import encoder_spec, list_encoders
from graphret.hashing import list_hashers

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["GRAPH_ENCODER", "SYSTEMS", "changed", "default_experiment", "methods_by_name"]

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
        data = replace(data, size=size)
    budget = experiment.budget
    if epochs is not None:
        budget = replace(budget, epochs=epochs)
    if max_minutes is not None:
        budget = replace(budget, max_minutes=max_minutes)
    changes: dict[str, object] = {"data": data, "budget": budget}
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
        if not names_a_row(experiment.reference, labels):
            changes["reference"] = ""
    if bits:
        changes["bits"] = tuple(bits)
        changes["methods"] = tuple(replace(method, bits=()) for method in kept)
    return replace(experiment, **changes)  # type: ignore[arg-type]
