"""Experiments that come with graphret: the tables of the papers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphret._errors import UnknownNameError
from graphret.comparison.experiment_file import read_experiment
from graphret.data.cards import specs_folder
from graphret.encoders import list_encoders
from graphret.hashing import list_hashers

if TYPE_CHECKING:
    from graphret.comparison.experiment import Experiment

__all__ = ["list_templates", "missing_methods", "read_template"]


def list_templates() -> list[str]:
    """Names of the experiments that come with graphret, sorted.

    Examples
    --------
    >>> "cai2019-table1" in list_templates()
    True
    """
    return sorted(path.stem for path in (specs_folder() / "experiments").glob("*.toml"))


def read_template(name: str) -> Experiment:
    """Read an experiment that comes with graphret.

    Raises
    ------
    UnknownNameError
        There is none of that name.

    Examples
    --------
    >>> read_template("cai2019-table1").bits
    (16, 32, 48, 64)
    """
    if name not in list_templates():
        raise UnknownNameError("template", name, list_templates())
    return read_experiment(specs_folder() / "experiments" / f"{name}.toml")


def missing_methods(experiment: Experiment) -> list[str]:
    """Names of methods that no registry has: their rows will say so.

    Examples
    --------
    >>> from graphret.comparison.experiment import Experiment, MethodSettings
    >>> missing_methods(Experiment(name="mine", methods=(MethodSettings("encoder", "alexnet"),)))
    ['alexnet']
    """
    encoders = set(list_encoders())
    hashers = set(list_hashers())
    known = {"encoder": encoders, "untrained": encoders, "hasher": hashers}
    return [
        method.name for method in experiment.methods if method.kind in known and method.name not in known[method.kind]
    ]
