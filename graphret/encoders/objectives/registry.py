"""The objectives by name. Nothing here imports torch until :func:`create_objective` makes one."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from graphret._errors import InvalidParameterError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from graphret.encoders.objectives.objective import Objective

__all__ = ["ObjectiveSpec", "create_objective", "list_objectives", "objective_spec"]


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
        for name in sorted(set(options) - set(self.options)):
            if not self.options:
                raise InvalidParameterError(name, options[name], f"no options: the objective {self.name!r} has none")
            raise UnknownNameError(f"option of the objective {self.name!r}", name, self.options)
        return {**self.options, **options}


_SPECS = {
    spec.name: spec
    for spec in (
        ObjectiveSpec(
            name="classification",
            module="graphret.encoders.objectives.classification",
            factory="Classification",
            paper="P1 Eq. 1 (Haq, Moradi, Wang 2021)",
        ),
    )
}


def list_objectives() -> list[str]:
    """Names of the registered objectives, sorted."""
    return sorted(_SPECS)


def objective_spec(name: str) -> ObjectiveSpec:
    """Specification of one objective.

    Raises
    ------
    UnknownNameError
        No objective has this name; the message lists those there are.
    """
    if name not in _SPECS:
        raise UnknownNameError("objective", name, _SPECS)
    return _SPECS[name]


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
